"""Differences between classes in a number a patient has, plain or adjusted for another number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from cmrbias.errors import CmrbiasError
from cmrbias.resampling import PatientDraws
from cmrbias.statistics.bootstrap import Replicates, Statistic, bootstrap
from cmrbias.statistics.distributions import incomplete_beta, t_quantile
from cmrbias.statistics.interval import Estimate, Interval, estimate, few
from cmrbias.statistics.multiplicity import holm

_COLLINEAR = 1e-10  # share of the covariate's variation within classes under which there is none


@dataclass(frozen=True)
class ClassDifference:
    """A difference of two classes' means, first less second.

    Attributes:
        first, second: the classes.
        estimate: with percentile (printed) and BCa interval of the bootstrap, and the robust t interval.
        p: two-sided, of the robust t-test; NaN where a class has one patient or nothing varies.
        holm: ``p`` adjusted for all pairs of classes.
    """

    first: str
    second: str
    estimate: Estimate
    p: float
    holm: float


def class_differences(
    values: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    covariate: np.ndarray | None = None,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> list[ClassDifference]:
    """Returns the differences between all pairs of classes that have patients.

    Ordinary least squares of the value on the class and, if one is given, the covariate (analysis of
    covariance, one slope for all classes). Intervals are from patients resampled within classes;
    p-values from heteroscedasticity-consistent standard errors HC3 (MacKinnon and White 1985) and
    Student's t with as many degrees of freedom as there are patients less coefficients.

    Args:
        values: (P,) float64, one a patient; patients with NaN are left out.
        labels: (P,) integers in [0, K).
        classes: K names.
        covariate: (P,) finite where there is a value, for instance the mask's area; None, or the same for
            all: plain differences. Where it does not vary within classes there is no estimate.
        resamples, seed: of the bootstrap.
        level: of the intervals.

    Raises:
        CmrbiasError: a patient with a value whose covariate is not finite.
    """
    known = ~np.isnan(values)
    y, x, present = values[known], _varying(covariate, known), np.unique(labels[known])
    group = np.searchsorted(present, labels[known])
    pairs = list(combinations(range(len(present)), 2))
    if not pairs:
        return []
    statistic = _statistic(y, group, x, pairs)
    replicates = bootstrap(statistic, PatientDraws(group, resamples, seed))
    errors, freedom = _standard_errors(y, group, x, pairs)
    p = [_p(value, se, freedom) for value, se in zip(replicates.point, errors, strict=True)]
    sizes = np.bincount(group)
    return [
        ClassDifference(
            classes[present[first]],
            classes[present[second]],
            _estimate(replicates, i, float(errors[i]), freedom, int(min(sizes[first], sizes[second])), level),
            p[i],
            float(adjusted),
        )
        for i, ((first, second), adjusted) in enumerate(zip(pairs, holm(np.array(p)), strict=True))
    ]


def _varying(covariate: np.ndarray | None, known: np.ndarray) -> np.ndarray | None:
    """Returns the covariate of known patients; None where there is none, or nothing to adjust for."""
    if covariate is None or not known.any():
        return None
    for patient in np.flatnonzero(known & ~np.isfinite(covariate))[:1]:
        raise CmrbiasError(
            f"expected a finite covariate of each patient with a value, found {covariate[patient]} in row "
            f"{patient}: leave such patients out of values, labels and covariate"
        )
    found: np.ndarray = covariate[known]
    return found if np.ptp(found) > _COLLINEAR * np.abs(found).max() else None


def _statistic(
    y: np.ndarray, group: np.ndarray, x: np.ndarray | None, pairs: list[tuple[int, int]]
) -> Statistic:
    """Returns the function of patient weights that gives the pairs' differences; NaN without a slope.

    The slope is that of the deviations from the classes' means; a class's mean moves along it.
    """
    members = (group[:, None] == np.arange(group.max() + 1)).astype(np.float64)
    first, second = np.array(pairs).T
    centred = None if x is None else x - x.mean()
    level = y.mean()

    def statistic(weights: np.ndarray) -> np.ndarray:
        sizes = weights @ members
        sizes = np.where(sizes > 0, sizes, np.nan)
        means = weights @ (members * (y - level)[:, None]) / sizes
        if centred is not None:
            at = weights @ (members * centred[:, None]) / sizes
            whole = weights @ centred**2
            within = whole - (sizes * at**2).sum(1)
            together = weights @ (centred * (y - level)) - (sizes * at * means).sum(1)
            slope = together / np.where(within > _COLLINEAR * whole, within, np.nan)
            means = means - slope[:, None] * at
        differences: np.ndarray = means[:, first] - means[:, second]
        return differences

    return statistic


def _standard_errors(
    y: np.ndarray, group: np.ndarray, x: np.ndarray | None, pairs: list[tuple[int, int]]
) -> tuple[np.ndarray, int]:
    """Returns HC3 standard errors of the pairs' differences, NaN where there are none, and the freedom."""
    design = (group[:, None] == np.arange(group.max() + 1)).astype(np.float64)
    if x is not None:
        design = np.column_stack([design, (x - x.mean()) / np.ptp(x)])
    count, columns = design.shape
    missing = np.full(len(pairs), np.nan)
    if count <= columns or np.linalg.matrix_rank(design) < columns:
        return missing, max(count - columns, 0)
    inverse = np.linalg.inv(design.T @ design)
    leverage = np.einsum("pi,ij,pj->p", design, inverse, design)
    residuals = y - design @ (inverse @ (design.T @ y))
    alone = leverage > 1 - 1e-9  # such as a class's only patient: nothing is known of its spread
    share = residuals / np.where(alone, np.nan, 1 - leverage)
    contrasts = np.zeros((len(pairs), columns))
    for row, (first, second) in enumerate(pairs):
        contrasts[row, [first, second]] = 1, -1
    pulls = contrasts @ inverse @ design.T  # each patient's pull on each difference
    moved = np.where(np.abs(pulls) > 1e-12, pulls * share, 0.0)
    errors: np.ndarray = np.sqrt((moved**2).sum(1))
    return errors, count - columns


def _estimate(
    replicates: Replicates, column: int, error: float, freedom: int, fewest: int, level: float
) -> Estimate:
    value = float(replicates.point[column])
    half = t_quantile((1 + level) / 2, freedom) * error if freedom > 0 else math.nan
    by_t = Interval(value - half, value + half, "t, HC3", level)
    doubts = few(fewest, "patients in a class")
    intervals = (replicates.percentile(column, level), replicates.bca(column, level), by_t)
    held = by_t if doubts and by_t.width > 0 else None
    return estimate(value, len(replicates.strata), intervals, doubts, held)


def _p(value: float, error: float, freedom: int) -> float:
    """Two-sided, of Student's t."""
    if math.isnan(value) or not error > 0 or freedom < 1:
        return math.nan
    return incomplete_beta(freedom / (freedom + (value / error) ** 2), freedom / 2, 0.5)
