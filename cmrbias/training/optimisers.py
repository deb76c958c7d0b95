"""The optimisers that a recipe can name."""

from __future__ import annotations

from typing import Any

import torch

from cmrbias.api import Recipe
from cmrbias.errors import unknown


def make_optimiser(recipe: Recipe, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """Returns the recipe's optimiser over parameter groups that carry their own weight decay.

    Raises:
        CmrbiasError: the recipe names another than ``adam``, ``adamw`` and ``sgd``.
    """
    if recipe.optimiser == "adam":
        return torch.optim.Adam(groups, lr=recipe.lr)
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.lr)
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum)
    raise unknown("optimiser", recipe.optimiser, ("adam", "adamw", "sgd"))
