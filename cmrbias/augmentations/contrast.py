"""Random contrast about the image's own mean."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cmrbias.api import Augmentation, CmrbiasError, Params, draws, option


class Contrast(Augmentation):
    """Stretches or shrinks the intensities about their mean, and clamps them to [0, 1].

    x -> factor * x + (1 - factor) * mean, as torchvision's ``adjust_contrast``, over the pixels that
    are not 0. Those that are (padding, what an input mode masks, borders of a rotation) stay 0 and do
    not count for the mean, so no grey frame appears, whatever stands before. A dark pixel of the image
    that is stored as 0 stays too, |1 - factor| * mean below what it would be at most.
    """

    @dataclass(frozen=True)
    class Options:
        """Options of the contrast."""

        factor: tuple[float, float] = option((0.7, 1.3), "range of the factor", minimum=0, maximum=10)

        def __post_init__(self) -> None:
            low, high = self.factor
            if low > high:
                raise CmrbiasError(f"contrast: option 'factor': expected LOW,HIGH, got {low},{high}")

    def draw(self, keys: Tensor) -> Params:
        """Returns ``factor`` (N,) float64."""
        low, high = self.options.factor
        return {"factor": low + (high - low) * draws.uniform(keys, 1)[:, 0]}

    def apply(self, images: Tensor, masks: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Returns images of the same shape, and the masks as they are."""
        shown = images.sign()  # 1 where there is something, else 0
        mean = _total(images) / _total(shown).clamp(min=1)
        factor = params["factor"].to(images.dtype)[:, None, None, None]
        changed = torch.addcmul((1 - factor) * mean, images, factor).clamp_(0, 1)
        return changed.mul_(shown), masks


def _total(images: Tensor) -> Tensor:
    """Returns sums (N, 1, 1, 1): by rows first, so that threads do not decide the order of summation."""
    return images.sum(-1, keepdim=True).sum((1, 2), keepdim=True)
