"""Test inputs: which there are, and which cases can be shown in one, with which donors."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from cmrbias.backbones import Classifier
from cmrbias.cohorts.format import Cohort
from cmrbias.errors import unknown
from cmrbias.evaluation.selection import shown_rows
from cmrbias.evaluation.subject import Asked, Subject
from cmrbias.inputs import TESTING, InputMode, fixed_donors
from cmrbias.training.cases import Cases
from cmrbias.training.run import Run
from cmrbias.training.stored_images import StoredImages

MATRIX = ("full", "heart", "background-box", "swap-same-class", "swap-other-class")


@dataclass(frozen=True)
class Condition:
    """What of which cases is shown.

    Attributes:
        mode: of all images.
        rows: (n,) int64 of the subject's cases.
        donors: (draws, n) int64 rows of the same, for the modes that draw some.
        left_out: reason to the number of cases that cannot be shown.
    """

    mode: InputMode
    rows: np.ndarray
    donors: np.ndarray | None
    left_out: dict[str, int]


def input_names(asked: Sequence[str], own: InputMode) -> tuple[str, ...]:
    """Returns the test inputs that are asked for, each once.

    Args:
        asked: names, ``all`` standing for ``MATRIX``; none: the run's own, and ``full``.
        own: what the classifier was trained on.

    Raises:
        CmrbiasError: there is no such test input.
    """
    names = asked or (own.tested().name, "full")
    found: dict[str, None] = {}
    for name in names:
        if name not in (*TESTING, "all"):
            raise unknown("test input", name, (*TESTING, "all"))
        found |= dict.fromkeys(MATRIX if name == "all" else (name,))
        if name == "background":
            found["silhouette"] = None  # the hole's outline tells something too: how much is shown beside it
    return tuple(found)


def modes_of(names: Sequence[str], subject: Subject) -> list[InputMode]:
    """Returns the modes of these names, the same for all subjects that are compared with this one."""
    modes = [InputMode(name) for name in names]
    return [sized(mode, subject.run, subject.classifier, subject.cases) for mode in modes]


def sized(mode: InputMode, run: Run, classifier: Classifier, cases: Cases) -> InputMode:
    """Returns a mode with the side of its square, for ``background-box``, in pixels of the cases' images.

    The square is that of the training, if the classifier was trained on squares: as large a share of the
    images, whatever their size, since all are resampled to what the network takes. Else it is as large as
    the largest heart of the cohort's training split, or, without one, of the tested cases.
    """
    if mode.name != "background-box":
        return mode
    side = classifier.input.box
    if side is None:
        return dataclasses.replace(mode, box=measured_box(cases))
    trained, found = StoredImages.of_run(run), StoredImages.of(cases.cohort)
    return dataclasses.replace(mode, box=trained.side_in(found, side) if trained and found else side)


def condition(subject: Subject, mode: InputMode, asked: Asked, seed: int) -> Condition:
    """Returns which of the subject's cases are shown in the mode, with five fixed donors where it swaps.

    A case without a donor is left out and counted.

    Raises:
        CmrbiasError: the mode needs masks, and no case has complete ones.
    """
    cases = subject.cases
    rows = shown_rows(cases, mode, asked.split)
    left_out = {"incomplete heart mask": len(cases) - len(rows)}
    donors = None
    if mode.draws_donors:
        shown, donors = with_donors(cases, subject.labels, rows, mode, seed)
        left_out["no donor"] = len(rows) - len(shown)
        rows = shown
    return Condition(mode, rows, donors, {why: count for why, count in left_out.items() if count})


def with_donors(
    cases: Cases, labels: np.ndarray, rows: np.ndarray, mode: InputMode, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns those of the rows that have donors, (n,) int64, and their donors in each draw, (draws, n).

    Args:
        cases: the table that rows are numbers of.
        labels: (N,) int64 classes of its cases.
        rows: int64, which may be shown, and be donors.
        mode: ``swap-same-class`` or ``swap-other-class``.
        seed: of the draws.
    """
    of_rows = torch.as_tensor(labels[rows]), torch.as_tensor(cases.codes("patient")[rows])
    drawn = fixed_donors(*of_rows, mode.same_class, seed).numpy()
    found = drawn[0] >= 0
    return rows[found], rows[drawn[:, found]]


def measured_box(cases: Cases) -> int:
    """Returns the square's side: that of the largest heart of the training split, else of the cases."""
    train = _train_cases(cases.cohort)
    candidates = (Cases(cases.cohort, train, cases.frames), cases)
    whole = (some.some(np.flatnonzero(some.complete.all(1))) for some in candidates)
    return next((some.largest_extent() for some in whole if len(some)), 0)


def _train_cases(cohort: Cohort) -> np.ndarray:
    return cohort.cases("train") if "train" in cohort.codes("split")[1] else np.empty(0, np.int64)
