"""The operators behind ``overlap``: what the kernels are given, shapes, and the gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cmrbias.ops.extension import _C, kernel_type, launch, register, register_differentiable
from cmrbias.ops.gradcam import empty_maps, gradcam_arguments
from cmrbias.ops.projection import unit
from cmrbias.ops.upsample import weights, weights_of_all


def _launch_overlap(maps: Tensor, masks: Tensor, threshold: float | None) -> tuple[Tensor, Tensor, Tensor]:
    maps, masks = maps.contiguous(), masks.contiguous()
    sums, counts, of_mask = _empty(maps, masks, threshold)
    if sums.numel():
        arguments = _arguments(maps, masks, threshold, sums, counts, of_mask)
        launch("overlap", maps.device, arguments, scratch_bytes=lambda: arguments.scratch_bytes)
    return sums, counts, of_mask


def _launch_projected(
    maps: Tensor, cells: Tensor, areas: Tensor, rows: int, columns: int
) -> tuple[Tensor, Tensor]:
    maps, cells, areas = maps.contiguous(), cells.contiguous(), areas.contiguous()
    sums, of_mask = _empty_projected(maps)
    if sums.numel():
        given = {"rows": rows, "columns": columns, "cells": cells.data_ptr(), "areas": areas.data_ptr()}
        arguments = _arguments(maps, None, None, sums, None, of_mask, **given)
        launch("overlap", maps.device, arguments, scratch_bytes=lambda: arguments.scratch_bytes)
    return sums, of_mask


def _launch_fused(
    activations: Tensor, gradients: Tensor, masks: Tensor, threshold: float | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    activations, gradients, masks = activations.contiguous(), gradients.contiguous(), masks.contiguous()
    maps = empty_maps(activations, gradients)
    sums, counts, of_mask = _empty(maps, masks, threshold)
    if sums.numel():
        first = gradcam_arguments(activations, gradients, maps)
        then = _arguments(maps, masks, threshold, sums, counts, of_mask)
        launch(
            "gradcam_overlap",
            maps.device,
            first,
            then,
            scratch_bytes=lambda: first.scratch_bytes + then.scratch_bytes,
        )
    return maps, sums, counts, of_mask


def _arguments(
    maps: Tensor,
    masks: Tensor | None,
    threshold: float | None,
    sums: Tensor,
    counts: Tensor | None,
    of_mask: Tensor,
    **given: int,
) -> Any:
    """Returns the kernels' description of a computation; all tensors must be contiguous."""
    if masks is not None:
        given = {"rows": masks.shape[1], "columns": masks.shape[2], "cells": 0, "areas": 0}
    return _C.Overlap(
        type=kernel_type(maps),
        images=maps.shape[0],
        targets=maps.shape[1] if maps.ndim == 4 else 1,
        height=maps.shape[-2],
        width=maps.shape[-1],
        threshold=threshold or 0.0,
        maps=maps.data_ptr(),
        masks=0 if masks is None else masks.data_ptr(),
        sums=sums.data_ptr(),
        counts=0 if threshold is None or counts is None else counts.data_ptr(),
        of_mask=of_mask.data_ptr(),
        **given,
    )


def _empty(maps: Tensor, masks: Tensor, threshold: float | None) -> tuple[Tensor, Tensor, Tensor]:
    sums, of_mask = _empty_projected(maps)
    counts = (*maps.shape[:-2], 0 if threshold is None else 3)
    return sums, torch.empty(counts, dtype=torch.int64, device=maps.device), of_mask


def _empty_projected(maps: Tensor, *_: object) -> tuple[Tensor, Tensor]:
    sums = torch.empty((*maps.shape[:-2], 4), dtype=torch.float64, device=maps.device)
    of_mask = (maps.shape[0], 2) if maps.ndim == 3 else (maps.shape[0], 1, 2)
    return sums, torch.empty(of_mask, dtype=torch.float64, device=maps.device)


def _empty_fused(
    activations: Tensor, gradients: Tensor, masks: Tensor, threshold: float | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    maps = empty_maps(activations, gradients)
    sums, counts, of_mask = _empty(maps, masks, threshold)
    return maps, sums, counts, of_mask


def _launch_extremes(maps: Tensor, rows: int, columns: int) -> Tensor:
    maps = maps.contiguous()
    pixels = _empty_extremes(maps, rows, columns)
    if pixels.numel():
        extremes = _C.Extremes(
            type=kernel_type(maps),
            images=pixels.numel() // 2,
            height=maps.shape[-2],
            width=maps.shape[-1],
            rows=rows,
            columns=columns,
            maps=maps.data_ptr(),
            pixels=pixels.data_ptr(),
        )
        launch("extreme_pixels", maps.device, extremes, scratch_bytes=lambda: extremes.scratch_bytes)
    return pixels


def _empty_extremes(maps: Tensor, rows: int, columns: int) -> Tensor:
    return maps.new_empty((*maps.shape[:-2], 2), dtype=torch.int64)


# --- the gradient ---------------------------------------------------------------------------------


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs[:2])
    ctx.mark_non_differentiable(*output[1:])


def _save_projected(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    maps, cells, areas, ctx.rows, ctx.columns = inputs
    ctx.save_for_backward(maps, cells, areas)
    ctx.mark_non_differentiable(output[1])


def _backward(ctx: Any, of_sums: Tensor, *_: object) -> tuple[Tensor, None, None]:
    maps, masks = ctx.saved_tensors
    cells, areas = torch.ops.cmrbias.project_masks(masks, *maps.shape[-2:])
    return _of_maps(of_sums, maps, cells, areas, masks.shape[1], masks.shape[2]), None, None


def _backward_projected(ctx: Any, of_sums: Tensor, *_: object) -> tuple[Tensor, None, None, None, None]:
    maps, cells, areas = ctx.saved_tensors
    return _of_maps(of_sums, maps, cells, areas, ctx.rows, ctx.columns), None, None, None, None


def _of_maps(of_sums: Tensor, maps: Tensor, cells: Tensor, areas: Tensor, rows: int, columns: int) -> Tensor:
    """Returns the maps' gradient from that of the sums: all four are linear, once it is known where the
    extremes lie. Saliency is ``sum(U c) - H W minimum``, inside ``sum((U c) y) - area minimum``."""
    height, width = maps.shape[-2:]
    if maps.ndim == 4:
        cells, areas = cells[:, None], areas[:, None]
    saliency, inside, minimum, maximum = of_sums.unbind(-1)
    minimum = minimum - saliency * (rows * columns) - inside * areas
    pixels = torch.ops.cmrbias.extreme_pixels(maps.detach(), rows, columns)
    good = pixels[..., :1, None] >= 0
    lowest, highest = (_at(pixel, maps, rows, columns) for pixel in pixels.clamp(min=0).unbind(-1))
    total = saliency[..., None, None] * weights_of_all(height, width, rows, columns, maps.device)
    total = total + inside[..., None, None] * (cells * unit(height, width, rows, columns))
    total = total + minimum[..., None, None] * lowest + maximum[..., None, None] * highest
    return torch.where(good, total, torch.nan).to(maps.dtype)


def _at(pixel: Tensor, maps: Tensor, rows: int, columns: int) -> Tensor:
    """Returns what each pixel (...) of an upsampled map takes from each cell, (..., h, w) float64."""
    vertical = weights(maps.shape[-2], rows, maps.device)[pixel // columns]
    horizontal = weights(maps.shape[-1], columns, maps.device)[pixel % columns]
    return vertical[..., :, None] * horizontal[..., None, :]


register(
    "extreme_pixels",
    "(Tensor maps, SymInt rows, SymInt columns) -> Tensor",
    _launch_extremes,
    _empty_extremes,
)
overlap_masks = register_differentiable(
    "overlap",
    "(Tensor maps, Tensor masks, float? threshold) -> (Tensor sums, Tensor counts, Tensor of_mask)",
    _launch_overlap,
    _empty,
    _save,
    _backward,
)
overlap_projected = register_differentiable(
    "overlap_projected",
    "(Tensor maps, Tensor cells, Tensor areas, SymInt rows, SymInt columns) -> (Tensor, Tensor)",
    _launch_projected,
    _empty_projected,
    _save_projected,
    _backward_projected,
)
register(
    "gradcam_overlap",
    "(Tensor activations, Tensor gradients, Tensor masks, float? threshold)"
    " -> (Tensor maps, Tensor sums, Tensor counts, Tensor of_mask)",
    _launch_fused,
    _empty_fused,
)
