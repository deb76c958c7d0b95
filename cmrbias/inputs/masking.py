"""Input modes that hide a part of each image along its own mask.

Images are (N, F, H, W) floats, F the frames of a case, masks the same shape, bool, True in the heart.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cmrbias.ops import background_swap


def heart(images: Tensor, masks: Tensor) -> Tensor:
    """Returns the heart alone: 0 outside the mask (the paper's Seg)."""
    return images.masked_fill(~masks, 0)


def background(images: Tensor, masks: Tensor) -> Tensor:
    """Returns what lies around the heart: 0 inside the mask (the paper's BG).

    The hole has the heart's outline, which follows the diagnosis: to be shown beside ``silhouette``.
    """
    return images.masked_fill(masks, 0)


def background_fill(images: Tensor, masks: Tensor) -> Tensor:
    """Returns the background with the hole filled smoothly from around it (push-pull).

    It is what a recipient without a heart gets from the case as its donor: see ``ops.background_swap``.
    """
    count = len(images)
    recipients = torch.cat([images, images]), torch.cat([masks, torch.zeros_like(masks)])
    donors = torch.arange(count, device=images.device).repeat(2)
    return background_swap(*recipients, donors, "inpaint")[count:]


def silhouette(images: Tensor, masks: Tensor) -> Tensor:
    """Returns the mask alone: 1 inside it, 0 outside."""
    return masks.to(images.dtype)
