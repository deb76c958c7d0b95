"""Heart masks grown by some millimetres: what lies at the pericardium is no background shortcut."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

MARGINS = (5, 10)  # mm
_ROUNDING = 1e-9  # share of a margin within which a pixel's centre lies on its edge, and so inside


def dilated(masks: Tensor, spacing: Tensor, margins: Sequence[float]) -> list[Tensor]:
    """Returns masks grown by each margin: all pixels whose centre is so near to that of a heart pixel.

    Distances are Euclidean and exact: in every row the distance to the nearest heart pixel of that row,
    then over all rows within the margin.

    Args:
        masks: (N, H, W) bool.
        spacing: (N, 2) float64, of rows and of columns in mm; NaN where unknown: the mask is then empty.
        margins: in mm.

    Returns:
        A mask (N, H, W) bool a margin.
    """
    grown = [torch.zeros_like(masks) for _ in margins]
    known = spacing[~spacing.isnan().any(1)]
    if not len(known) or not masks.any():
        return grown
    smallest = known.amin(0).tolist()
    reach = [[math.floor(margin * (1 + _ROUNDING) / side) for side in smallest] for margin in margins]
    furthest = [max(steps) for steps in zip(*reach, strict=True)]
    # pixels beyond this box are out of reach of any heart of the batch
    box = (slice(None), _around(masks.any(0).any(1), furthest[0]), _around(masks.any(0).any(0), furthest[1]))
    down, across = (spacing[:, axis, None, None] for axis in (0, 1))
    beside = _columns_to_heart(masks[box]) * across
    for shift in range(-furthest[0], furthest[0] + 1):
        to, source = _shifted(shift, beside.shape[1])
        for margin, (rows, _), found in zip(margins, reach, grown, strict=True):
            if abs(shift) <= rows:
                left = (margin * (1 + _ROUNDING)) ** 2 - (shift * down) ** 2  # NaN compares as False
                found[box][:, to] |= beside[:, source] <= left.clamp(min=-1).sqrt()
    return grown


def _around(hit: Tensor, steps: int) -> slice:
    """Returns the range of what is hit (L,) bool and of ``steps`` more on either side."""
    first, last = hit.nonzero()[[0, -1], 0].tolist()
    return slice(max(first - steps, 0), last + steps + 1)


def _columns_to_heart(masks: Tensor) -> Tensor:
    """Returns how many columns away the row's nearest heart pixel is, infinite without one: float32."""
    width = masks.shape[2]
    at = torch.arange(width, dtype=torch.float32, device=masks.device)
    before = torch.where(masks, at, -torch.inf).cummax(2).values
    after = torch.where(masks, at, torch.inf).flip(2).cummin(2).values.flip(2)
    return torch.minimum(at - before, after - at)


def _shifted(shift: int, height: int) -> tuple[slice, slice]:
    """Returns the rows that take from the rows ``shift`` above them, and those; none beyond the height."""
    if abs(shift) >= height:
        return slice(0, 0), slice(0, 0)
    return slice(max(shift, 0), height + min(shift, 0)), slice(max(-shift, 0), height - max(shift, 0))
