"""What a run records of its cohort's images, and what is said of others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cmrbias.api import Recipe
from cmrbias.cohorts.format import Cohort
from cmrbias.plugins import Plugins
from cmrbias.training.run import Run
from cmrbias.training.start import Settings, start
from cmrbias.training.stored_images import StoredImages, size_notes

RECIPE = Recipe(epochs=1, batch=2, lr=1e-2, image_size=32)


def with_pixels(cohort: Path, to: Path, pixel_size: float | None) -> Cohort:
    """The cohort with another pixel size in its header."""
    shutil.copytree(cohort, to)
    meta = json.loads((to / "cohort.json").read_text())
    (to / "cohort.json").write_text(json.dumps({**meta, "pixel_size": pixel_size}))
    return Cohort.open(to)


def trained(images: StoredImages | None, path: Path) -> Run:
    stored = None if images is None else images.record()
    info = {"cohort": {"images": stored}, "settings": {"recipe": {"image_size": 64}}}
    return Run(path, json.loads(json.dumps(info)), [])


def test_what_is_recorded(small_cohort: Path, tmp_path: Path) -> None:
    cohort = with_pixels(small_cohort, tmp_path / "c", 1.5)
    images = StoredImages.of(cohort)
    assert images is not None
    assert images.shape == cohort.image_shape
    assert (images.pixel_size, images.frames) == (1.5, cohort.frames)
    assert StoredImages.of_run(trained(images, tmp_path)) == images
    assert StoredImages.of_run(Run(tmp_path, {"cohort": {"digest": "older"}}, [])) is None


def test_pixel_sizes_of_cases_are_recorded_by_their_median(make_cohort: Callable[..., Cohort]) -> None:
    cohort = make_cohort("AAAA")
    table = (cohort.path / "cases.csv").read_text().splitlines()
    sizes = ["pixel_size", "1", "2", "", "4"]
    lines = [f"{line},{size}" for line, size in zip(table, sizes, strict=True)]
    (cohort.path / "cases.csv").write_text("\n".join(lines) + "\n")
    assert StoredImages.of(Cohort.open(cohort.path)) == StoredImages((12, 10), 2.0, ("ED", "ES"))
    assert StoredImages.of(make_cohort("AAAA", sizes=(10, 12))) is None


@pytest.mark.parametrize(
    ("shape", "pixel_size", "expected"),
    [
        ((12, 10), 1.5, None),
        ((12, 10), 1.505, None),
        ((12, 10), None, None),
        (
            (12, 10),
            2.0,
            "12 x 10 px of 1.5 mm, those that RUN was trained on 12 x 10 px of 2 mm: resampled to 64 x 64 px "
            "of 0.281 x 0.234 mm, in training 64 x 64 px of 0.375 x 0.312 mm",
        ),
        (
            (24, 20),
            0.75,
            "12 x 10 px of 1.5 mm, those that RUN was trained on 24 x 20 px of 0.75 mm: resampled to 64 x 64 "
            "px of 0.281 x 0.234 mm, as in training",
        ),
        (
            (24, 20),
            None,
            "12 x 10 px of 1.5 mm, those that RUN was trained on 24 x 20 px of unknown size: resampled to 64 "
            "x 64 px of 0.281 x 0.234 mm, in training 64 x 64 px of unknown size",
        ),
    ],
)
def test_other_sizes_are_told(
    shape: tuple[int, int],
    pixel_size: float | None,
    expected: str | None,
    make_cohort: Callable[..., Cohort],
    tmp_path: Path,
) -> None:
    cohort = with_pixels(make_cohort("AAAA").path, tmp_path / "c", 1.5)
    run = trained(StoredImages(shape, pixel_size, ("ED", "ES")), Path("RUN"))
    wanted = [] if expected is None else [f"warning: {cohort.path}: images have {expected}"]
    assert size_notes(run, cohort, 64) == wanted


@pytest.mark.parametrize("task", ["classify", "probe", "pretrain"])
def test_a_training_says_that_its_weights_saw_images_of_another_size(
    task: str, small_cohort: Path, tmp_path: Path, tiny_plugins: Plugins
) -> None:
    def train(name: str, cohort: Path, weights: str | None = None) -> list[str]:
        said: list[str] = []
        options: dict[str, Any] = {"backbone": "tiny", "weights": weights}
        options |= {"method": "simclr"} if task == "pretrain" else {"validation": 0.0}
        settings = Settings(task, str(cohort), RECIPE, options, 0, "fp32", "cpu")
        start(settings, tmp_path / name, tiny_plugins, said.append)
        return [line for line in said if "was trained on" in line]

    fine, coarse = (with_pixels(small_cohort, tmp_path / f"{mm}", mm) for mm in (1.0, 2.0))
    assert train("first", fine.path) == []
    assert train("again", fine.path, str(tmp_path / "first")) == []
    (line,) = train("other", coarse.path, str(tmp_path / "first" / "last.pt"))
    assert line.startswith(f"warning: {coarse.path}: images have ")
    assert "those that" in line
    assert f"{tmp_path / 'first'} was trained on" in line
    stored = json.loads((tmp_path / "other" / "run.json").read_text())["cohort"]["images"]
    assert stored["pixel_size"] == 2.0
