"""Linear evaluation: what classifiers of findings are worth on the studies of a cohort."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cmrbias.backbones import Classifier, load_classifier
from cmrbias.cohorts.format import Cohort
from cmrbias.errors import CmrbiasError
from cmrbias.evaluation.destination import PREDICTIONS, SCORES, destination, tested
from cmrbias.evaluation.seen import Seen, count_seen
from cmrbias.evaluation.selection import cohort_notes, selected_cases, shown_rows, tested_cohort
from cmrbias.evaluation.stream import stream_cases
from cmrbias.evaluation.subject import Asked
from cmrbias.files import write_atomically, write_json
from cmrbias.plugins import Plugins
from cmrbias.statistics.findings import MEASURES, FindingScores, finding_differences, finding_scores
from cmrbias.statistics.interval import Estimate
from cmrbias.training.cases import Cases
from cmrbias.training.findings import outcomes
from cmrbias.training.precision import autocast, pick_device, pick_precision
from cmrbias.training.run import Run

ENSEMBLE = "{} (ensemble)"


@dataclass(frozen=True)
class Studies:
    """The units that are scored: all images of a study together, or single images without one.

    Attributes:
        name: (S,) str, the study's first case.
        patients: (S,) int64 codes.
        outcomes: (S, K) float32: 1 if any image has the finding, NaN if none has and some is unknown, else 0.
        of_case: (N,) int64, each case's study.
    """

    name: np.ndarray
    patients: np.ndarray
    outcomes: np.ndarray
    of_case: np.ndarray

    def highest(self, probabilities: np.ndarray) -> np.ndarray:
        """Returns the highest probability (S, K) among each study's cases (N, K)."""
        found = np.zeros((len(self.name), probabilities.shape[1]))
        np.maximum.at(found, self.of_case, probabilities)
        return found


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
        folder.mkdir(parents=True, exist_ok=True)
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


def evaluate_findings(
    models: Mapping[str, Sequence[Path | str]],
    cohort: Path | str | None = None,
    *,
    split: str = "test",
    baseline: str | None = None,
    ensemble: bool = False,
    allow_seen: bool = False,
    resamples: int = 2000,
    seed: int = 0,
    device: str = "auto",
    precision: str = "fp32",
    plugins: Plugins | None = None,
) -> FindingEvaluation:
    """Tests classifiers of binary targets, a study at a time, each in the input mode it is tested in.

    Args:
        models: name to its runs of ``probe`` or ``finetune`` (draws of a label fraction, seeds), which are
            averaged within each resample of patients; their best checkpoints are used.
        cohort: what they are tested on; None is the cohort that the first run was trained on.
        split: of the cohort.
        baseline: the model from which the others' paired differences are taken.
        ensemble: also score the mean probability of each model's runs, where there are several.
        allow_seen: test patients that a run has seen in training; the table says so.
        resamples, seed: of the bootstrap over patients.
        device, precision: of the network.
        plugins: where networks are looked up; None means the installed ones.

    Raises:
        CmrbiasError: no run, runs of different targets or of no binary one, a finding without both outcomes,
            or patients that were seen.
    """
    paths = [(name, Path(path)) for name, runs in models.items() for path in runs]
    if not paths or any(not runs for runs in models.values()):
        raise CmrbiasError("expected one run or more a model, found none")
    if baseline is not None and baseline not in models:
        raise CmrbiasError(f"expected a baseline among {', '.join(models)}, found {baseline!r}")
    opened = tested_cohort(Run.open(paths[0][1]), cohort)
    where = pick_device(device)
    arithmetic = pick_precision(precision, where)
    found: dict[str, list[np.ndarray]] = {name: [] for name in models}
    seen: dict[str, Seen] = {}
    notes: list[str] = []
    studies: Studies | None = None
    findings: tuple[str, ...] = ()
    for name, path in paths:
        run, classifier = Run.open(path), load_classifier(path, plugins)
        if classifier.kind != "binary" or (findings and classifier.classes != findings):
            expected = ", ".join(findings) or "binary targets"
            raise CmrbiasError(
                f"{path}: expected a classifier of {expected}, found one of {classifier.target!r} "
                f"({classifier.kind})"
            )
        findings = classifier.classes
        cases = selected_cases(run, classifier, opened, split)
        if studies is None:
            studies = _studies(opened, cases.case, findings)
            _refuse_one_outcome(opened, split, findings, studies.outcomes)
        notes += cohort_notes(run, classifier, opened)
        seen[str(path)] = count_seen(run, opened.column("patient")[cases.case], allow_seen)
        found[name].append(studies.highest(_predicted(path, classifier, cases, split, where, arithmetic)))
    assert studies is not None
    probabilities = {name: np.stack(runs) for name, runs in found.items()}
    if ensemble:
        several = {name: runs for name, runs in probabilities.items() if len(runs) > 1}
        probabilities |= {
            ENSEMBLE.format(name): runs.mean(0, keepdims=True) for name, runs in several.items()
        }
    return _scored(opened, split, findings, studies, probabilities, baseline, seen, notes, resamples, seed)


@torch.no_grad()
def _predicted(
    path: Path, classifier: Classifier, cases: Cases, split: str, device: torch.device, precision: str
) -> np.ndarray:
    """Returns probabilities (N, K) float64 of the cases, shown as the run at ``path`` is tested."""
    mode = classifier.input.tested()
    if len(shown_rows(cases, mode, split)) < len(cases):
        raise CmrbiasError(f"{path}: input {mode.name} needs complete heart masks of all tested cases")
    classifier = classifier.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    with autocast(precision, device):
        parts = [
            classifier(batch.images.to(device)).cpu()
            for batch in stream_cases(cases, mode, classifier.image_size)
        ]
    probabilities: np.ndarray = torch.cat(parts).double().sigmoid().numpy()
    return probabilities


def _scored(
    cohort: Cohort,
    split: str,
    findings: tuple[str, ...],
    studies: Studies,
    probabilities: dict[str, np.ndarray],
    baseline: str | None,
    seen: dict[str, Seen],
    notes: list[str],
    resamples: int,
    seed: int,
) -> FindingEvaluation:
    scores: dict[str, dict[str, FindingScores]] = {name: {} for name in probabilities}
    others = [name for name in probabilities if baseline is not None and name != baseline]
    differences: dict[str, dict[str, dict[str, Estimate]]] = {name: {} for name in others}
    for k, finding in enumerate(findings):
        known = ~np.isnan(studies.outcomes[:, k])
        outcome, patients = studies.outcomes[known, k] > 0, studies.patients[known]
        for name, runs in probabilities.items():
            scores[name][finding] = finding_scores(runs[:, known, k], outcome, patients, resamples, seed)
        for name in others:
            pair = probabilities[name][:, known, k], probabilities[str(baseline)][:, known, k]
            differences[name][finding] = finding_differences(*pair, outcome, patients, resamples, seed)
    return FindingEvaluation(
        cohort, split, findings, studies, probabilities, scores, differences, baseline, seen, notes
    )


def _studies(cohort: Cohort, cases: np.ndarray, findings: tuple[str, ...]) -> Studies:
    """Returns the studies of ``cases`` (N,); a study is a patient's: equal names of others do not count."""
    patient, study = cohort.codes("patient")[0][cases], cohort.codes("study")[0][cases]
    alone = np.where(study < 0, np.arange(len(cases)), -1)  # a case without a study stands alone
    _, first, of_case = np.unique(
        np.stack([patient, study, alone], 1), axis=0, return_index=True, return_inverse=True
    )
    labels, of_case = outcomes(cohort, findings, cases), of_case.reshape(-1)
    present = np.zeros((len(first), len(findings)), bool)
    unknown = np.zeros_like(present)
    np.logical_or.at(present, of_case, labels == 1)
    np.logical_or.at(unknown, of_case, np.isnan(labels))
    outcome = np.where(present, 1.0, np.where(unknown, np.nan, 0.0)).astype(np.float32)
    return Studies(cohort.column("case")[cases][first], patient[first], outcome, of_case)


def _refuse_one_outcome(cohort: Cohort, split: str, findings: tuple[str, ...], labels: np.ndarray) -> None:
    for name, column in zip(findings, labels.T, strict=True):
        present, absent = int((column == 1).sum()), int((column == 0).sum())
        if not present or not absent:
            raise CmrbiasError(
                f"{cohort.path}: split {split}: column {name!r}: expected studies with and without it, found "
                f"{present} with and {absent} without: test on another split or cohort"
            )


def _cell(estimate: Estimate, sign: str = "") -> str:
    """Returns value and interval; a star where the interval is unreliable."""
    if math.isnan(estimate.value):
        return "undefined"
    interval = "zero width" if estimate.interval.width == 0 else str(estimate.interval)
    return f"{estimate.value:{sign}.3f} ({interval}){'*' if estimate.unreliable else ''}"
