"""Random rotation about the image's centre."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cmrbias.api import Augmentation, Params, draws, option


class Rotate(Augmentation):
    """Turns an image about its centre, keeping its size; what comes in from outside is 0.

    Images are sampled bilinearly (the scale stays, so nothing aliases), masks to the nearest pixel.

    Attributes:
        metrics: of the last images, given masks: ``heart_shown`` (N,), the share of the heart that
            came to the rotation and did not leave the image by it.
    """

    @dataclass(frozen=True)
    class Options:
        """Options of the rotation."""

        degrees: float = option(20.0, "largest angle, to either side", minimum=0, maximum=180)

    def draw(self, keys: Tensor) -> Params:
        """Returns ``cos`` and ``sin`` (N,) float64 of the angle, counter-clockwise on the screen."""
        angle = torch.deg2rad(self.options.degrees * (2 * draws.uniform(keys, 1)[:, 0] - 1))
        return {"cos": angle.cos(), "sin": angle.sin()}

    def apply(self, images: Tensor, masks: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Returns images and masks of the same shape."""
        grid = _grid(params["cos"], params["sin"], *images.shape[-2:])
        turned = F.grid_sample(images, grid, mode="bilinear", align_corners=False)
        if masks is None:
            self.metrics = {}
            return turned, None
        moved = F.grid_sample(masks, grid, mode="nearest", align_corners=False)
        self.metrics = {"heart_shown": _kept(masks, moved)}
        return turned, moved


def _kept(before: Tensor, after: Tensor) -> Tensor:
    """Returns the share (N,) of a mask's pixels that are left; 1 where there were none."""
    count = before.sum((1, 2, 3))
    return torch.where(count > 0, (after.sum((1, 2, 3)) / count).clamp(max=1), 1.0)


def _grid(cos: Tensor, sin: Tensor, height: int, width: int) -> Tensor:
    """Returns where each result pixel comes from, (N, H, W, 2) float32 x and y as grid_sample has them.

    That is in half widths and half heights from the centre: hence their ratio where x and y mix. What
    a column adds and what a row adds are small tables, so the grid is made in one pass; x and y lie
    apart in memory, which is how grid_sample reads them fastest.
    """
    x = (torch.arange(width, device=cos.device) * 2 + 1) / width - 1
    y = (torch.arange(height, device=cos.device) * 2 + 1) / height - 1
    by_column = torch.stack([cos, sin * (width / height)], 1)[:, :, None] * x  # (N, 2, W)
    by_row = torch.stack([-sin * (height / width), cos], 1)[:, :, None] * y  # (N, 2, H)
    grid = by_row.float()[:, :, :, None] + by_column.float()[:, :, None, :]
    return grid.permute(0, 2, 3, 1)
