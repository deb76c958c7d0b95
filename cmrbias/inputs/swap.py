"""``swap``: each heart before the background of another case (the paper's Rand), and its measurements."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from cmrbias.ops import Align, Fill, background_residual, background_swap


class Donors(NamedTuple):
    """One donor a recipient: images (N, F, H, W) floats and masks (N, F, H, W) bool, all its frames."""

    images: Tensor
    masks: Tensor


def swap(images: Tensor, masks: Tensor, donors: Donors, fill: Fill, align: Align = "none") -> Tensor:
    """Returns hearts (N, F, H, W) before their donors' backgrounds, the same phase for the same phase.

    See ``ops.background_swap`` for ``fill`` and ``align``; a case that is its own donor stays as it is.
    """
    count = len(images)
    both = torch.cat([images, donors.images]), torch.cat([masks, donors.masks])
    rows = torch.arange(2 * count, device=images.device)
    return background_swap(*both, rows.roll(-count), fill, align)[:count]


def residual(masks: Tensor, donors: Donors, align: Align = "none") -> Tensor:
    """Returns the share of each frame's pixels where the moved donor's heart lies outside the own: (N, F)."""
    count = len(masks)
    rows = torch.arange(2 * count, device=masks.device)
    return background_residual(torch.cat([masks, donors.masks]), rows.roll(-count), align)[:count]
