"""A loss term that draws a classifier's saliency onto the heart."""

from __future__ import annotations

from torch import Tensor

from cmrbias.ops import overlap
from cmrbias.scores import aks


def mean_aks(maps: Tensor, masks: Tensor) -> Tensor:
    """Returns the mean AKS of the frames that show a heart, a float32 scalar; NaN where none does.

    A map that is the same everywhere counts as 0, so that a network does not gain by vanishing maps.

    Args:
        maps: (N, h, w) float32, not negative; the result is differentiable in them.
        masks: (N, H, W) bool.
    """
    hearts = masks.flatten(1).any(1)
    scores = aks(overlap(maps, masks, threshold=None))
    return scores.nan_to_num(0.0)[hearts].mean().float()
