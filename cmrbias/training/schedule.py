"""The learning rate, a plain float at every step."""

from __future__ import annotations

import math

from cmrbias.api import Recipe
from cmrbias.errors import CmrbiasError


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Returns the learning rate of optimiser step ``step`` (from 0).

    A linear warm-up over ``warmup_epochs``, then ``cosine`` from ``lr`` to ``min_lr`` at the last
    step (Loshchilov and Hutter 2017, without restarts), ``constant``, or ``steps``: a tenth of the rate
    before after each of the recipe's ``milestones``, in epochs.
    """
    warmup = round(recipe.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return recipe.lr * (step + 1) / warmup
    if recipe.schedule == "constant":
        return recipe.lr
    if recipe.schedule == "steps":
        return recipe.lr * 0.1 ** sum(step >= epoch * steps_per_epoch for epoch in recipe.milestones)
    if recipe.schedule != "cosine":
        raise CmrbiasError(
            f"recipe: schedule: expected 'cosine', 'constant' or 'steps', got {recipe.schedule!r}"
        )
    rest = max(recipe.epochs * steps_per_epoch - warmup - 1, 1)
    done = min((step - warmup) / rest, 1.0)
    return recipe.min_lr + (recipe.lr - recipe.min_lr) * 0.5 * (1 + math.cos(math.pi * done))
