"""The learning rate against hand-computed values."""

from __future__ import annotations

import pytest

from cmrbias.api import Recipe
from cmrbias.errors import CmrbiasError
from cmrbias.training.schedule import learning_rate


def test_warm_up_is_linear_and_ends_at_the_full_rate() -> None:
    recipe = Recipe(epochs=10, batch=4, lr=0.8, warmup_epochs=2)
    assert [learning_rate(recipe, step, 2) for step in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_cosine_falls_from_the_full_rate_to_the_least() -> None:
    recipe = Recipe(epochs=5, batch=4, lr=1.0, min_lr=0.2)
    rates = [learning_rate(recipe, step, 1) for step in range(5)]
    assert rates == pytest.approx([1.0, 0.2 + 0.8 * 0.853553, 0.6, 0.2 + 0.8 * 0.146447, 0.2], abs=1e-6)


def test_constant_stays_and_other_names_are_refused() -> None:
    assert learning_rate(Recipe(epochs=5, batch=4, lr=0.3, schedule="constant"), 7, 2) == 0.3
    with pytest.raises(CmrbiasError, match="expected 'cosine', 'constant' or 'steps', got 'linear'"):
        learning_rate(Recipe(epochs=5, batch=4, lr=0.3, schedule="linear"), 7, 2)


def test_steps_take_a_tenth_after_each_milestone() -> None:
    recipe = Recipe(epochs=5, batch=4, lr=0.3, schedule="steps", milestones=(1, 3))
    rates = [learning_rate(recipe, step, 2) for step in range(10)]
    assert rates == pytest.approx([0.3] * 2 + [0.03] * 4 + [0.003] * 4)
