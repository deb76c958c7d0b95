"""A small study of its own on two cohorts whose names are full of markup, computed once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cmrbias.cli.main import make_cli
from cmrbias.cohorts.writer import CohortWriter
from cmrbias.plugins import Plugins

CLASSES = ("<b>ill</b>", "well & good")
PATIENT = "<img src=x onerror=alert(1)>"
STUDY = f"""
title = "<script>document.title = 'changed'</script>"
cohorts.CM = {{}}
cohorts.ACDC = {{}}
models.Full = {{}}
models.Seg = {{ input = "heart" }}
models.SimCLR = {{ pretrain = {{ method = "simclr" }}, transfer = "css" }}
models.again = {{ title = "Full-scratch", weights = "none" }}

[rows]
CM = {{ cohort = "CM" }}
"CM -> ACDC" = {{ trained-on = "CM", cohort = "ACDC" }}

[tables.table1]
title = "Table 1"
columns = ["Full", "Seg", "SimCLR", "again"]
rows = ["CM", "CM -> ACDC"]
against = ["again"]

[tables.table3]
title = "Table 3"
columns = ["Full", "SimCLR"]
rows = ["CM"]
by-class = ["{CLASSES[0]}", "{CLASSES[1]}"]

[tables.behaviour]
title = "Behaviour"
columns = ["Full", "Seg"]
rows = ["CM"]
inputs = ["full", "swap-same-class", "swap-other-class"]

[figures.figure2]
title = "Figure 2"
models = ["Full", "Seg", "SimCLR", "again"]
panels = [{{ title = "b", overlap = "CM", auc = "CM -> ACDC" }}]

[figures.figure3]
title = "Figure 3"
cases = 1
columns = [
  {{ title = "None", model = "Full", row = "CM -> ACDC" }},
  {{ title = "SimCLR", model = "SimCLR", row = "CM -> ACDC" }},
]

[presets.tiny]
seeds = 2
warning = "preset tiny: numbers of a test"
train = {{ backbone = "tiny", image-size = 32, batch = 4, epochs = 1 }}
pretrain = {{ augment = "flip" }}
evaluate = {{ resamples = 50 }}
saliency = {{ resamples = 50 }}
"""


def make_cohort(out: Path, name: str, seed: int) -> Path:
    """20 patients, two classes told by the heart's brightness, ED and ES at 32 px; 12 of them train."""
    y, x = np.mgrid[:32, :32]
    rng = np.random.default_rng([21, seed])
    with CohortWriter(
        out,
        name=name,
        frames=("ED", "ES"),
        structures=("RV", "MYO", "LV"),
        targets={"label": {"kind": "class", "classes": list(CLASSES)}},
        preparation={},
        provenance={"identifiers": "kept", "left_out": {"cases": 1, "why": [f"{PATIENT}: no contour"]}},
        pixel_size=1.5,
    ) as writer:
        for number in range(20):
            images, masks = rng.integers(60, 120, (2, 32, 32)), np.zeros((2, 32, 32), np.uint8)
            for frame in range(2):
                distance = np.hypot(y - 16 - rng.integers(-3, 4), x - 16 - rng.integers(-3, 4))
                outer = 6 + number % 5 / 2  # hearts differ in size
                masks[frame] = np.select([distance < 3, distance < 5, distance < outer], [3, 2, 1], 0)
                images[frame][distance < 5] = 180 if number % 2 else 40
            who = f"{PATIENT}{name}{number:02d}"
            row = {"case": who, "patient": who, "study": who, "split": "train" if number < 12 else "test"}
            writer.add(row | {"label": CLASSES[number % 2]}, images.astype(np.uint8), masks)
    return out


@pytest.fixture(scope="session")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("study-cohorts")
    return {name: make_cohort(folder / name, name, seed) for seed, name in enumerate(("CM", "ACDC"))}


@pytest.fixture(scope="session")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study-file") / "my.toml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="session")
def run_study(cohorts: dict[str, Path], study_file: Path, tiny_plugins: Plugins) -> Callable[..., Result]:
    """Runs ``cmrbias study run my.toml`` in this process."""

    def run(*arguments: object) -> Result:
        given = [f"--cohort={name}={path}" for name, path in cohorts.items()]
        words = ["study", "run", str(study_file), "--preset", "tiny", *given, *map(str, arguments)]
        return CliRunner().invoke(make_cli(lambda: tiny_plugins), words)

    return run


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory: pytest.TempPathFactory, run_study: Callable[..., Result]) -> Path:
    """The study's directory, two seeds, everything written."""
    out = tmp_path_factory.mktemp("study") / "out"
    result = run_study("--out", out)
    assert result.exit_code == 0, result.output + str(result.exception)
    return out
