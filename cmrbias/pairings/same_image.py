"""An image's partner is the image itself: two views of one image, as in the paper."""

from __future__ import annotations

from torch import Tensor

from cmrbias.api import Pairing


class SameImage(Pairing):
    """Pairs each image with itself."""

    def partner(self, index: Tensor, epoch: int, seed: int) -> Tensor:
        """Returns ``index`` (N,) int64 itself."""
        return index
