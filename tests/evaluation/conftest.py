"""Classifiers that were trained a moment, and cohorts to test them on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cmrbias.api import Recipe
from cmrbias.plugins import Plugins
from cmrbias.training.start import Settings, start


@pytest.fixture(scope="session")
def train(tmp_path_factory: pytest.TempPathFactory, tiny_plugins: Plugins) -> Callable[..., Path]:
    """Returns a function that trains the tiny network on a cohort and returns the run."""

    def train(cohort: Path, seed: int = 0, epochs: int = 1, **options: Any) -> Path:
        recipe = Recipe(epochs=epochs, batch=2, lr=1e-2, image_size=32)
        values = {"backbone": "tiny", "validation": 0.0, **options}
        settings = Settings("classify", str(cohort), recipe, values, seed, "fp32", "cpu")
        out = tmp_path_factory.mktemp("runs") / "run"
        start(settings, out, tiny_plugins, lambda text: None)
        return out

    return train


@pytest.fixture(scope="session")
def run(train: Callable[..., Path], small_cohort: Path) -> Path:
    """A classifier of the small cohort, trained on full images."""
    return train(small_cohort)
