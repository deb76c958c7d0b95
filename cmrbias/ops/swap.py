"""``background_swap``: each heart before the background of another case (the paper's Rand)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from cmrbias.errors import unknown
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
from cmrbias.ops.hearts import (
    Align,
    check_align,
    check_donors,
    check_masks,
    check_sizes,
    kernel_hearts,
    moved,
    shifts_of,
    trusted,
)

Fill = Literal["donor", "mean", "inpaint"]


def background_swap(
    images: Tensor, masks: Tensor, donors: Tensor, fill: Fill = "inpaint", align: Align = "none"
) -> Tensor:
    """Returns each case's heart before the background of another case of the batch.

    Inside its mask a case keeps its own pixels. Outside, it gets those of the same frame of its donor,
    selected, never blended: a NaN stays where it is. What takes the place of the donor's own heart:

    - ``donor``: nothing, the donor's heart shows (the paper's code);
    - ``mean``: the mean of that frame's pixels outside the donor's mask, summed in float64; 0 if there
      are none;
    - ``inpaint``: a smooth fill from the pixels outside the donor's mask, the push-pull pyramid of
      Gortler et al., "The Lumigraph" (SIGGRAPH 1996, section 3.4.2) with weights 0 and 1: cells of 2 x 2
      are averaged over what is known until one cell is left, then unknown cells are read off the
      next coarser level bilinearly; 0 if nothing is known. ``_inpaint`` below is the definition.

    With ``align="centroid"`` each donor's frame, filled, is moved by whole pixels so that the centroid of
    its heart falls on the recipient's (``centroid_shifts``). What comes in from beyond its border is 0,
    "outside the image", as at the borders of crops and rotations: nothing is made up there.

    The result is linear in the images, and so is the gradient, which reaches a case as recipient and as
    donor. The same bits come out for any number of threads and instruction set, on CPU and CUDA alike.

    Args:
        images: (N, C, H, W) float32, float64 or bfloat16, C the frames of a case. bfloat16 is computed
            in float32.
        masks: (N, C, H, W), or (N, 1, H, W) for all frames, bool or uint8, non-zero = heart.
        donors: (N,) int64, rows of the batch; a row may be its own donor.
        fill: see above.
        align: see above; ``none`` leaves frames where they are.

    Raises:
        CmrbiasError: a shape, dtype, device or name is not as above, or (CPU tensors, outside
            ``torch.compile``) a donor is no row of the batch. Elsewhere donors are clamped.

    Source: Xiao et al. 2020 ("Noise or Signal", mixed-rand), as in Nakashima et al. 2023 ("Rand").
    """
    check_tensors(images=images, masks=masks, donors=donors)
    _check_swap(images, masks, donors, fill)
    check_align(align)
    if not has_kernel(images.device):
        return background_swap_reference(images, masks, donors, fill, align)
    return _swap(images, masks, donors, shifts_of(masks, donors, align), fill)  # type: ignore[no-any-return]


def background_swap_reference(
    images: Tensor, masks: Tensor, donors: Tensor, fill: Fill = "inpaint", align: Align = "none"
) -> Tensor:
    """Returns what ``background_swap`` does, in plain torch."""
    heart = masks != 0
    known = ~heart.expand_as(images)
    real = images.float() if images.dtype == torch.bfloat16 else images
    background = images
    if fill == "mean":
        total = torch.where(known, images, 0).double().sum((2, 3), keepdim=True)
        mean = total / known.sum((2, 3), keepdim=True).clamp(min=1)
        background = torch.where(known, images, mean.to(images.dtype))
    elif fill == "inpaint":
        background = torch.where(known, images, _inpaint(real, known).to(images.dtype))
    given = background[donors.clamp(0, len(images) - 1)]
    return torch.where(heart, images, moved(given, shifts_of(masks, donors, align)))


def _inpaint(values: Tensor, known: Tensor) -> Tensor:
    """Returns values (N, C, H, W) with the unknown ones filled by push-pull, recursively."""
    values = torch.where(known, values, 0)
    height, width = values.shape[2:]
    even = (0, width % 2, 0, height % 2)
    parts, counts = F.pad(values, even), F.pad(known.to(values.dtype), even)
    total, count = (
        p[..., ::2, ::2] + p[..., ::2, 1::2] + p[..., 1::2, ::2] + p[..., 1::2, 1::2] for p in (parts, counts)
    )
    coarse, found = total / count.clamp(min=1), count > 0
    if coarse.shape[2:] != (1, 1):
        coarse = _inpaint(coarse, found)
    return torch.where(known, values, _double(_double(coarse, 2, height), 3, width))


def _double(coarse: Tensor, dim: int, length: int) -> Tensor:
    """Returns a dimension at twice the sampling, ``length`` long: 3/4 of the nearer cell, 1/4 of the next."""
    fine = torch.arange(length, device=coarse.device)
    nearer = fine // 2
    following = (nearer + 2 * (fine % 2) - 1).clamp(0, coarse.shape[dim] - 1)
    return 0.75 * coarse.index_select(dim, nearer) + 0.25 * coarse.index_select(dim, following)


def _check_swap(images: Tensor, masks: Tensor, donors: Tensor, fill: str) -> None:
    if fill not in get_args(Fill):
        raise unknown("fill", fill, get_args(Fill))
    if images.ndim != 4:
        raise wrong("images", "4 dimensions (N, C, H, W)", tuple(images.shape))
    check_floats("images", images)
    check_sizes("images", images)
    check_masks(masks)
    n, c, h, w = images.shape
    if masks.shape not in ((n, c, h, w), (n, 1, h, w)):
        raise wrong("masks", f"({n}, {c}, {h}, {w}) or ({n}, 1, {h}, {w})", tuple(masks.shape))
    check_device("masks", masks, images.device, "images")
    check_donors(donors, masks)


def _launch_swap(
    kernel: str, values: Tensor, masks: Tensor, donors: Tensor, shifts: Tensor | None, fill: str
) -> Tensor:
    """Runs a kernel over images, or over gradients of the result, and returns what it wrote."""
    values = values.contiguous()
    output = torch.empty_like(values)
    if values.numel() == 0:
        return output
    n, c = values.shape[:2]
    labels, donors, shifts = trusted(masks, donors, shifts)
    order = None
    if values.device.type == "cpu" or kernel.endswith("backward") or fill != "donor":
        order = grouped_by_donor(donors)
    swap = _C.Swap(
        hearts=kernel_hearts(labels, donors, shifts),
        type=kernel_type(values),
        fill=getattr(_C.Fill, fill),
        frames=c,
        input=values.data_ptr(),
        order=0 if order is None else order.data_ptr(),
        starts=0 if order is None else order.data_ptr() + n * order.element_size(),
        output=output.data_ptr(),
    )
    launch(kernel, values.device, swap, scratch_bytes=lambda: n * c * swap.scratch_bytes)
    return output


def grouped_by_donor(donors: Tensor) -> Tensor:
    """Returns (2 N + 1,) int64: recipients sorted by donor, stably, then where those of each donor begin."""
    if donors.device.type != "cpu":
        return grouped_by_donor_reference(donors)
    order = donors.new_empty(2 * len(donors) + 1)  # 0.2 ms less than torch's operators from cold caches
    _C.group_by_donor(donors.data_ptr(), len(donors), order.data_ptr())
    return order


def grouped_by_donor_reference(donors: Tensor) -> Tensor:
    """Returns what ``grouped_by_donor`` does, in plain torch, which is also the way on CUDA."""
    in_order, order = donors.sort(stable=True)
    starts = torch.searchsorted(in_order, torch.arange(len(donors) + 1, device=donors.device))
    return torch.cat([order, starts])


def _swap_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, masks, donors, shifts, ctx.fill = inputs
    ctx.save_for_backward(masks, donors, shifts)


def _register_swap(kernel: str, transposed: str) -> Callable[..., Any]:
    """Registers one of two linear maps, each of which is the other's gradient, and returns what calls it."""

    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        operator = getattr(torch.ops.cmrbias, transposed)
        return operator(gradient, *ctx.saved_tensors, ctx.fill), None, None, None, None

    return register_differentiable(
        kernel,
        "(Tensor values, Tensor masks, Tensor donors, Tensor? shifts, str fill) -> Tensor",
        functools.partial(_launch_swap, kernel),
        lambda values, *_: values.new_empty(values.shape),
        _swap_context,
        backward,
    )


_swap = _register_swap("background_swap", "background_swap_backward")
_register_swap("background_swap_backward", "background_swap")
