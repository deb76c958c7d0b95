"""The points of a calibration: one classifier under one test input, its reliance and what measures say."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmrbias.evaluation.twins import OTHER, PERMUTED
from cmrbias.studies.calibration.design import Trial
from cmrbias.studies.cells import Cell, output

BG_GAP = "BG-gap"
MEASURES = {
    "AKS": "aks",
    "normalised AKS": "normalised-aks",
    "DSC": "dsc",
    "lift": "energy-lift",
    BG_GAP: "",
}
"""Measure -> its name among overlap scores. All but BG-gap are suspicious where they are low."""

SUSPICIOUS = {name: 1 if name == BG_GAP else -1 for name in MEASURES}
"""The sign with which a measure grows more suspicious."""


@dataclass(frozen=True)
class Figure:
    """A number with an interval over patients; NaN where there is none."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, estimate: Mapping[str, Any]) -> Figure:
        """Returns an estimate as files hold it, with the interval that holds in small samples if in doubt."""
        shown = estimate["intervals"][0]
        if estimate["doubts"] and estimate["fallback"]:
            shown = estimate["fallback"]
        ends = (estimate["value"], shown["low"], shown["high"])
        return cls(*(math.nan if end is None else float(end) for end in ends))


NONE = Figure(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Point:
    """One classifier under one test input.

    Attributes:
        cue, strength, replicate, model, shown: which one.
        cramers_v: of cue and diagnosis, achieved in its phantom.
        patients: that it is tested on.
        auc: macro, on its own test patients.
        reliance: mean total variation between its predictions on twins.
        flipped: share of decisions that are others on the twin.
        auc_drop: macro AUC less that with the cue permuted over cases.
        measures: by name, see ``MEASURES``; overlap scores are means in which vanished maps count 0.
    """

    cue: str
    strength: float
    replicate: int
    model: str
    shown: str
    cramers_v: float
    patients: int
    auc: Figure
    reliance: Figure
    flipped: Figure
    auc_drop: Figure
    measures: dict[str, Figure]

    @property
    def phantom(self) -> tuple[str, float, int]:
        """Which replicate it belongs to: points of one share patients."""
        return self.cue, self.strength, self.replicate


def points(trials: Iterable[Trial], study: Path) -> Iterator[Point]:
    """Yields the points of trials whose cells are finished; others are passed over."""
    from cmrbias.studies.cells import folder
    from cmrbias.studies.execute import finished

    for trial in trials:
        if all(finished(folder(cell, study)) for cell in trial.cells):
            yield from _points(trial, study)


def _points(trial: Trial, study: Path) -> Iterator[Point]:
    gap = _read(trial.swapped, study, "scores.json")["bg_gap"]["auc"]["macro"]["estimate"]
    for shown, cell in trial.behaviour.items():
        found = _read(cell, study, "scores.json")
        twins = {twin["levels"]: twin for twin in found["twins"] if twin["input"] == shown}
        scores = _read(trial.saliency[shown], study, "overlap.json")["aggregates"]
        overlap = next(group["scores"] for group in scores if _of_all(group))
        measures = {name: Figure.of(overlap[key]["mean_with_zeros"]) for name, key in MEASURES.items() if key}
        measures[BG_GAP] = Figure.of(gap) if shown == "full" else NONE  # swaps are full images
        yield Point(
            cue=trial.bias.name,
            strength=trial.strength,
            replicate=trial.replicate,
            model=trial.model,
            shown=shown,
            cramers_v=_cramers_v(cell, study),
            patients=found["inputs"][shown]["patients"],
            auc=Figure.of(found["inputs"][shown]["auc"]["macro"]),
            reliance=Figure.of(twins[OTHER]["total_variation"]),
            flipped=Figure.of(twins[OTHER]["flipped"]),
            auc_drop=Figure.of(twins[PERMUTED]["pair"]["auc"]["macro"]["estimate"]),
            measures=measures,
        )


def _of_all(group: Mapping[str, Any]) -> bool:
    """Whether it is the mean over all cases and frames of the maps of the predicted class."""
    wanted = {"map": "model", "target": "predicted", "label": "all", "frame": "all"}
    return all(group[key] == value for key, value in wanted.items())


def _cramers_v(cell: Cell, study: Path) -> float:
    assert isinstance(cell.cohort, Cell)
    return float(_read(cell.cohort, study, "cohort.json")["provenance"]["cue"]["achieved"]["cramers_v"])


def _read(cell: Cell, study: Path, name: str) -> Any:
    return json.loads((output(cell, study) / name).read_text())
