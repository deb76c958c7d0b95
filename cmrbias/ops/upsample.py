"""Bilinear upsampling as everything that decides uses it: float64, one expression, one order.

Per axis ``s = max((i + 0.5) * h / H - 0.5, 0)`` and ``f = s - floor(s)``; between the four nearest cells
``top = a + (b - a) * fx``, ``bottom`` alike, ``v = top + (bottom - top) * fy``. It is
``F.interpolate(mode="bilinear", align_corners=False)`` up to the last bits, which a threshold turns into
another answer. ``csrc/math.h`` holds the same for the kernels.
"""

from __future__ import annotations

import torch
from torch import Tensor


def sample(cells: int, pixels: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Returns each pixel's cell int64, the next cell int64, and its fraction between, float64: (pixels,)."""
    at = (torch.arange(pixels, dtype=torch.float64, device=device) + 0.5) * cells / pixels - 0.5
    at = at.clamp(min=0)
    cell = at.floor()
    return cell.long(), (cell.long() + 1).clamp(max=cells - 1), at - cell


def upsample(maps: Tensor, rows: int, columns: int) -> Tensor:
    """Returns maps (..., h, w) upsampled to (..., rows, columns), float64."""
    real = maps.double()
    here, after, fraction = sample(maps.shape[-1], columns, maps.device)
    left, right = real[..., here], real[..., after]
    across = left + (right - left) * fraction
    here, after, fraction = sample(maps.shape[-2], rows, maps.device)
    top, bottom = across[..., here, :], across[..., after, :]
    return top + (bottom - top) * fraction[:, None]


def weights(cells: int, pixels: int, device: torch.device) -> Tensor:
    """Returns what each pixel takes from each cell of an axis, (pixels, cells) float64."""
    here, after, fraction = sample(cells, pixels, device)
    matrix = torch.zeros(pixels, cells, dtype=torch.float64, device=device)
    matrix.scatter_add_(1, here[:, None], (1 - fraction)[:, None])
    return matrix.scatter_add_(1, after[:, None], fraction[:, None])


def weights_of_all(height: int, width: int, rows: int, columns: int, device: torch.device) -> Tensor:
    """Returns what all pixels together take from each cell, (height, width) float64."""
    vertical = weights(height, rows, device).sum(0)
    return vertical[:, None] * weights(width, columns, device).sum(0)


def divisors(height: int, width: int, rows: int, columns: int) -> tuple[float, float]:
    """Returns the units in which projections count: fractions are whole numbers of 1 / divisor.

    ``(2 * rows / height, 2 * columns / width)`` where both scales are whole numbers and all sums stay
    exact in float64, else ``(1, 1)``.
    """
    if rows % height or columns % width:
        return 1.0, 1.0
    down, right = rows // height, columns // width
    exact = 4 * down * right * rows * columns < 2**53
    return (2.0 * down, 2.0 * right) if exact else (1.0, 1.0)
