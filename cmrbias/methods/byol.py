"""BYOL (Grill et al. 2020): a predictor foretells what a slow copy makes of the other view; no negatives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from cmrbias.api import Backbone, Batch, Method, Recipe, option
from cmrbias.methods.heads import mlp
from cmrbias.methods.momentum import MomentumCopy
from cmrbias.methods.recipes import PAPER, QUICK


class BYOL(Method):
    """N images, two views of each, C the length of a projection."""

    @dataclass(frozen=True)
    class Options:
        """Defaults are the paper's."""

        momentum: float = option(
            0.99, "share of itself the target keeps a step, at first; 1 at the end", minimum=0, maximum=1
        )
        hidden: int = option(4096, "width of the projection's and the predictor's hidden layer", minimum=1)
        dim: int = option(128, "length of a projection", minimum=1)

    recipes: ClassVar[Mapping[str, Recipe]] = {"quick": QUICK, "paper": PAPER}

    def __init__(self, backbone: Backbone, options: Options) -> None:
        super().__init__(backbone, options)
        self.projector = mlp(backbone.dim, options.hidden, options.dim)
        self.predictor = mlp(options.dim, options.hidden, options.dim)
        self.target = MomentumCopy(backbone, self.projector)

    def forward(self, views: tuple[Tensor, ...], batch: Batch) -> Tensor:
        """Returns the sum of both directions' losses of two views, each (N, 1, H, W)."""
        first, second = (self.predictor(self.projector(self.backbone(view))) for view in views)  # (N, C)
        return distance(first, self.target(views[1])) + distance(second, self.target(views[0]))

    def after_step(self, progress: float) -> None:
        """Moves the target network, once an optimiser step."""
        momentum = momentum_at(progress, self.options.momentum)
        self.target.update(self.backbone, self.projector, momentum=momentum)


def distance(predictions: Tensor, targets: Tensor) -> Tensor:
    """Returns the mean of 2 - 2 cos(prediction, target) over rows (N, C), a float32 scalar in [0, 4]."""
    with torch.autocast(predictions.device.type, enabled=False):
        return 2 - 2 * F.cosine_similarity(predictions.float(), targets.float(), dim=1).mean()


def momentum_at(progress: float, start: float) -> float:
    """Returns the target's momentum: from ``start`` at progress 0 to 1 at progress 1, by a cosine."""
    return 1 - (1 - start) * (math.cos(math.pi * progress) + 1) / 2
