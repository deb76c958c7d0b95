"""AUCs of weighted patients, for the bootstrap: exact counts for each resample."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cmrbias.statistics.bootstrap import Statistic


def auc_statistic(scores: np.ndarray, outcomes: np.ndarray, numbers: np.ndarray) -> Statistic:
    """Returns the function of patient weights that gives K per-class AUCs, micro and macro, in this order.

    Args:
        scores: (N, K) finite float64.
        outcomes: (N, K) bool.
        numbers: (N,) the cases' patients, numbered from 0 without gaps.
    """
    classes = scores.shape[1]
    columns = [weighted_auc(scores[:, k], outcomes[:, k], numbers) for k in range(classes)]
    pooled = weighted_auc(scores.ravel(), outcomes.ravel(), np.repeat(numbers, classes))

    def statistic(weights: np.ndarray) -> np.ndarray:
        per_class = [column(weights) for column in columns]
        return np.stack([*per_class, pooled(weights), np.mean(per_class, axis=0)], axis=1)

    return statistic


def weighted_auc(
    scores: np.ndarray, outcomes: np.ndarray, numbers: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the function from patient weights (B, P) int64 to AUCs (B,), NaN without both outcomes.

    Args:
        scores: (N,) finite.
        outcomes: (N,) bool.
        numbers: (N,) the cases' patients, numbered from 0 without gaps.
    """
    negatives = np.flatnonzero(~outcomes)
    negatives = negatives[np.argsort(scores[negatives], kind="stable")]
    below = np.searchsorted(scores[negatives], scores[outcomes], side="left")
    not_above = np.searchsorted(scores[negatives], scores[outcomes], side="right")
    positive, negative = numbers[outcomes], numbers[negatives]

    def auc(weights: np.ndarray) -> np.ndarray:
        up_to = np.zeros((len(weights), len(negative) + 1), np.int64)  # negatives among the lowest i
        np.cumsum(weights[:, negative], axis=1, out=up_to[:, 1:])
        wins = (weights[:, positive] * (up_to[:, below] + up_to[:, not_above])).sum(axis=1)
        pairs = 2 * weights[:, positive].sum(axis=1) * up_to[:, -1]
        area: np.ndarray = wins / np.where(pairs > 0, pairs, np.nan)
        return area

    return auc
