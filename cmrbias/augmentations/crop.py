"""Random resized crop, inside the valid area, if asked for until it shows enough of the heart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
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
        self.needs_masks = options.min_heart > 0  # type: ignore[misc]  # a class variable but for us

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
        if masks is not None and self.needs_masks:
            chosen = _show(boxes, masks, self.options.min_heart)
        else:
            chosen = boxes[:, 0]
        moved = None if masks is None else nearest(masks, chosen, self.size)
        return resample(images, chosen, self.size), moved


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


def _show(boxes: Tensor, masks: Tensor, least: float) -> Tensor:
    """Returns the first of each row's boxes (N, K, 4) that shows the share ``least`` of its heart.

    Where none does it is the one that shows most, and the first where the mask is empty.
    """
    sums = F.pad(masks[:, 0].double().cumsum(-1).cumsum(-2), (1, 0, 1, 0))  # sums[y, x]: heart above and left
    top, left, height, width = boxes.long().unbind(-1)
    row = torch.arange(len(masks), device=masks.device)[:, None]

    def corner(y: Tensor, x: Tensor) -> Tensor:
        return sums[row, y, x]

    bottom, right = top + height, left + width
    shown = corner(bottom, right) - corner(top, right) - corner(bottom, left) + corner(top, left)
    enough = (shown >= least * sums[:, -1:, -1]).double()
    # argmax gives the first of equals
    best = torch.where(enough.any(1), enough.argmax(1), shown.argmax(1))
    return boxes[row[:, 0], best]
