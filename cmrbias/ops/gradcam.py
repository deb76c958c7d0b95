"""``gradcam``: a class's map from activations and gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cmrbias.ops.extension import (
    _C,
    check_device,
    check_floats,
    check_tensors,
    has_kernel,
    kernel_type,
    launch,
    register_differentiable,
    wrong,
)


def gradcam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Returns ``relu(sum_k w_k A_k)`` with ``w_k`` the mean of ``G_k`` over its cells.

    Summed in float64 in a fixed order: the same bits for any number of threads and instruction set.
    Differentiable in both arguments.

    Args:
        activations: (N, K, h, w) float32, float64 or bfloat16, A of the target layer.
        gradients: (N, K, h, w), or (N, M, K, h, w) for M targets (classes) an image; G, the gradient of
            the target's logit; dtype and device of the activations.

    Returns:
        Maps (N, h, w), or (N, M, h, w): float64 for float64, else float32. Not negative; NaN stays NaN.

    Raises:
        CmrbiasError: a shape, dtype or device is not as above.

    Source: Selvaraju et al. 2017, "Grad-CAM", equations 1 and 2.
    """
    check_gradcam(activations, gradients)
    if not has_kernel(activations.device):
        return gradcam_reference(activations, gradients)
    return _gradcam(activations, gradients)  # type: ignore[no-any-return]


def gradcam_reference(activations: Tensor, gradients: Tensor) -> Tensor:
    """Returns what ``gradcam`` does, in plain torch, computed in float64."""
    weights = gradients.double().mean((-2, -1), keepdim=True)
    real = activations.double()
    maps = (weights * (real if gradients.ndim == 4 else real[:, None])).sum(-3).relu()
    return maps.to(map_dtype(activations.dtype))


def map_dtype(dtype: torch.dtype) -> torch.dtype:
    """Returns the dtype of the maps of activations of a dtype."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def check_gradcam(activations: Tensor, gradients: Tensor) -> None:
    """Raises CmrbiasError unless the arguments are as ``gradcam`` says."""
    check_tensors(activations=activations, gradients=gradients)
    if activations.ndim != 4:
        raise wrong("activations", "4 dimensions (N, K, h, w)", tuple(activations.shape))
    check_floats("activations", activations)
    shape = tuple(activations.shape)
    several = gradients.ndim == 5 and (gradients.shape[0], *gradients.shape[2:]) == shape
    if tuple(gradients.shape) != shape and not several:
        n, *rest = shape
        several_shape = f"({n}, M, {', '.join(map(str, rest))})"
        raise wrong("gradients", f"{shape} as the activations, or {several_shape}", tuple(gradients.shape))
    if gradients.dtype != activations.dtype:
        raise wrong("gradients", f"{activations.dtype} as the activations", gradients.dtype)
    check_device("gradients", gradients, activations.device, "activations")
    if shape[2] * shape[3] == 0:
        raise wrong("activations", "at least one cell", shape)
    if max(shape[1], shape[2] * shape[3]) >= 2**30:  # the kernels' int
        raise wrong("activations", "K < 2^30 and h * w < 2^30", shape)


def gradcam_arguments(activations: Tensor, gradients: Tensor, maps: Tensor) -> Any:
    """Returns the kernels' description of a computation; all tensors must be contiguous."""
    return _C.Gradcam(
        type=kernel_type(activations),
        images=activations.shape[0],
        targets=gradients.shape[1] if gradients.ndim == 5 else 1,
        channels=activations.shape[1],
        cells=activations.shape[2] * activations.shape[3],
        activations=activations.data_ptr(),
        gradients=gradients.data_ptr(),
        maps=maps.data_ptr(),
    )


def empty_maps(activations: Tensor, gradients: Tensor) -> Tensor:
    """Returns an uninitialised tensor for the maps."""
    shape = (*gradients.shape[:-3], *gradients.shape[-2:])
    return activations.new_empty(shape, dtype=map_dtype(activations.dtype))


def _launch(activations: Tensor, gradients: Tensor) -> Tensor:
    activations, gradients = activations.contiguous(), gradients.contiguous()
    maps = empty_maps(activations, gradients)
    if maps.numel():
        arguments = gradcam_arguments(activations, gradients, maps)
        launch("gradcam", maps.device, arguments, scratch_bytes=lambda: arguments.scratch_bytes)
    return maps


def _save(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs, output)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
    activations, gradients, maps = ctx.saved_tensors
    real = torch.where(maps > 0, gradient, 0).unsqueeze(-3)  # (N, [M,] 1, h, w)
    weights = gradients.to(maps.dtype).mean((-2, -1), keepdim=True)
    of_activations = weights * real
    several = gradients.ndim == 5
    if several:
        of_activations = of_activations.sum(1)
    used = activations.to(maps.dtype)
    used = used[:, None] if several else used
    of_weights = (real * used).sum((-2, -1), keepdim=True) / (maps.shape[-2] * maps.shape[-1])
    return of_activations.to(activations.dtype), of_weights.expand(gradients.shape).to(gradients.dtype)


_gradcam = register_differentiable(
    "gradcam", "(Tensor activations, Tensor gradients) -> Tensor", _launch, empty_maps, _save, _backward
)
