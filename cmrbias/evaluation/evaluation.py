"""An evaluation: what was tested and found, and how it is written."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cmrbias.evaluation.destination import PREDICTIONS, SCORES, lost, stored_json, tested
from cmrbias.evaluation.measures import InputScores, Resampling
from cmrbias.evaluation.pairs import Against, Pair
from cmrbias.evaluation.prediction import Predictions
from cmrbias.evaluation.subject import Asked, Subject
from cmrbias.evaluation.twins import Twinned
from cmrbias.files import make_folder, write_atomically, write_json
from cmrbias.statistics import Estimate
from cmrbias.training.run import versions


@dataclass(frozen=True)
class Evaluation:
    """What a run is worth on a cohort.

    Attributes:
        asked: on what it was tested.
        subject: the run, its classifier and the cases.
        others: the runs that it is compared with.
        sampling: of the intervals.
        precision: of the network's arithmetic, ``fp32`` or ``bf16``.
        predictions: by test input.
        scores: by test input.
        bg_gap: ``swap-same-class`` less ``swap-other-class``, if both were tested.
        comparisons: with each other run under each test input, then in BG-gap, if its inputs were tested.
        twins: with the predictions of each twin of the cohort under each test input.
        notes: what to know of the runs' weights, of an edited table, and how the cohort's images differ from
            those of the trainings, a sentence each.
        out: the directory of ``predictions.csv`` and ``scores.json``.
        replaced: a line on results in ``out`` of an earlier call that this one does not hold, else empty.
    """

    asked: Asked
    subject: Subject
    others: tuple[Subject, ...]
    sampling: Resampling
    precision: str
    predictions: dict[str, Predictions]
    scores: dict[str, InputScores]
    bg_gap: Pair | None
    comparisons: list[Against]
    twins: list[Twinned]
    notes: list[str]
    out: Path
    replaced: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Returns what ``scores.json`` holds: plain values, None for what is undefined."""
        subject, asked = self.subject, self.asked
        return {
            "command": shlex.join(sys.argv),
            "versions": versions(),
            "run": str(subject.run.path),
            "trained_on_input": dataclasses.asdict(subject.classifier.input),
            "tested": tested(asked),
            "cohort": {
                "name": asked.cohort.meta.get("name", ""),
                "path": str(asked.cohort.path.resolve()),
                "structures": list(asked.cohort.structures),
            },
            "target": subject.target,
            "classes": list(subject.matching.classes),
            "left_out_labels": subject.matching.left_out,
            "dropped_classes": list(subject.matching.dropped),
            "softmax": "float64, over the classes above alone",
            "allow_seen": asked.allow_seen,
            "seen_patients": {str(each.run.path): each.seen.patients for each in (subject, *self.others)},
            "tested_patients": subject.seen.tested,
            "notes": self.notes,
            "bootstrap": dataclasses.asdict(self.sampling),
            "precision": self.precision,
            "inputs": plain(self.scores),
            "bg_gap": plain(self.bg_gap),
            "against": plain(self.comparisons),
            "twins": plain(self.twins),
        }


def write_evaluation(evaluation: Evaluation) -> Evaluation:
    """Writes ``predictions.csv``, then ``scores.json``, each whole or not at all; says what they replaced."""
    file, scores = evaluation.out / SCORES, evaluation.as_dict()
    replaced = lost(file, _contents(stored_json(file)), _contents(scores))
    make_folder(evaluation.out)
    text = _table(evaluation)
    write_atomically(evaluation.out / PREDICTIONS, lambda file: file.write(text.encode()))
    write_json(file, scores)
    return dataclasses.replace(evaluation, replaced=replaced)


def _contents(scores: Mapping[str, Any]) -> dict[str, list[str]]:
    """Returns what a ``scores.json`` has figures of."""
    return {
        "input": list(scores.get("inputs", ())),
        "--against": [each["run"] for each in scores.get("against", ())],
        "--twins": [each["cohort"] for each in scores.get("twins", ())],
    }


def plain(value: Any) -> Any:
    """Returns dataclasses as dictionaries, arrays as lists, NaN as None; estimates say if unreliable."""
    if isinstance(value, Estimate):
        fields = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {**fields, "unreliable": value.unreliable}
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table(evaluation: Evaluation) -> str:
    """Returns a row a case and test input: case, patient, input, label, predicted, a probability a class."""
    cohort, classes = evaluation.asked.cohort, evaluation.subject.matching.classes
    cases, patients = cohort.column("case"), cohort.column("patient")
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["case", "patient", "input", "label", "predicted", *(f"p_{name}" for name in classes)])
    for name, found in evaluation.predictions.items():
        rows = zip(found.case, found.labels, found.predicted, found.probabilities.tolist(), strict=True)
        for case, label, predicted, probabilities in rows:
            told = (classes[label], classes[predicted], *map(repr, probabilities))
            writer.writerow([cases[case], patients[case], name, *told])
    return file.getvalue()
