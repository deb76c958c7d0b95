"""The area under the ROC curve (AUC), from exact counts of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmrbias.statistics.inputs import outcome_matrix


@dataclass(frozen=True)
class Aucs:
    """AUCs of one classifier.

    Attributes:
        per_class: (K,) float64, each class against the others.
        micro: all (case, class) scores pooled.
        macro: the mean over the classes.
    """

    per_class: np.ndarray
    micro: float
    macro: float


def binary_auc(scores: np.ndarray, outcomes: np.ndarray) -> float:
    """Returns the share of (positive, negative) pairs in which the positive scores higher, ties one half.

    Args:
        scores: (N,) finite.
        outcomes: (N,) bool, with both values.
    """
    positive, negative = scores[outcomes], np.sort(scores[~outcomes])
    # below and not above add up to twice the pairs won, in integers
    below = np.searchsorted(negative, positive, side="left").sum()
    not_above = np.searchsorted(negative, positive, side="right").sum()
    return int(below + not_above) / (2 * len(positive) * len(negative))


def one_vs_rest_aucs(scores: np.ndarray, labels: np.ndarray, classes: Sequence[str] | None = None) -> Aucs:
    """Returns per-class, micro and macro AUC.

    Args:
        scores: (N, K) float64.
        labels: (N,) integers in [0, K), or (N, K) of 0 and 1.
        classes: K names, for messages.

    Raises:
        CmrbiasError: see ``outcome_matrix``; a class without cases is named.
    """
    outcomes = outcome_matrix(scores, labels, classes)
    columns = zip(scores.T, outcomes.T, strict=True)
    per_class = np.array([binary_auc(column, outcome) for column, outcome in columns])
    return Aucs(per_class, binary_auc(scores.ravel(), outcomes.ravel()), float(per_class.mean()))
