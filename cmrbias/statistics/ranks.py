"""Ranks from 1, ties sharing their mean rank."""

from __future__ import annotations

import numpy as np


def midranks(values: np.ndarray) -> np.ndarray:
    """Returns the ranks of ``values`` (N,), from 1, the mean rank for ties: (N,) float64."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: np.ndarray = (last - (counts - 1) / 2)[inverse]
    return ranks


def weighted_midranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the ranks that ``values`` have when each is repeated by its weight: (B, N) float64.

    Args:
        values: (N,).
        weights: (B, N) counts; a value of weight 0 gets the rank between its neighbours.
    """
    _, inverse = np.unique(values, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.flatnonzero(np.diff(inverse[order], prepend=-1))
    groups = np.add.reduceat(weights[:, order], starts, axis=1)
    ranks: np.ndarray = (np.cumsum(groups, axis=1) - (groups - 1) / 2)[:, inverse]
    return ranks
