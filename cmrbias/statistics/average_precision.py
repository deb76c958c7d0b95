"""The area under the precision-recall curve."""

from __future__ import annotations

import numpy as np


def average_precision(scores: np.ndarray, outcomes: np.ndarray) -> float:
    """Returns the mean precision over the positives, each at the threshold that finds it.

    Equal scores stand or fall together, so that a constant score gives the prevalence. NaN without a
    positive.

    Args:
        scores: (N,) finite, higher for positives.
        outcomes: (N,) bool.

    Source: Davis and Goadrich 2006; the step-wise sum of Boyd et al. 2013, without interpolation, as
    scikit-learn's ``average_precision_score``.
    """
    if not outcomes.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ordered, found = scores[order], np.cumsum(outcomes[order])
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)  # of equal scores
    gained = np.diff(found[last], prepend=0)
    return float((gained * (found[last] / (last + 1))).sum() / found[-1])
