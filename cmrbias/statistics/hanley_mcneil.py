"""The standard error of an AUC from its value and the group sizes alone (Hanley and McNeil 1982)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cmrbias.statistics.auc import one_vs_rest_aucs
from cmrbias.statistics.distributions import two_sided_z
from cmrbias.statistics.inputs import outcome_matrix
from cmrbias.statistics.interval import Interval


def hanley_mcneil_se(auc: float, positives: int, negatives: int) -> float:
    """Returns the standard error of ``auc`` under exponential score distributions.

    Hanley and McNeil, Radiology 143:29-36 (1982), equation 1, with Q1 = A / (2 - A) and
    Q2 = 2 A^2 / (1 + A).
    """
    first, second = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = (positives - 1) * (first - auc**2) + (negatives - 1) * (second - auc**2)
    return math.sqrt(max(auc * (1 - auc) + spread, 0.0) / (positives * negatives))


def hanley_mcneil_interval(auc: float, positives: int, negatives: int, level: float = 0.95) -> Interval:
    """Returns ``auc`` plus or minus z standard errors, cut off at 0 and 1."""
    half = two_sided_z(level) * hanley_mcneil_se(auc, positives, negatives)
    return Interval(max(auc - half, 0.0), min(auc + half, 1.0), "Hanley-McNeil", level)


def macro_hanley_mcneil(
    scores: np.ndarray, labels: np.ndarray, classes: Sequence[str] | None = None, level: float = 0.95
) -> Interval:
    """Returns the mean over classes of the Hanley-McNeil intervals' ends, for the macro AUC.

    It has no coverage to speak of (it takes the classes' AUCs as fully dependent and cases as independent)
    and exists to stand beside the numbers of Nakashima et al. (2023), whose printed half-width of the AUC
    is the distance from the estimate to the upper end: 0.990 has 0.010.

    Args:
        scores: (N, K) float64.
        labels: (N,) integers in [0, K), or (N, K) of 0 and 1.
        classes: K names, for messages.
        level: of the interval.
    """
    outcomes = outcome_matrix(scores, labels, classes)
    ends = [
        hanley_mcneil_interval(auc, int(cases), len(outcomes) - int(cases), level)
        for auc, cases in zip(
            one_vs_rest_aucs(scores, labels).per_class.tolist(), outcomes.sum(axis=0), strict=True
        )
    ]
    low, high = np.mean([[end.low, end.high] for end in ends], axis=0)
    return Interval(float(low), float(high), "mean of the classes' Hanley-McNeil intervals", level)
