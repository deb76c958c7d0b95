"""Classifiers that were trained a moment, and cohorts to test them on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmrbias.api import Recipe
from cmrbias.cohorts.writer import CohortWriter
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


@pytest.fixture(scope="session")
def make_cohort(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Returns a function that writes cases with the given labels, one a row, and returns the cohort.

    Hearts are discs, brighter for later labels, before noise that is a function of the row and ``seed``.
    Of the frames in ``incomplete`` (case, frame) the myocardium is not contoured.
    """

    def make(
        labels: Sequence[str],
        splits: Sequence[str] | None = None,
        patients: Sequence[str] | None = None,
        incomplete: Sequence[tuple[int, int]] = (),
        masks: bool = True,
        frames: tuple[str, ...] = ("ED", "ES"),
        size: int = 48,
        target: str = "label",
        listed: Sequence[str] | None = None,
        name: str = "made",
        seed: int = 0,
        pixel_size: float | None = None,
    ) -> Path:
        out = tmp_path_factory.mktemp("made") / name
        classes = list(listed) if listed else sorted({label for label in labels if label})
        y, x = np.mgrid[:size, :size] / size - 0.5
        with CohortWriter(
            out,
            name=name,
            frames=frames,
            structures=("MYO", "LV"),
            targets={target: {"kind": "class", "classes": classes}},
            preparation={},
            provenance={},
            pixel_size=pixel_size,
        ) as writer:
            for i, label in enumerate(labels):
                rng = np.random.default_rng([seed, i])
                images = rng.integers(60, 160, (len(frames), size, size))
                drawn = np.zeros(images.shape, np.uint8)
                for frame in range(len(frames)):
                    distance = np.hypot(y - rng.uniform(-0.1, 0.1), x)
                    drawn[frame][distance < 0.15] = 3
                    images[frame][distance < 0.15] += 20 * (classes.index(label) if label else 0)
                    if (i, frame) not in incomplete:
                        drawn[frame][distance < 0.1] = 2
                patient = patients[i] if patients else f"{name}{i}"
                row = {"case": f"c{i}", "patient": patient, "split": splits[i] if splits else "test"}
                writer.add(row | {target: label}, images.astype(np.uint8), drawn if masks else None)
        return out

    return make


@pytest.fixture(scope="session")
def three_classes(make_cohort: Callable[..., Path]) -> Path:
    """12 patients that train and 33 that are tested, two with two cases, one with an incomplete mask."""
    patients = [f"p{i}" for i in range(45)]
    patients[20], patients[24] = patients[17], patients[21]  # of the same class each
    splits = ["train"] * 12 + ["test"] * 33
    return make_cohort("ABC" * 15, splits, patients, incomplete=[(30, 1)], name="three")


@pytest.fixture(scope="session")
def three(train: Callable[..., Path], three_classes: Path) -> Path:
    """A classifier of the three classes, trained on full images."""
    return train(three_classes)
