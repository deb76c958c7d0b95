"""What a trial's runs record of themselves: initialisation, image passes, what was left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmrbias.studies.build import Trial
from cmrbias.studies.cells import Cell, Given, output


@dataclass(frozen=True)
class Facts:
    """Of one trial.

    Attributes:
        initialisation: ``random init``, or the file that all started from.
        passes: images that the encoder was trained on, views counted singly: up to the weights that were
            taken, where validation chose them.
        frozen: whether the last training moved the linear layer alone.
        trained_on, tested_on: input modes.
        map_size: cells of the saliency maps, or None.
        patients, cases: that were tested, under the model's own test input.
        left_out: reason to the number of cases or frames that were left out of the tests.
    """

    initialisation: str
    passes: int
    frozen: bool
    trained_on: str
    tested_on: str
    map_size: tuple[int, int] | None
    patients: int
    cases: int
    left_out: dict[str, int]


def facts(trial: Trial, study: Path) -> Facts:
    """Reads what a finished trial's cells recorded."""
    passes, start = 0, "random init"
    for cell in _trainings(trial.train):
        info = _json(output(cell, study) / "run.json")
        if cell.kind != "probe":
            passes += info["record"]["images_per_epoch"] * _epochs(output(cell, study), info)
        if isinstance(cell.weights, Given):
            start = Path(cell.weights.path).name
    record = _json(output(trial.train, study) / "run.json")["record"]
    scores = _json(output(trial.evaluate, study) / "scores.json")
    own = scores["inputs"][trial.tested]
    left_out = {f"label {name}": count for name, count in scores["left_out_labels"].items()} | own["left_out"]
    size = None
    if trial.saliency:
        found = output(trial.saliency[trial.tested], study)
        explained = _json(found / "overlap.json")
        left_out |= {f"frame {name} without a complete mask": n for name, n in explained["left out"].items()}
        size = _map_size(found / "overlap.csv")
    return Facts(
        start,
        passes,
        trial.train.kind == "probe",
        record["input"]["name"],
        trial.tested,
        size,
        own["patients"],
        own["cases"],
        left_out,
    )


def _epochs(run: Path, info: dict[str, Any]) -> int:
    """Returns how many epochs the weights have seen that others take from a finished run."""
    from cmrbias.training import checkpoint

    best = run / "best.pt"
    epochs: int = checkpoint.load(best)["epoch"] if best.exists() else info["settings"]["recipe"]["epochs"]
    return epochs


def _trainings(cell: Cell | Given | None) -> Iterator[Cell]:
    """Yields a training, and those that its weights are from."""
    while isinstance(cell, Cell):
        yield cell
        cell = cell.weights


def _map_size(path: Path) -> tuple[int, int]:
    from cmrbias.studies.overlaps import read_maps

    return read_maps(path.parent).size


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
