"""``background-box``: one square over the heart, the same size for every case and frame.

The hole of ``background`` has the heart's outline, and so says how large the heart is. This one does
not: claims about context rest on it (paper.md, "Input modes").
"""

from __future__ import annotations

import torch
from torch import Tensor


def extents(masks: Tensor) -> Tensor:
    """Returns the longer side of the mask's bounding box, in pixels: (N, F, H, W) bool -> (N, F) int64."""
    height, width = (last - first + 1 for first, last in (_span(masks, 2), _span(masks, 3)))
    return torch.where(masks.any(3).any(2), torch.maximum(height, width), 0)


def background_box(images: Tensor, masks: Tensor, side: int) -> Tensor:
    """Returns images (N, F, H, W) that are 0 in a square over the heart.

    The square is centred on the bounding box of the mask (N, F, H, W) and moved inside the image where
    it would leave it, so that it hides as many pixels in every image; it then still covers the mask. A
    mask that is larger than the square, as another cohort's may be, is 0 too: the heart never shows.
    """
    rows, columns = (_covered(masks, dim, side) for dim in (2, 3))
    square = rows[..., :, None] & columns[..., None, :]
    return images.masked_fill(square | masks, 0)


def _covered(masks: Tensor, dim: int, side: int) -> Tensor:
    """Returns which rows (``dim`` 2) or columns (3) the square covers: (N, F, H or W) bool."""
    length = masks.shape[dim]
    first, last = _span(masks, dim)
    start = ((first + last + 1 - side) // 2).clamp(max=length - side).clamp(min=0)
    at = torch.arange(length, device=masks.device)
    return (at >= start[..., None]) & (at < start[..., None] + side)


def _span(masks: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Returns the first and last row (``dim`` 2) or column (3) with mask in it; all where there is none."""
    hit = masks.any(5 - dim).int()
    first = hit.argmax(2)  # the first of equals
    last = hit.shape[2] - 1 - hit.flip(2).argmax(2)
    return first, last
