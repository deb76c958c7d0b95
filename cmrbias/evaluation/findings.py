"""Linear evaluation: what classifiers of findings are worth on the studies of a cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from cmrbias.backbones import Classifier, load_classifier
from cmrbias.errors import CmrbiasError
from cmrbias.evaluation.conditions import sized
from cmrbias.evaluation.finding_evaluation import FindingEvaluation
from cmrbias.evaluation.seen import Seen, count_seen
from cmrbias.evaluation.selection import cohort_notes, run_notes, selected_cases, shown_rows, tested_cohort
from cmrbias.evaluation.stream import stream_cases
from cmrbias.evaluation.studies import Studies, refuse_one_outcome, studies_of
from cmrbias.plugins import Plugins
from cmrbias.statistics.findings import FindingScores, finding_differences, finding_scores
from cmrbias.statistics.interval import Estimate
from cmrbias.training.cases import Cases
from cmrbias.training.precision import autocast, pick_device, pick_precision
from cmrbias.training.run import Run

ENSEMBLE = "{} (ensemble)"


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
        CmrbiasError: no run, a run twice in a model, runs of different targets or of no binary one, a finding
            without both outcomes, or patients that were seen.
    """
    paths = [(name, Path(path)) for name, runs in models.items() for path in runs]
    if not paths or any(not runs for runs in models.values()):
        raise CmrbiasError("expected one run or more a model, found none")
    for name, runs in models.items():
        refuse_twice(runs, f"{name}: a mean over runs")
    if baseline is not None and baseline not in models:
        raise CmrbiasError(f"expected a baseline among {', '.join(models)}, found {baseline!r}")
    opened = tested_cohort(Run.open(paths[0][1]), cohort)
    where = pick_device(device)
    arithmetic = pick_precision(precision, where)
    found: dict[str, list[np.ndarray]] = {name: [] for name in models}
    seen: dict[str, Seen] = {}
    balanced: list[str] = []
    notes: list[str] = []
    studies: Studies | None = None
    findings: tuple[str, ...] = ()
    for name, path in paths:
        run, classifier = Run.open(path), _classifier(path, findings, plugins)
        findings = classifier.classes
        cases = selected_cases(run, classifier, opened, split)
        if studies is None:
            studies = studies_of(opened, cases.case, findings)
            refuse_one_outcome(opened, split, findings, studies.outcomes)
        notes += [*run_notes(run), *cohort_notes(run, classifier, opened)]
        if run.info["record"].get("balanced"):
            balanced.append(str(path))
        seen[str(path)] = count_seen(run, opened.column("patient")[cases.case], allow_seen)
        found[name].append(studies.highest(_predicted(path, classifier, cases, split, where, arithmetic)))
    assert studies is not None
    probabilities = {name: np.stack(runs) for name, runs in found.items()}
    if ensemble:
        probabilities |= _ensembles(probabilities)
    scores, differences = _scored(findings, studies, probabilities, baseline, resamples, seed)
    return FindingEvaluation(
        cohort=opened,
        split=split,
        findings=findings,
        studies=studies,
        probabilities=probabilities,
        scores=scores,
        differences=differences,
        baseline=baseline,
        seen=seen,
        balanced=tuple(balanced),
        notes=list(dict.fromkeys(notes)),
    )


def refuse_twice(runs: Sequence[str | Path], what: str) -> None:
    """Raises CmrbiasError where a run is named twice, under one path or two: it would count as two."""
    found: set[Path] = set()
    for path in map(Path, runs):
        if path.resolve() in found:
            raise CmrbiasError(f"{what}: expected each run once, got {path} twice: leave one out")
        found.add(path.resolve())


def _classifier(path: Path, findings: tuple[str, ...], plugins: Plugins | None) -> Classifier:
    """Returns a run's classifier, which must be one of the findings, where these are known already."""
    classifier = load_classifier(path, plugins)
    if classifier.kind != "binary" or (findings and classifier.classes != findings):
        expected = ", ".join(findings) or "binary targets"
        raise CmrbiasError(
            f"{path}: expected a classifier of {expected}, found one of {classifier.target!r} "
            f"({classifier.kind})"
        )
    return classifier


def _ensembles(probabilities: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the mean probabilities of each model of several runs, as a model of one run."""
    several = {name: runs for name, runs in probabilities.items() if len(runs) > 1}
    return {ENSEMBLE.format(name): runs.mean(0, keepdims=True) for name, runs in several.items()}


@torch.no_grad()
def _predicted(
    path: Path, classifier: Classifier, cases: Cases, split: str, device: torch.device, precision: str
) -> np.ndarray:
    """Returns probabilities (N, K) float64 of the cases, shown as the run at ``path`` is tested."""
    mode = sized(classifier.input.tested(), Run.open(path), classifier, cases)
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
    findings: tuple[str, ...],
    studies: Studies,
    probabilities: dict[str, np.ndarray],
    baseline: str | None,
    resamples: int,
    seed: int,
) -> tuple[dict[str, dict[str, FindingScores]], dict[str, dict[str, dict[str, Estimate]]]]:
    """Returns the models' scores, and their differences from the ``baseline``: see ``FindingEvaluation``."""
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
    return scores, differences
