"""Resampling a box of each image to one size, every row's its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def whole(images: Tensor) -> Tensor:
    """Returns boxes (N, 4) float64 that show all of each image of (N, C, H, W)."""
    height, width = images.shape[-2:]
    return (
        torch.tensor([[0.0, 0.0, height, width]], dtype=torch.float64)
        .to(images.device)
        .repeat(len(images), 1)
    )


def resample(images: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Resamples each image's box by the triangle filter, widened where it shrinks (antialiased).

    Sampling a large crop at single points, as ``grid_sample`` would, shows patterns that the image
    lacks. On the processor this is torch's own kernel, a row at a time, which only visits the pixels
    that count; elsewhere, where a launch a row would be slow, two batched products.

    Args:
        images: (N, C, H, W) float32.
        boxes: (N, 4) float64 top, left, height, width in whole pixels, inside the image.
        size: side of the result in pixels.

    Returns:
        (N, C, size, size) float32, in the range of the images up to rounding.
    """
    if images.device.type != "cpu":
        return products(images, boxes, size)
    result = images.new_empty((*images.shape[:2], size, size))
    for row, (top, left, height, width) in enumerate(boxes.long().tolist()):
        crop = images[row : row + 1, :, top : top + height, left : left + width]
        result[row] = F.interpolate(crop, (size, size), mode="bilinear", antialias=True)[0]
    return result


def products(images: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Resamples as ``resample`` without a loop: R @ image @ C^T, a row's own R and C.

    The filter is separable, so R and C hold the weights of the box's rows and columns, 0 outside it.
    """
    rows = _weights(boxes[:, 0], boxes[:, 2], images.shape[-2], size)
    columns = _weights(boxes[:, 1], boxes[:, 3], images.shape[-1], size)
    return rows.unsqueeze(1) @ images @ columns.unsqueeze(1).transpose(-2, -1)


def nearest(masks: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Resamples each mask's box to the nearest pixel: (N, 1, H, W) -> (N, 1, size, size)."""
    rows = _nearest(boxes[:, 0], boxes[:, 2], size)
    columns = _nearest(boxes[:, 1], boxes[:, 3], size)
    number = torch.arange(len(masks), device=masks.device)
    return masks[:, 0][number[:, None, None], rows[:, :, None], columns[:, None, :]].unsqueeze(1)


def _weights(start: Tensor, length: Tensor, pixels: int, size: int) -> Tensor:
    """Returns what each source pixel gives to each result pixel along one axis: (N, size, pixels)."""
    step = length / size  # source pixels a result pixel
    centre = start[:, None] + _middles(size, start) * step[:, None] - 0.5
    # the filter reaches one step, but never less than one source pixel, to either side
    reach = step.clamp(min=1.0).float()[:, None, None]
    source = torch.arange(pixels, dtype=torch.float32, device=start.device)
    weights = (source - centre.float()[:, :, None]).abs_().div_(reach).neg_().add_(1.0).clamp_(min=0.0)
    inside = (source >= start.float()[:, None]) & (source < (start + length).float()[:, None])
    weights *= inside[:, None, :]
    return weights.div_(weights.sum(-1, keepdim=True))


def _nearest(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Returns the source pixel under the middle of each result pixel: (N, size) int64."""
    return (start[:, None] + _middles(size, start) * (length / size)[:, None]).floor().long()


def _middles(size: int, like: Tensor) -> Tensor:
    """Returns the middles of the result's pixels, in result pixels: (size,) float64."""
    return torch.arange(size, dtype=torch.float64, device=like.device) + 0.5
