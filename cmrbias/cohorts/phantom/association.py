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
        condition: ``as-trained``, and ``permuted``, which ``permuted_within`` takes from there;
            ``independent``, always drawn from the shares; ``absent``, -1 everywhere; ``reversed``, as
            trained with each class at the level of another (see ``reversed_map``).
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


def permuted_within(levels: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns levels (N,) exchanged at random between the cases of each group (N,): equal counts in each."""
    permuted = levels.copy()
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        permuted[members] = levels[rng.permutation(members)]
    return permuted


def reversed_map(levels: int) -> np.ndarray:
    """Returns the level of each class (K,) under ``reversed``: half-way round, so none keeps its own."""
    return (np.arange(levels) + levels // 2) % levels


def other_levels(levels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Returns for each case another level than its own, all others alike probable.

    A case without a cue (-1) gets any level.
    """
    step = rng.integers(1, count, len(levels))
    return np.where(levels < 0, step - 1, (levels + step) % count)


def expected_table(shares: np.ndarray, strength: float, condition: str) -> np.ndarray:
    """Returns the probability (K, K) of each class with each level, as ``draw_levels`` draws them.

    Under ``absent`` there are no levels, and all is 0.
    """
    chance = np.outer(shares, shares)
    if condition == "absent":
        return 0 * chance
    if condition in ("independent", "permuted"):
        return chance
    follow = np.diag(shares)
    if condition == "reversed":
        follow = follow[:, np.argsort(reversed_map(len(shares)))]
    return np.asarray(strength * follow + (1 - strength) * chance)


def count_table(classes: np.ndarray, levels: np.ndarray, count: int) -> np.ndarray:
    """Returns how many cases (count, count) each class and level share, leaving out those without a level."""
    table = np.zeros((count, count))
    shown = levels >= 0
    np.add.at(table, (classes[shown], levels[shown]), 1)
    return table


def cramers_v(table: np.ndarray) -> float:
    """Returns Cramer's V of a table (classes, levels) of counts or probabilities; 0 if it tells nothing.

    V = sqrt(chi2 / (N (min(rows, columns) - 1))) over the rows and columns that occur, without bias
    correction: independent draws of n cases give about sqrt((K - 1) / n), not 0 (Cramer 1946).
    """
    table = table[table.sum(1) > 0][:, table.sum(0) > 0]
    if min(table.shape) < 2:
        return 0.0
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    chi2 = ((table - expected) ** 2 / expected).sum()
    return float(np.sqrt(chi2 / (table.sum() * (min(table.shape) - 1))))


def bayes_auc(table: np.ndarray) -> float:
    """Returns the macro one-vs-rest AUC of the best classifier that sees the cue alone.

    It scores a class by that class's share in each level's column, ties count half. ``table``
    (classes, levels) holds probabilities, or counts: then the classifier has seen the very cases
    that it is scored on, and is above 0.5 by chance. A table without cases gives 0.5.
    """
    table = table[:, table.sum(0) > 0]
    if not table.size:
        return 0.5
    shares = table / table.sum(0)
    return float(np.mean([_auc(table[k], table.sum(0) - table[k], shares[k]) for k in range(len(table))]))


def _auc(positives: np.ndarray, negatives: np.ndarray, scores: np.ndarray) -> float:
    """Returns P(score of a positive > that of a negative) + half of P(equal), from counts a level."""
    above = (scores[:, None] > scores) + 0.5 * (scores[:, None] == scores)
    return float(positives @ above @ negatives / (positives.sum() * negatives.sum()))
