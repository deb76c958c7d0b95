"""What the predictions under one test input are worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmrbias.evaluation.conditions import Condition
from cmrbias.evaluation.prediction import Predictions
from cmrbias.statistics import (
    AucSummary,
    ClassificationSummary,
    Interval,
    auc_summary,
    classification_summary,
    macro_hanley_mcneil,
)


@dataclass(frozen=True)
class Resampling:
    """Of the bootstrap over patients: how many resamples, and their seed (of the donors too)."""

    resamples: int = 2000
    seed: int = 0


@dataclass(frozen=True)
class InputScores:
    """Scores under one test input.

    Attributes:
        patients, cases: how many are scored.
        left_out: reason to the number of cases that could not be shown.
        box: side of the square of ``background-box`` in pixels.
        donors: draws that are averaged, for the modes that swap backgrounds.
        auc: per class, micro and macro.
        macro_as_published: the interval of the macro AUC to stand beside published ones.
        decisions: accuracy, F1, sensitivity and so on, calibration, confusion matrix.
    """

    patients: int
    cases: int
    left_out: dict[str, int]
    box: int | None
    donors: int | None
    auc: AucSummary
    macro_as_published: Interval
    decisions: ClassificationSummary


def score(found: Predictions, shown: Condition, sampling: Resampling) -> InputScores:
    """Returns all measures of predictions, with intervals over patients.

    Raises:
        CmrbiasError: a class that no case has, or that every case has.
    """
    arguments = (found.probabilities, found.labels)
    drawn = (sampling.resamples, sampling.seed)
    return InputScores(
        patients=len(np.unique(found.patients)),
        cases=len(found.case),
        left_out=shown.left_out,
        box=shown.mode.box,
        donors=None if shown.donors is None else len(shown.donors),
        auc=auc_summary(*arguments, found.patients, found.classes, *drawn),
        macro_as_published=macro_hanley_mcneil(*arguments, found.classes),
        decisions=classification_summary(*arguments, found.patients, found.classes, *drawn),
    )
