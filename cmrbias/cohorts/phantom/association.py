"""How a cue goes with the diagnosis, and how much of the diagnosis it gives away."""

from __future__ import annotations

import numpy as np


def draw_levels(
    classes: np.ndarray, shares: np.ndarray, strength: float, condition: str, rng: np.random.Generator
) -> np.ndarray:
    """Draws the cue's level of each case.

    With probability ``strength`` it is the level of the case's class, else it is drawn from the
    classes' shares: so the expected marginal is the same at every strength. Both draws are made for
    every case in any condition, so a case that takes its class's level does so at any greater strength.

    Args:
        classes: (N,) int64 codes.
        shares: (K,) the classes' shares, sum 1.
        strength: 0 to 1.
        condition: ``as-trained``; ``independent``, always drawn from the shares; ``absent``, -1
            everywhere; ``reversed``, as trained with each class at the level of another (see
            ``reversed_map``).
        rng: the cue's own stream.
    """
    follows = rng.random(len(classes)) < strength
    drawn = np.searchsorted(np.cumsum(shares)[:-1], rng.random(len(classes)), side="right")
    if condition == "absent":
        return np.full(len(classes), -1)
    if condition == "independent":
        return drawn
    own = reversed_map(len(shares))[classes] if condition == "reversed" else classes
    return np.where(follows, own, drawn)


def reversed_map(levels: int) -> np.ndarray:
    """Returns the level of each class (K,) under ``reversed``: half-way round, so none keeps its own."""
    return (np.arange(levels) + levels // 2) % levels


def other_levels(levels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Returns for each case another level than its own, all others alike probable.

    A case without a cue (-1) gets any level.
    """
    step = rng.integers(1, count, len(levels))
    return np.where(levels < 0, step - 1, (levels + step) % count)


def cramers_v(classes: np.ndarray, levels: np.ndarray) -> float:
    """Returns Cramer's V of two codings (N,), without bias correction; 0 if one is constant.

    V = sqrt(chi2 / (N (min(rows, columns) - 1))), over rows and columns that occur (Cramer 1946).
    """
    table = _table(classes, levels)
    if min(table.shape) < 2:
        return 0.0
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    chi2 = ((table - expected) ** 2 / expected).sum()
    return float(np.sqrt(chi2 / (table.sum() * (min(table.shape) - 1))))


def bayes_auc(classes: np.ndarray, levels: np.ndarray) -> float:
    """Returns the macro one-vs-rest AUC of the best classifier that sees the cue alone.

    It scores a class by that class's share among the cases of the same level, ties count half. On
    few cases it is optimistic, for the shares are those of the very cases.
    """
    table = _table(classes, levels)
    shares = table / table.sum(0)
    return float(np.mean([_auc(table[k], table.sum(0) - table[k], shares[k]) for k in range(len(table))]))


def _auc(positives: np.ndarray, negatives: np.ndarray, scores: np.ndarray) -> float:
    """Returns P(score of a positive > that of a negative) + half of P(equal), from counts a level."""
    above = (scores[:, None] > scores) + 0.5 * (scores[:, None] == scores)
    if not positives.sum() or not negatives.sum():
        return 0.5
    return float(positives @ above @ negatives / (positives.sum() * negatives.sum()))


def _table(classes: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Returns the counts (rows, columns) of the classes and levels that occur."""
    rows, row = np.unique(classes, return_inverse=True)
    columns, column = np.unique(levels, return_inverse=True)
    return (
        np.bincount(row * len(columns) + column, minlength=len(rows) * len(columns))
        .reshape(len(rows), len(columns))
        .astype(np.float64)
    )
