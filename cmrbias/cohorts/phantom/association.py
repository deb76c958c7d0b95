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
    table = _occurring(table)
    if min(table.shape) < 2:
        return 0.0
    return float(np.sqrt(_phi_squared(table) / (min(table.shape) - 1)))


def corrected_cramers_v(counts: np.ndarray) -> float:
    """Returns the bias-corrected Cramer's V of counts (classes, levels), about 0 for independent draws.

    phi2 = chi2 / n loses what chance adds to it, (r - 1) (c - 1) / (n - 1), but is not below 0; rows r and
    columns c lose (r - 1)^2 / (n - 1) and (c - 1)^2 / (n - 1) (Bergsma 2013, J. Korean Stat. Soc. 42). 0
    also where there are no more cases than rows or columns that occur, which tell nothing.
    """
    counts = _occurring(counts)
    if min(counts.shape) < 2 or counts.sum() <= max(counts.shape):
        return 0.0
    sides, others = np.array(counts.shape) - 1, counts.sum() - 1
    phi_squared = max(0.0, _phi_squared(counts) - sides.prod() / others)
    return float(np.sqrt(phi_squared / (sides - sides**2 / others).min()))


def _occurring(table: np.ndarray) -> np.ndarray:
    """Returns a table without its empty rows and columns."""
    found: np.ndarray = table[table.sum(1) > 0][:, table.sum(0) > 0]
    return found


def _phi_squared(table: np.ndarray) -> float:
    """Returns chi2 / N of a table without empty rows and columns."""
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    return float(((table - expected) ** 2 / expected).sum() / table.sum())


def bayes_auc(table: np.ndarray) -> float:
    """Returns the macro one-vs-rest AUC of the best classifier that sees the cue alone.

    It scores a class by that class's share in each level's column, ties count half. ``table``
    (classes, levels) holds probabilities, or counts: then the classifier has seen the very cases
    that it is scored on, and is above 0.5 by chance (see ``left_out_auc``). A table without cases
    gives 0.5.
    """
    table = table[:, table.sum(0) > 0]
    if not table.size:
        return 0.5
    shares = table / table.sum(0)
    return float(np.mean([_auc(table[k], table.sum(0) - table[k], shares[k]) for k in range(len(table))]))


def left_out_auc(counts: np.ndarray) -> float:
    """Returns the macro one-vs-rest AUC of the cue alone by leave-pair-out, about 0.5 for independent draws.

    Each pair of a case of the class and one of another is ranked by the class's share among the *other*
    cases of its level (among all others where there are none), ties count half: unlike leaving out one
    case at a time, that is not biased downwards (Airola et al. 2011, Comput. Stat. Data Anal. 55).
    ``counts`` (classes, levels); classes without cases, or without others, are left out; 0.5 if none is left.
    """
    cases, levels = counts.sum(), counts.sum(0)
    found = []
    for own in counts:
        pairs = np.outer(own, levels - own)
        if pairs.sum():
            chance = (own.sum() - 1) / max(cases - 2, 1)
            alone = levels < 2
            positive = np.where(alone, chance, (own - 1) / np.where(alone, 1, levels - 1))[:, None]
            negative = np.where(alone, chance, own / np.where(alone, 1, levels - 1))
            above = (positive > negative) + 0.5 * (positive == negative)
            np.fill_diagonal(above, 0.5)  # two cases of one level cannot be told apart
            found.append((pairs * above).sum() / pairs.sum())
    return float(np.mean(found)) if found else 0.5


def _auc(positives: np.ndarray, negatives: np.ndarray, scores: np.ndarray) -> float:
    """Returns P(score of a positive > that of a negative) + half of P(equal), from counts a level."""
    above = (scores[:, None] > scores) + 0.5 * (scores[:, None] == scores)
    return float(positives @ above @ negatives / (positives.sum() * negatives.sum()))
