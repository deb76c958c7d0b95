"""What classifiers of findings are worth: the figures, as tables and as files."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cmrbias.cohorts.format import Cohort
from cmrbias.evaluation.destination import PREDICTIONS, SCORES, destination, tested
from cmrbias.evaluation.seen import Seen
from cmrbias.evaluation.studies import Studies
from cmrbias.evaluation.subject import Asked
from cmrbias.files import make_folder, write_atomically, write_json
from cmrbias.statistics.findings import MEASURES, FindingScores
from cmrbias.statistics.interval import Estimate
from cmrbias.training.run import Run


@dataclass(frozen=True)
class FindingEvaluation:
    """What models are worth, a model being one or several runs that are averaged.

    Attributes:
        cohort, split: what was tested.
        findings: K names.
        studies: the units that were scored.
        probabilities: model to (R, S, K) float64.
        scores: model to finding to its scores.
        differences: model to finding to measure: the model less the ``baseline``, paired by patient.
        baseline: the model that others are compared with, or None.
        seen: run to the number of its test patients that it has seen.
        balanced: the runs that were trained with balanced weights.
        notes: how the cohort's images differ from those of the trainings, a sentence each.
    """

    cohort: Cohort
    split: str
    findings: tuple[str, ...]
    studies: Studies
    probabilities: dict[str, np.ndarray]
    scores: dict[str, dict[str, FindingScores]]
    differences: dict[str, dict[str, dict[str, Estimate]]]
    baseline: str | None
    seen: dict[str, Seen]
    balanced: tuple[str, ...]
    notes: list[str]

    def lines(self) -> Iterator[str]:
        """Yields what was tested, a table a finding, and what makes its figures doubtful."""
        count, patients = len(self.studies.name), len(np.unique(self.studies.patients))
        yield (
            f"{self.cohort.path}, split {self.split}: {count} studies of {patients} patients "
            "(a study's score is the highest of its images)"
        )
        yield from self.notes
        for run, seen in self.seen.items():
            if seen.patients:
                yield f"{run}: {seen}"
        if self.balanced:
            yield (
                f"trained with balanced weights: {', '.join(self.balanced)}: log-loss takes the findings for "
                "as frequent as not, and is not to be compared with that of runs without weights"
            )
        for number, finding in enumerate(self.findings):
            yield from self._table(number, finding)

    def _table(self, number: int, finding: str) -> Iterator[str]:
        labels = self.studies.outcomes[:, number]
        counts = [int((labels == 1).sum()), int((labels == 0).sum()), int(np.isnan(labels).sum())]
        yield ""
        yield "{}: {} studies with it, {} without, {} uncertain or unknown and left out".format(
            finding, *counts
        )
        header = ["model", "runs", *(f"{name} (95 % interval)" for name in MEASURES), "SD of AUROC over runs"]
        if self.baseline is not None:
            header.append(f"AUROC less {self.baseline} (paired)")
        rows = [tuple(header)]
        for model, scores in self.scores.items():
            found = scores[finding]
            row = [model, str(found.runs), *(_cell(found.estimates[name]) for name in MEASURES)]
            row.append("" if math.isnan(found.spread["AUROC"]) else f"{found.spread['AUROC']:.3f}")
            if self.baseline is not None:
                less = self.differences.get(model)
                row.append("" if less is None else _cell(less[finding]["AUROC"], "+"))
            rows.append(tuple(row))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row_ in rows:
            cells = (f"{cell:<{width}}" for cell, width in zip(row_, widths, strict=True))
            yield ("  " + "  ".join(cells)).rstrip()
        doubts = {d for s in self.scores.values() for d in s[finding].estimates["AUROC"].doubts}
        if doubts:
            yield f"  * unreliable: {'; '.join(sorted(doubts))}"

    def as_dict(self) -> dict[str, Any]:
        """Returns all figures as plain values."""
        from cmrbias.evaluation.evaluation import plain

        return {
            "cohort": str(self.cohort.path.resolve()),
            "cohort_digest": self.cohort.digest,
            "split": self.split,
            "findings": list(self.findings),
            "studies": len(self.studies.name),
            "baseline": self.baseline,
            "tested": tested(Asked(self.cohort, self.split)),
            "balanced": list(self.balanced),
            "seen_patients": {run: seen.patients for run, seen in self.seen.items()},
            "notes": self.notes,
            "scores": plain(self.scores),
            "differences": plain(self.differences),
        }

    def write(self, out: Path | None = None) -> Path:
        """Writes ``predictions.csv`` and ``scores.json``, by default where the first run's scores belong.

        Raises:
            CmrbiasError: that directory holds the scores of another cohort or split.
        """
        folder = destination(Run.open(Path(next(iter(self.seen)))), Asked(self.cohort, self.split), out)
        make_folder(folder)
        text = self.table()
        write_atomically(folder / PREDICTIONS, lambda file: file.write(text.encode()))
        write_json(folder / SCORES, self.as_dict())
        return folder

    def table(self) -> str:
        """Returns ``predictions.csv``: a row a study, run and finding."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["case", "model", "run", "finding", "label", "probability"])
        for model, runs in self.probabilities.items():
            for run, matrix in enumerate(runs):
                for study, case in enumerate(self.studies.name):
                    for k, finding in enumerate(self.findings):
                        label = self.studies.outcomes[study, k]
                        told = "" if math.isnan(label) else str(int(label))
                        writer.writerow([case, model, run, finding, told, repr(float(matrix[study, k]))])
        return file.getvalue()


def _cell(estimate: Estimate, sign: str = "") -> str:
    """Returns value and interval; a star where the interval is unreliable."""
    if math.isnan(estimate.value):
        return "undefined"
    interval = "zero width" if estimate.interval.width == 0 else str(estimate.interval)
    return f"{estimate.value:{sign}.3f} ({interval}){'*' if estimate.unreliable else ''}"
