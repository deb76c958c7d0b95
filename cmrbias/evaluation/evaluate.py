"""``evaluate``: from a run and a cohort to predictions, scores and the files that hold them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from cmrbias.cohorts.format import Cohort
from cmrbias.errors import CmrbiasError
from cmrbias.evaluation.conditions import Condition, condition, input_names, modes_of
from cmrbias.evaluation.destination import destination
from cmrbias.evaluation.evaluation import Evaluation, write_evaluation
from cmrbias.evaluation.matching import refuse_absent
from cmrbias.evaluation.measures import Resampling, score
from cmrbias.evaluation.pairs import (
    BG_GAP,
    Against,
    adjusted,
    background_gap,
    background_gap_less,
    compare,
)
from cmrbias.evaluation.prediction import Predictions, Progress, predict
from cmrbias.evaluation.selection import cohort_notes, run_notes, tested_cohort
from cmrbias.evaluation.subject import Asked, Subject, open_subject
from cmrbias.evaluation.twins import open_twins, twinned
from cmrbias.plugins import Plugins
from cmrbias.training.precision import pick_device, pick_precision
from cmrbias.training.run import Run


def evaluate(
    run: Path | str,
    cohort: Path | str | None = None,
    *,
    split: str = "test",
    inputs: Sequence[str] = (),
    against: Sequence[Path | str] = (),
    twins: Sequence[Path | str] = (),
    label: str | None = None,
    label_map: Mapping[str, str] | None = None,
    allow_seen: bool = False,
    resamples: int = 2000,
    seed: int = 0,
    out: Path | str | None = None,
    device: str = "auto",
    precision: str = "fp32",
    plugins: Plugins | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Tests a classifier and writes ``predictions.csv`` and ``scores.json``.

    Args:
        run: a run of ``finetune`` or ``probe``.
        cohort: what it is tested on; None is the cohort that it was trained on.
        split: of the cohort.
        inputs: test inputs (``inputs.TESTING``), or ``all``; none: the run's own and ``full``.
        against: other runs, on the same patients under the same inputs.
        twins: twins of the cohort (``cohort phantom --twin-of``): how far the run relies on the cue.
        label: the cohort's column of labels; None is the run's.
        label_map: the run's class -> the cohort's label, for diagnoses that they share.
        allow_seen: test patients that the run has seen in training; every table says so.
        resamples: of the bootstrap over patients.
        seed: of the bootstrap, and of the donors of swapped backgrounds.
        out: directory; None is the run itself for its own cohort's test split, else
            ``RUN/evaluations/COHORT`` (see ``destination``).
        device: where the network runs: ``auto``, ``cpu`` or ``cuda``.
        precision: ``fp32``, ``bf16`` or ``auto``; the softmax is float64 whatever it is.
        plugins: where the network is looked up; None means the installed ones.
        progress: called after each batch.

    Raises:
        CmrbiasError: see ``open_subject``, ``condition``, ``destination``, ``refuse_absent`` and
            ``open_twins``.
    """
    path, where = Path(run), pick_device(device)
    asked = Asked(tested_cohort(Run.open(path), cohort), split, label, label_map, allow_seen)
    opened = open_twins(asked.cohort, twins)
    subject, *others = _subjects([path, *map(Path, against)], asked, where, plugins)
    folder = destination(subject.run, asked, None if out is None else Path(out))
    sampling, arithmetic = Resampling(resamples, seed), pick_precision(precision, where)
    conditions = _conditions(subject, inputs, asked, seed)
    predicted = partial(predict, device=where, precision=arithmetic, progress=progress)
    predictions = {shown.mode.name: predicted(subject, shown) for shown in conditions}
    compared = [(str(other.run.path), _shown(other, conditions, asked, seed, predicted)) for other in others]
    reliance = []
    for twin in opened:
        again = replace(asked, cohort=twin)
        theirs = _shown(open_subject(path, again, where, plugins), conditions, again, seed, predicted)
        reliance += [
            twinned(asked.cohort, predictions[name], twin, found, sampling) for name, found in theirs.items()
        ]
    evaluation = Evaluation(
        asked=asked,
        subject=subject,
        others=tuple(others),
        sampling=sampling,
        precision=arithmetic,
        predictions=predictions,
        scores={c.mode.name: score(predictions[c.mode.name], c, sampling) for c in conditions},
        bg_gap=background_gap(predictions, sampling),
        comparisons=_comparisons(predictions, compared, sampling),
        twins=reliance,
        notes=_notes((subject, *others), (asked.cohort, *opened)),
        out=folder,
    )
    return write_evaluation(evaluation)


def _shown(
    subject: Subject,
    conditions: Sequence[Condition],
    asked: Asked,
    seed: int,
    predicted: Callable[[Subject, Condition], Predictions],
) -> dict[str, Predictions]:
    """Returns what another subject predicts under the same test inputs."""
    modes = [shown.mode for shown in conditions]
    return {mode.name: predicted(subject, condition(subject, mode, asked, seed)) for mode in modes}


def _comparisons(
    ours: Mapping[str, Predictions],
    others: Sequence[tuple[str, Mapping[str, Predictions]]],
    sampling: Resampling,
) -> list[Against]:
    """Returns the run against each other, by name: under each test input, then in what backgrounds cost."""
    pairs, gaps = [], []
    for name, theirs in others:
        pairs += [
            Against(name, input, compare(ours[input], found, sampling)) for input, found in theirs.items()
        ]
        gap = background_gap_less(ours, theirs, sampling)
        gaps += [] if gap is None else [Against(name, BG_GAP, gap)]
    return [*adjusted(pairs), *adjusted(gaps)]


def _notes(subjects: Sequence[Subject], cohorts: Sequence[Cohort]) -> list[str]:
    """Returns what to know of the runs on the cohort and of its twins, each sentence once."""
    tested, *twins = cohorts
    notes = [note for each in subjects for note in run_notes(each.run)]
    notes += [note for each in subjects for note in cohort_notes(each.run, each.classifier, tested)]
    return list(dict.fromkeys([*notes, *(twin.edited for twin in twins if twin.edited)]))


def _subjects(
    paths: Sequence[Path], asked: Asked, device: torch.device, plugins: Plugins | None
) -> list[Subject]:
    """Returns the runs on the cohort, all with the classes of the first."""
    subjects = [open_subject(path, asked, device, plugins) for path in paths]
    ours = subjects[0].matching.classes
    for other in subjects[1:]:
        if other.matching.classes != ours:
            raise CmrbiasError(
                f"--against {other.run.path}: expected the classes {', '.join(ours)} of {paths[0]}, found "
                f"{', '.join(other.matching.classes)}: choose a run with the same classes, or name the "
                "shared ones by --label-map"
            )
    return subjects


def _conditions(subject: Subject, inputs: Sequence[str], asked: Asked, seed: int) -> list[Condition]:
    """Returns what is shown, having found before anything is computed that every class has cases in it."""
    found = []
    for mode in modes_of(input_names(inputs, subject.classifier.input), subject):
        shown = condition(subject, mode, asked, seed)
        what = f"{asked.cohort.path}: split {asked.split}, input {mode.name}"
        refuse_absent(subject.matching.classes, subject.labels[shown.rows], what)
        found.append(shown)
    return found
