"""Random resized crop, inside the valid area, if asked for until it shows enough of the heart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cmrbias.api import Augmentation, CmrbiasError, Params, draws, option
from cmrbias.augmentations.geometry import nearest, resample, whole

_CANDIDATES = 10  # crops to choose from where the heart must be shown


class Crop(Augmentation):
    """Cuts a random box out of the valid area and resamples it to the view's size.

    Share of the area and logarithm of the aspect ratio are uniform. A ratio that does not fit the
    area at the drawn share is brought to the nearest that does, so the shares keep their distribution
    (torchvision draws again and so prefers small ones). Sides are whole pixels.
    Images are resampled by the antialiased bilinear filter, masks to the nearest pixel. Stands before
    other geometry, because the area is that of the stored image.

    Attributes:
        metrics: of the last images, given masks: ``heart_shown`` (N,), the share of the heart in the
            crop, NaN where the mask is empty.
    """

    columns = ("area",)

    @dataclass(frozen=True)
    class Options:
        """Options of the random resized crop."""

        scale: tuple[float, float] = option((0.08, 1.0), "share of the valid area", minimum=1e-4, maximum=1)
        ratio: tuple[float, float] = option((3 / 4, 4 / 3), "width by height", minimum=0.01, maximum=100)
        min_heart: float = option(
            0.0, "share of the heart that the crop must show (uses contours), 0 is off", minimum=0, maximum=1
        )

        def __post_init__(self) -> None:
            for name, (low, high) in (("scale", self.scale), ("ratio", self.ratio)):
                if low > high:
                    raise CmrbiasError(f"crop: option {name!r}: expected LOW,HIGH, got {low},{high}")

    def __init__(self, options: Any, size: int) -> None:
        super().__init__(options, size)
        self.needs_masks = options.min_heart > 0

    def draw(self, keys: Tensor) -> Params:
        """Returns candidates (N, K): ``share``, ``ratio`` and the place ``down`` and ``across`` in [0, 1)."""
        count = _CANDIDATES if self.needs_masks else 1
        u = draws.uniform(keys, 4 * count).view(-1, count, 4)
        low, high = self.options.scale
        least, most = map(math.log, self.options.ratio)
        return {
            "share": low + (high - low) * u[..., 0],
            "ratio": torch.exp(least + (most - least) * u[..., 1]),
            "down": u[..., 2],
            "across": u[..., 3],
        }

    def apply(self, images: Tensor, masks: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Returns crops (N, C, size, size) of the images, and of the masks."""
        boxes = _boxes(params, params.get("area", whole(images)))
        if masks is None:
            self.metrics = {}
            return resample(images, boxes[:, 0], self.size), None
        shares = _heart_shares(boxes, masks)
        best = _first_enough(shares, self.options.min_heart)
        row = torch.arange(len(best), device=best.device)
        self.metrics = {"heart_shown": shares[row, best]}
        return resample(images, boxes[row, best], self.size), nearest(masks, boxes[row, best], self.size)


def _boxes(params: Params, area: Tensor) -> Tensor:
    """Returns the candidates' boxes (N, K, 4) float64 in whole pixels, inside the area (N, 4)."""
    top, left, height, width = area.double().unsqueeze(1).unbind(-1)
    share = params["share"]
    ratio = params["ratio"].maximum(share * width / height).minimum(width / (height * share))
    h = (share * height * width / ratio).sqrt().round().clamp(min=1).minimum(height)
    w = (share * height * width * ratio).sqrt().round().clamp(min=1).minimum(width)
    y = top + (params["down"] * (height - h + 1)).floor()
    x = left + (params["across"] * (width - w + 1)).floor()
    return torch.stack([y, x, h, w], -1)


def _heart_shares(boxes: Tensor, masks: Tensor) -> Tensor:
    """Returns the share of each mask (N, 1, H, W) inside its boxes (N, K, 4): (N, K) float32.

    NaN where the mask is empty. Counts of pixels are exact in float32.
    """
    top, left, height, width = boxes.unbind(-1)
    rows, columns = (
        _inside(start, length, pixels).to(masks.dtype)
        for start, length, pixels in ((top, height, masks.shape[-2]), (left, width, masks.shape[-1]))
    )
    count = ((rows @ masks[:, 0]) * columns).sum(-1)
    return count / masks.sum((1, 2, 3))[:, None]


def _inside(start: Tensor, length: Tensor, pixels: int) -> Tensor:
    """Returns which pixels of an axis lie in each range (N, K): (N, K, pixels) bool."""
    at = torch.arange(pixels, device=start.device)
    return (at >= start[..., None]) & (at < (start + length)[..., None])


def _first_enough(shares: Tensor, least: float) -> Tensor:
    """Returns the first candidate (N,) int64 whose share (N, K) is ``least``, else the one with most.

    Where the shares are NaN (empty mask) it is the first.
    """
    enough = ~(shares < least)
    # argmax gives the first of equals
    return torch.where(enough.any(1), enough.int().argmax(1), shares.argmax(1))
