"""A run on a cohort: its classifier and the cases, with labels, that it is tested on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from cmrbias.backbones import Classifier, load_classifier
from cmrbias.cohorts.format import TABLE, Cohort
from cmrbias.errors import CmrbiasError
from cmrbias.evaluation.matching import Matching, match_classes
from cmrbias.evaluation.seen import Seen, count_seen
from cmrbias.evaluation.selection import selected_cases
from cmrbias.plugins import Plugins
from cmrbias.training.cases import Cases
from cmrbias.training.labelled import class_target, refuse_unlabelled
from cmrbias.training.run import Run


@dataclass(frozen=True)
class Asked:
    """On what a run is tested.

    Attributes:
        cohort: where the cases are.
        split: which of them.
        label: the column of their labels; None is the one that the run was trained on.
        label_map: the run's class -> the cohort's label; None: equal names.
        allow_seen: test patients that the run has seen, and say so.
    """

    cohort: Cohort
    split: str = "test"
    label: str | None = None
    label_map: Mapping[str, str] | None = None
    allow_seen: bool = False


@dataclass(frozen=True)
class Subject:
    """A classifier and what it is tested on.

    Attributes:
        run: where it is from.
        classifier: in eval mode.
        cases: those whose labels are compared.
        labels: (N,) int64 of these, 0 to K - 1.
        matching: of classes and labels.
        target: the cohort's column.
        seen: how many of the patients the run was trained on.
    """

    run: Run
    classifier: Classifier
    cases: Cases
    labels: np.ndarray
    matching: Matching
    target: str
    seen: Seen


def open_subject(path: Path, asked: Asked, device: torch.device, plugins: Plugins | None) -> Subject:
    """Returns the run at ``path`` with the cases that it is tested on.

    Raises:
        CmrbiasError: it is no run or has no classifier; frames, labels or classes do not fit; no case is
            left; or it has seen some of the patients.
    """
    run = Run.open(path)
    classifier = load_classifier(path, plugins)
    if classifier.kind != "class":
        raise CmrbiasError(f"{path}: expected a classifier of kind 'class', found {classifier.kind!r}")
    cohort = asked.cohort
    target, listed = class_target(cohort, asked.label or classifier.target)
    cases = selected_cases(run, classifier, cohort, asked.split)
    refuse_unlabelled(cases, target, asked.split)
    cells = cohort.column(target)[cases.case].tolist()
    where = f"{cohort.path / TABLE}: column {target!r}"
    matching = match_classes(classifier.classes, cells, listed, asked.label_map, where, path)
    kept = np.flatnonzero(matching.labels >= 0)
    cases, labels = cases.some(kept), matching.labels[kept]
    seen = count_seen(run, cohort.column("patient")[cases.case], asked.allow_seen)
    classifier = classifier.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Subject(run, classifier, cases, labels, matching, target, seen)
