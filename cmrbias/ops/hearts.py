"""Where hearts lie: the shift of a donor's onto the recipient's, and how much of it still shows."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor

from cmrbias.errors import CmrbiasError, unknown
from cmrbias.ops.extension import (
    _C,
    check_device,
    check_mask_dtype,
    check_tensors,
    has_kernel,
    launch,
    register,
    wrong,
)

__all__ = [
    "Align", "background_residual", "background_residual_reference", "centroid_shifts",
    "check_align", "check_donors", "check_masks", "check_sizes", "kernel_hearts", "moved", "shifts_of",
    "trusted",
]  # fmt: skip

Align = Literal["none", "centroid"]


def centroid_shifts(masks: Tensor, donors: Tensor) -> Tensor:
    """Returns by how many pixels each frame's donor is moved so that the hearts' centroids coincide.

    A shift is floor(r - d + 1/2), r and d the recipient's and the donor's mean row (column), computed
    in integers: the same on every device. Where either heart is empty it is 0.

    Args:
        masks: (N, C, H, W) bool or uint8, non-zero = heart.
        donors: (N,) int64, rows of the batch.

    Returns:
        (N, C, 2) int64, pixels down and to the right.

    Raises:
        CmrbiasError: a shape, dtype or donor is not as above.
    """
    check_tensors(masks=masks, donors=donors)
    check_masks(masks)
    check_donors(donors, masks)
    heart_sums = torch.ops.cmrbias.heart_sums if has_kernel(masks.device) else _heart_sums_reference
    return _shifts(heart_sums(masks), donors.clamp(0, len(masks) - 1))


def background_residual(masks: Tensor, donors: Tensor, align: Align = "none") -> Tensor:
    """Returns the share of a swapped frame's pixels where its donor's heart lies outside its own.

    There the donor's heart shows with ``fill="donor"``, and is filled with the other two.

    Args:
        masks: (N, C, H, W) bool or uint8, non-zero = heart.
        donors: (N,) int64, rows of the batch.
        align: as in ``background_swap``: with ``centroid`` it is the moved donor's heart that counts.

    Returns:
        (N, C) float32 in [0, 1].

    Raises:
        CmrbiasError: a shape, dtype, donor or name is not as above.
    """
    check_tensors(masks=masks, donors=donors)
    check_align(align)
    check_masks(masks)
    check_donors(donors, masks)
    if not has_kernel(masks.device):
        return background_residual_reference(masks, donors, align)
    pixels: Tensor = torch.ops.cmrbias.heart_residual(masks, donors, shifts_of(masks, donors, align))
    of_frame = torch.full((), masks.shape[2] * masks.shape[3], device=masks.device)
    return pixels / of_frame  # a number would be multiplied by its inverse on CUDA, a last bit off


def background_residual_reference(masks: Tensor, donors: Tensor, align: Align = "none") -> Tensor:
    """Returns what ``background_residual`` does, in plain torch."""
    heart = masks != 0
    shown = moved(heart[donors.clamp(0, len(masks) - 1)], shifts_of(masks, donors, align))
    return (shown > heart).sum((2, 3)) / (masks.shape[2] * masks.shape[3])


def shifts_of(masks: Tensor, donors: Tensor, align: Align) -> Tensor | None:
    """Returns ``centroid_shifts``, or None where frames stay."""
    return centroid_shifts(masks, donors) if align == "centroid" else None


def moved(values: Tensor, shifts: Tensor | None) -> Tensor:
    """Returns frames (N, C, H, W) moved by ``shifts`` (N, C or 1, 2), 0 where nothing comes in."""
    if shifts is None:
        return values
    for dim in (2, 3):
        length = values.shape[dim]
        place = torch.arange(length, device=values.device).view(-1, *[1] * (3 - dim))
        source = place - shifts[:, :, dim - 2, None, None]
        inside = (source >= 0) & (source < length)
        found = values.gather(dim, source.clamp(0, max(length - 1, 0)).expand_as(values))
        values = torch.where(inside, found, torch.zeros_like(found))
    return values


def _heart_sums_reference(masks: Tensor) -> Tensor:
    """Returns (N, C, 3) int64: a heart's pixels, the sum of their rows and that of their columns."""
    heart = masks != 0
    rows, columns = heart.sum(3), heart.sum(2)
    down, right = (torch.arange(n, device=masks.device) for n in masks.shape[2:])
    return torch.stack([rows.sum(2), (rows * down).sum(2), (columns * right).sum(2)], 2)


def _shifts(sums: Tensor, donors: Tensor) -> Tensor:
    """Returns the shifts that ``centroid_shifts`` describes, from sums (N, C, 3)."""
    own, other = sums[..., :1], sums[donors, :, :1]  # pixels
    either_empty = (own == 0) | (other == 0)
    own, other = own.clamp(min=1), other.clamp(min=1)
    first, second = sums[..., 1:], sums[donors, :, 1:]
    # whole pixels apart: the products of what remains stay below 2^62 for any frame of 2^30 pixels
    whole = first // own - second // other
    rest = 2 * (first % own * other - second % other * own) + own * other
    return (whole + rest // (2 * own * other)).masked_fill(either_empty, 0)


def trusted(masks: Tensor, donors: Tensor, shifts: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Returns masks as contiguous uint8, and donors and shifts within the bounds that kernels rely on."""
    n, _, h, w = masks.shape
    if shifts is not None:
        shifts = torch.stack([shifts[..., 0].clamp(-h, h), shifts[..., 1].clamp(-w, w)], -1)
    return masks.contiguous().view(torch.uint8), donors.clamp(0, n - 1), shifts


def kernel_hearts(labels: Tensor, donors: Tensor | None, shifts: Tensor | None) -> Any:
    """Returns ``_C.Hearts`` of trusted tensors, which must outlive it."""
    n, c, h, w = labels.shape
    return _C.Hearts(
        cases=n,
        mask_frames=c,
        height=h,
        width=w,
        masks=labels.data_ptr(),
        donors=0 if donors is None else donors.data_ptr(),
        shifts=0 if shifts is None else shifts.data_ptr(),
    )


def _heart_sums(masks: Tensor) -> Tensor:
    output = masks.new_zeros((*masks.shape[:2], 3), dtype=torch.int64)
    if masks.numel():
        labels = masks.contiguous().view(torch.uint8)
        launch("heart_sums", masks.device, kernel_hearts(labels, None, None), output.data_ptr())
    return output


def _heart_residual(masks: Tensor, donors: Tensor, shifts: Tensor | None) -> Tensor:
    output = masks.new_zeros(masks.shape[:2], dtype=torch.int64)
    if masks.numel():
        labels, donors, shifts = trusted(masks, donors, shifts)
        hearts = kernel_hearts(labels, donors, shifts)
        launch("heart_residual", masks.device, hearts, output.data_ptr())
    return output


def check_align(align: str) -> None:
    """Raises CmrbiasError unless ``align`` is a name of ``Align``."""
    if align not in get_args(Align):
        raise unknown("align", align, get_args(Align))


def check_masks(masks: Tensor) -> None:
    """Raises CmrbiasError unless masks are (N, C, H, W) bool or uint8 of a size that kernels take."""
    if masks.ndim != 4:
        raise wrong("masks", "4 dimensions (N, C, H, W)", tuple(masks.shape))
    check_mask_dtype(masks)
    check_sizes("masks", masks)


def check_sizes(name: str, values: Tensor) -> None:
    """Raises CmrbiasError if (N, C, H, W) is too large for the kernels' int and CUDA's grid."""
    n, c, h, w = values.shape
    if h * w >= 2**30 or n * c >= 2**31:
        raise wrong(name, "N * C < 2^31 and H * W < 2^30", tuple(values.shape))


def check_donors(donors: Tensor, masks: Tensor) -> None:
    """Raises CmrbiasError unless donors are rows of the masks' batch: (N,) int64.

    Values are looked at on the CPU only: elsewhere that would break the graph, or wait for the GPU.
    """
    n = masks.shape[0]
    if donors.shape != (n,):
        raise wrong("donors", f"shape ({n},), one row of the batch a case", tuple(donors.shape))
    if donors.dtype != torch.int64:
        raise wrong("donors", "int64", donors.dtype)
    check_device("donors", donors, masks.device, "masks")
    if torch.compiler.is_compiling() or donors.device.type != "cpu" or n == 0:
        return
    least, greatest = donors.aminmax()
    if least < 0 or greatest >= n:
        row = int(((donors < 0) | (donors >= n)).nonzero()[0])
        raise CmrbiasError(
            f"donors[{row}]: expected a row of the batch, 0 to {n - 1}, got {int(donors[row])}"
        )


register(
    "heart_sums",
    "(Tensor masks) -> Tensor",
    _heart_sums,
    lambda masks: masks.new_empty((*masks.shape[:2], 3), dtype=torch.int64),
)
register(
    "heart_residual",
    "(Tensor masks, Tensor donors, Tensor? shifts) -> Tensor",
    _heart_residual,
    lambda masks, donors, shifts: masks.new_empty(masks.shape[:2], dtype=torch.int64),
)
