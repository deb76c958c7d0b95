"""AUCs of weighted patients, for the bootstrap: exact counts for each resample.

The extension counts where it is built: the same numbers to the last bit, many times faster.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from cmrbias.statistics.bootstrap import Statistic

try:
    from cmrbias import _C
except ImportError:  # numpy does its work
    _C = None  # type: ignore[assignment]


def auc_statistic(scores: np.ndarray, outcomes: np.ndarray, numbers: np.ndarray) -> Statistic:
    """Returns the function of patient weights that gives K per-class AUCs, micro and macro, in this order.

    Args:
        scores: (N, K) finite float64.
        outcomes: (N, K) bool.
        numbers: (N,) the cases' patients, numbered from 0 without gaps.
    """
    reference = functools.cache(lambda: auc_statistic_reference(scores, outcomes, numbers))
    scores, numbers = np.ascontiguousarray(scores, np.float64), np.ascontiguousarray(numbers, np.int64)
    outcomes = np.ascontiguousarray(outcomes, np.bool_)
    if _C is None or not scores.size or np.isnan(scores).any():
        return reference()
    order = scores.ravel().argsort()
    cases = np.bincount(numbers)
    most = int(cases.max()) * scores.shape[1]  # scores of a patient

    def statistic(weights: np.ndarray) -> np.ndarray:
        fits = weights.size and weights.shape[1] >= len(cases) and weights.min() >= 0
        if not fits or int(weights.sum(axis=1).max()) * most >= 2**31:
            return reference()(weights)  # the extension does not count so far
        return _counted(scores, outcomes, numbers, order, np.ascontiguousarray(weights, np.int64))

    return statistic


def weighted_auc(
    scores: np.ndarray, outcomes: np.ndarray, numbers: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the function from patient weights (B, P) int64 to AUCs (B,), NaN without both outcomes.

    Args:
        scores: (N,) finite.
        outcomes: (N,) bool.
        numbers: (N,) the cases' patients, numbered from 0.
    """
    statistic = auc_statistic(np.asarray(scores, np.float64)[:, None], outcomes[:, None], numbers)
    return lambda weights: statistic(weights)[:, 0]


def auc_statistic_reference(scores: np.ndarray, outcomes: np.ndarray, numbers: np.ndarray) -> Statistic:
    """Returns what ``auc_statistic`` does, in numpy."""
    classes = scores.shape[1]
    columns = [_auc(scores[:, k], outcomes[:, k], numbers) for k in range(classes)]
    pooled = _auc(scores.ravel(), outcomes.ravel(), np.repeat(numbers, classes))

    def statistic(weights: np.ndarray) -> np.ndarray:
        per_class = [column(weights) for column in columns]
        return np.stack([*per_class, pooled(weights), np.mean(per_class, axis=0)], axis=1)

    return statistic


def _auc(scores: np.ndarray, outcomes: np.ndarray, numbers: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
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


def _counted(
    scores: np.ndarray, outcomes: np.ndarray, numbers: np.ndarray, order: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Returns what ``statistic`` does, from the extension; all arrays are contiguous."""
    cases, classes = scores.shape
    resamples, patients = weights.shape
    aucs = np.empty((classes + 2, resamples))
    _C.bootstrap_auc_cpu(
        _C.BootstrapAuc(
            resamples=resamples,
            seed=0,
            cases=cases,
            classes=classes,
            patients=patients,
            strata=0,
            sizes=0,
            weights=weights.ctypes.data,
            patient=numbers.ctypes.data,
            scores=scores.ctypes.data,
            positive=outcomes.ctypes.data,
            order=order.ctypes.data,
            aucs=aucs.ctypes.data,
        )
    )
    return aucs.T
