"""``overlap``: the sums from which every overlap score follows, without an upsampled map."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from cmrbias.errors import CmrbiasError
from cmrbias.ops.extension import check_device, check_floats, check_tensors, has_kernel, wrong
from cmrbias.ops.gradcam import check_gradcam, gradcam_reference
from cmrbias.ops.overlap_operators import overlap_masks, overlap_projected
from cmrbias.ops.projection import Projection, check_masks, project_masks_reference, unit
from cmrbias.ops.upsample import upsample, weights_of_all


class Overlap(NamedTuple):
    """Maps against masks, a row an image; with several maps an image every field is (N, M) or (N, 1).

    x is the map upsampled to the mask's size, bilinear, then scaled to [0, 1] by its own minimum and
    maximum; y is the mask. ``range = maximum - minimum`` is 0 for a constant map, whose x is 0.
    A map that is negative or not finite somewhere has NaN in all sums and 0 in all counts.

    Attributes:
        saliency: float64, sum of ``x * range``. Differentiable.
        inside: float64, sum of ``x * y * range``. Differentiable.
        minimum: float64, of the upsampled map. Differentiable: to its first pixel in row-major order.
        maximum: likewise.
        area: float64, heart pixels.
        ceiling: float64, the best AKS that a map of this grid can reach, with all its weight in one cell.
        hot_area: int64, pixels with ``x >= threshold``; None without a threshold and for projected masks, as
            the next two.
        hot_inside: int64, those of them in the heart.
        peak_inside: int64, 1 if a pixel that equals the maximum lies in the heart, else 0.
        pixels: H * W.
    """

    saliency: Tensor
    inside: Tensor
    minimum: Tensor
    maximum: Tensor
    area: Tensor
    ceiling: Tensor
    hot_area: Tensor | None
    hot_inside: Tensor | None
    peak_inside: Tensor | None
    pixels: int


def overlap(maps: Tensor, masks: Tensor | Projection, threshold: float | None = 0.5) -> Overlap:
    """Returns how maps lie on heart masks: one pass over the masks, whatever the number of maps.

    Decisions (threshold, peak) are exact: those of float64 arithmetic in the order of ``upsample``,
    where the last bit counts. Sums are float64 in a fixed order. Memory does not grow with H x W.

    Args:
        maps: (N, h, w), or (N, M, h, w) for M maps an image; float32, float64 or bfloat16, not negative.
        masks: (N, H, W) bool or uint8, non-zero = heart; or their projection by ``project_masks`` onto
            (h, w), which gives the same sums, and no counts.
        threshold: of [0, 1]-scaled maps, inside (0, 1); None leaves the counts out: AKS, DSC and all that
            follows from sums need none.

    Raises:
        CmrbiasError: a shape, dtype, device or the threshold is not as above.

    Source: AKS and DSC as in Nakashima et al. 2023, section 4.1.
    """
    check_tensors(maps=maps)
    check_floats("maps", maps)
    _check("maps", maps.shape, maps.device, masks, threshold)
    if isinstance(masks, Projection):
        pixels = masks.rows * masks.columns
        if has_kernel(maps.device):
            sums, of_mask = overlap_projected(maps, masks.cells, masks.areas, masks.rows, masks.columns)
        else:
            sums, of_mask = _projected_reference(maps, masks)
        return _named(sums, None, of_mask, pixels)
    pixels = masks.shape[1] * masks.shape[2]
    if not has_kernel(maps.device):
        return overlap_reference(maps, masks, threshold)
    sums, counts, of_mask = overlap_masks(maps, masks, threshold)
    return _named(sums, counts, of_mask, pixels)


def gradcam_overlap(
    activations: Tensor, gradients: Tensor, masks: Tensor, threshold: float | None = 0.5
) -> tuple[Tensor, Overlap]:
    """Returns ``gradcam`` and its ``overlap`` from one pass over everything: the same bits, no gradients.

    Args:
        activations: as in ``gradcam``.
        gradients: as in ``gradcam``.
        masks: (N, H, W) bool or uint8, non-zero = heart.
        threshold: as in ``overlap``.

    Raises:
        CmrbiasError: an argument is not as above, or a gradient is asked for.
    """
    check_gradcam(activations, gradients)
    shape = (*gradients.shape[:-3], *gradients.shape[-2:])
    _check("activations", shape, activations.device, masks, threshold)
    if torch.is_grad_enabled() and (activations.requires_grad or gradients.requires_grad):
        raise CmrbiasError(
            "gradcam_overlap: is for inference only, but an argument requires a gradient: "
            "call it under torch.no_grad(), or call gradcam and overlap"
        )
    if not has_kernel(activations.device):
        maps = gradcam_reference(activations, gradients)
        return maps, overlap_reference(maps, masks, threshold)
    operator = torch.ops.cmrbias.gradcam_overlap.default
    maps, sums, counts, of_mask = operator(activations, gradients, masks, threshold)
    return maps, _named(sums, counts, of_mask, masks.shape[1] * masks.shape[2])


def overlap_reference(maps: Tensor, masks: Tensor, threshold: float | None = 0.5) -> Overlap:
    """Returns what ``overlap`` does for masks, in plain torch: upsample, normalise, sum, all in float64."""
    heart = masks != 0
    if maps.ndim == 4:
        heart = heart[:, None]
    rows, columns = masks.shape[1:]
    good = _usable(maps)
    whole = upsample(torch.where(good[..., None, None], maps, 0), rows, columns)
    low, high = whole.flatten(-2).min(-1).values, whole.flatten(-2).max(-1).values
    varies = (good & (high > low))[..., None, None]
    above = whole - low[..., None, None]
    sums = [above.sum((-2, -1)), (above * heart).sum((-2, -1)), low, high]
    counts = None
    if threshold is not None:
        hot = (above >= (threshold * (high - low))[..., None, None]) & varies
        peak = ((whole == high[..., None, None]) & heart & varies).flatten(-2).any(-1)
        counts = torch.stack([hot.sum((-2, -1)), (hot & heart).sum((-2, -1)), peak.long()], -1)
    of_mask = _of_mask(*project_masks_reference(masks, *maps.shape[-2:]), rows, columns, maps.ndim)
    sums = [torch.where(good, value, torch.nan) for value in sums]
    return _named(torch.stack(sums, -1), counts, of_mask, rows * columns)


def _projected_reference(maps: Tensor, masks: Projection) -> tuple[Tensor, Tensor]:
    good = _usable(maps)
    real = torch.where(good[..., None, None], maps, 0).double()
    whole = upsample(real, masks.rows, masks.columns).flatten(-2)
    low, high = whole.min(-1).values, whole.max(-1).values
    above = real - low[..., None, None]
    height, width = maps.shape[-2:]
    of_all = weights_of_all(height, width, masks.rows, masks.columns, maps.device)
    cells = masks.cells if maps.ndim == 3 else masks.cells[:, None]
    sums = [(above * of_all).sum((-2, -1)), (above * cells).sum((-2, -1)) * masks.unit, low, high]
    of_mask = _of_mask(masks.cells, masks.areas, masks.rows, masks.columns, maps.ndim)
    return torch.stack([torch.where(good, value, torch.nan) for value in sums], -1), of_mask


def _usable(maps: Tensor) -> Tensor:
    """Returns which maps are nowhere negative, infinite or NaN."""
    return ((maps >= 0) & maps.isfinite()).flatten(-2).all(-1)


def _of_mask(cells: Tensor, areas: Tensor, rows: int, columns: int, ndim: int) -> Tensor:
    """Returns area and ceiling (N, 2) float64, or (N, 1, 2) for several maps an image."""
    height, width = cells.shape[1:]
    of_all = weights_of_all(height, width, rows, columns, cells.device)
    shares = cells * unit(height, width, rows, columns) / of_all
    best = torch.where(of_all > 0, shares, 0).flatten(1).amax(1).clamp(max=1)
    of_mask = torch.stack([areas.double(), best], -1)
    return of_mask if ndim == 3 else of_mask[:, None]


def _named(sums: Tensor, counts: Tensor | None, of_mask: Tensor, pixels: int) -> Overlap:
    saliency, inside, minimum, maximum = sums.unbind(-1)
    area, ceiling = of_mask.unbind(-1)
    if counts is None or not counts.shape[-1]:
        return Overlap(saliency, inside, minimum, maximum, area, ceiling, None, None, None, pixels)
    hot, both, peak = counts.unbind(-1)
    return Overlap(saliency, inside, minimum, maximum, area, ceiling, hot, both, peak, pixels)


def _check(
    name: str,
    shape: tuple[int, ...],
    device: torch.device,
    masks: Tensor | Projection,
    threshold: float | None,
) -> None:
    """Raises CmrbiasError unless maps of a shape go with the masks."""
    if len(shape) not in (3, 4):
        raise wrong(name, "3 or 4 dimensions (N, h, w) or (N, M, h, w)", tuple(shape))
    if not (0 < shape[-2] < 2**15 and 0 < shape[-1] < 2**15):
        raise wrong(name, "h and w of 1 to 32767", tuple(shape))
    if threshold is not None and not 0 < threshold < 1:
        raise wrong("threshold", "a number inside (0, 1)", threshold)
    if isinstance(masks, Projection):
        grid = (shape[0], *shape[-2:])
        if tuple(masks.cells.shape) != grid:
            raise wrong("masks", f"a projection of shape {grid}, as the {name}", tuple(masks.cells.shape))
        masks = masks.cells
    else:
        check_tensors(masks=masks)
        check_masks(masks)
        if masks.shape[0] != shape[0]:
            raise wrong("masks", f"{shape[0]} masks, one for each row of the {name}", masks.shape[0])
    check_device("masks", masks, device, name)
