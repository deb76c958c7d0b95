"""``project_masks``: masks on a map's grid, by the adjoint of the upsampling."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from cmrbias.ops.extension import _C, check_mask_dtype, check_tensors, has_kernel, launch, register, wrong
from cmrbias.ops.upsample import divisors, weights


class Projection(NamedTuple):
    """Masks summed onto a grid: all that AKS and soft DSC need of them.

    With U the bilinear upsampling from (h, w) to (H, W), ``cells * unit`` is ``U^T y``, so that the sum
    of an upsampled map inside the mask is the sum of ``map * cells * unit``. Where H / h and W / w are
    whole numbers, ``cells`` holds exact integers.

    Attributes:
        cells: (N, h, w) float64.
        areas: (N,) int64, heart pixels.
        rows, columns: H and W.
        unit: what one of ``cells`` is worth.
    """

    cells: Tensor
    areas: Tensor
    rows: int
    columns: int
    unit: float


def project_masks(masks: Tensor, size: tuple[int, int]) -> Projection:
    """Returns masks projected onto a grid of ``size`` (h, w): compute once, use for every map and epoch.

    Args:
        masks: (N, H, W) bool or uint8, non-zero = heart.
        size: h and w of the maps.

    Raises:
        CmrbiasError: a shape, dtype or size is not as above.
    """
    check_tensors(masks=masks)
    check_masks(masks)
    height, width = size
    if not (0 < height < 2**15 and 0 < width < 2**15):
        raise wrong("size", "h and w of 1 to 32767", tuple(size))
    project = torch.ops.cmrbias.project_masks.default if has_kernel(masks.device) else project_masks_reference
    cells, areas = project(masks, height, width)
    return Projection(cells, areas, masks.shape[1], masks.shape[2], unit(height, width, *masks.shape[1:]))


def unit(height: int, width: int, rows: int, columns: int) -> float:
    """Returns what one of a projection's ``cells`` is worth."""
    down, right = divisors(height, width, rows, columns)
    return 1 / (down * right)


def project_masks_reference(masks: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Returns cells and areas as ``project_masks`` does, by plain matrix products in float64."""
    heart = masks != 0
    rows, columns = masks.shape[1:]
    down, right = divisors(height, width, rows, columns)
    # rounding takes the fractions' own rounding out where they are whole numbers
    vertical = weights(height, rows, masks.device) * down
    horizontal = weights(width, columns, masks.device) * right
    if down > 1 or right > 1:
        vertical, horizontal = vertical.round(), horizontal.round()
    cells = torch.einsum("yj,nyx,xq->njq", vertical, heart.double(), horizontal)
    return cells, heart.sum((1, 2))


def check_masks(masks: Tensor) -> None:
    """Raises CmrbiasError unless masks are (N, H, W) bool or uint8, with at least one pixel."""
    if masks.ndim != 3:
        raise wrong("masks", "3 dimensions (N, H, W)", tuple(masks.shape))
    check_mask_dtype(masks)
    if not 0 < masks.shape[1] * masks.shape[2] < 2**30:
        raise wrong("masks", "H * W of 1 to 2^30 - 1", tuple(masks.shape))


def _launch(masks: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    masks = masks.contiguous().view(torch.uint8)
    cells, areas = _empty(masks, height, width)
    if len(masks):
        projection = _C.Projection(
            images=masks.shape[0],
            height=height,
            width=width,
            rows=masks.shape[1],
            columns=masks.shape[2],
            masks=masks.data_ptr(),
            cells=cells.data_ptr(),
            areas=areas.data_ptr(),
        )
        launch("project_masks", masks.device, projection, scratch_bytes=lambda: projection.scratch_bytes)
    return cells, areas


def _empty(masks: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    cells = masks.new_empty((masks.shape[0], height, width), dtype=torch.float64)
    return cells, masks.new_empty((masks.shape[0],), dtype=torch.int64)


register("project_masks", "(Tensor masks, SymInt height, SymInt width) -> (Tensor, Tensor)", _launch, _empty)
