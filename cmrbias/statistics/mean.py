"""Means over patients, with their intervals."""

from __future__ import annotations

import numpy as np

from cmrbias.resampling import PatientDraws
from cmrbias.statistics.bootstrap import Statistic, bootstrap
from cmrbias.statistics.distributions import t_quantile
from cmrbias.statistics.interval import Estimate, Interval, estimate, few


def t_interval(values: np.ndarray, level: float = 0.95) -> Interval:
    """Returns the mean of ``values`` (N,) plus or minus t standard errors; NaN for fewer than two."""
    if len(values) < 2:
        return Interval(np.nan, np.nan, "t", level)
    half = t_quantile((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return Interval(float(values.mean() - half), float(values.mean() + half), "t", level)


def mean_statistic(values: np.ndarray) -> Statistic:
    """Returns the function of patient weights that gives the mean over patients with a value.

    Args:
        values: (P,) float64, NaN where a patient has none: it is resampled, and does not count.
    """
    known = ~np.isnan(values)
    return _ratio_statistic(np.where(known, values, 0.0), known.astype(np.int64))


def mean_estimate(
    values: np.ndarray,
    strata: np.ndarray | None = None,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Returns the mean over patients with percentile, BCa and t interval.

    Of paired values of two models, give the differences.

    Args:
        values: (P,) float64, one a patient, NaN where undefined.
        strata: (P,) integers from 0, within which patients are resampled; one stratum by default.
        resamples, seed: of the bootstrap.
        level: of the intervals.
    """
    known = values[~np.isnan(values)]
    by_t = t_interval(known, level)
    if len(known) == 0:
        return Estimate(np.nan, 0, (by_t,), ("no patient has a value",))
    strata = np.zeros(len(values), np.int64) if strata is None else strata
    replicates = bootstrap(mean_statistic(values), PatientDraws(strata, resamples, seed))
    doubts = few(len(known))
    intervals = (replicates.percentile(level=level), replicates.bca(level=level), by_t)
    return estimate(known.mean(), len(known), intervals, doubts, by_t if doubts else None)


def case_mean_estimate(
    values: np.ndarray,
    numbers: np.ndarray,
    strata: np.ndarray | None = None,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Returns the mean over cases with percentile, BCa and t interval over patients, resampled whole.

    Each case counts alike, as in an accuracy, so a patient with more cases counts more. The t interval is
    the linearised one of a ratio (Cochran, Sampling Techniques, 1977, chapter 6): with N cases of P patients
    the squared standard error is P / (P - 1) times the sum over patients of (sum of a patient's values less
    the mean)^2 / N^2. With one case a patient all is as in ``mean_estimate``.

    Args:
        values: (N,) finite, one a case.
        numbers: (N,) the cases' patients, numbered from 0 without gaps.
        strata: (P,) integers from 0, within which patients are resampled; one stratum by default.
        resamples, seed: of the bootstrap.
        level: of the intervals.
    """
    sums, counts = np.bincount(numbers, values), np.bincount(numbers)
    patients = len(counts)
    if patients == 0:
        return Estimate(np.nan, 0, (t_interval(values, level),), ("no patient has a value",))
    mean = float(values.mean())
    by_t = t_interval(mean + (sums - counts * mean) * patients / len(values), level)
    strata = np.zeros(patients, np.int64) if strata is None else strata
    replicates = bootstrap(_ratio_statistic(sums, counts), PatientDraws(strata, resamples, seed))
    doubts = few(patients)
    intervals = (replicates.percentile(level=level), replicates.bca(level=level), by_t)
    return estimate(mean, patients, intervals, doubts, by_t if doubts else None)


def _ratio_statistic(sums: np.ndarray, counts: np.ndarray) -> Statistic:
    """Returns the function of patient weights that gives sum over count; both are (P,), a patient's."""

    def statistic(weights: np.ndarray) -> np.ndarray:
        count = weights @ counts
        mean: np.ndarray = (weights @ sums / np.where(count > 0, count, np.nan))[:, None]
        return mean

    return statistic
