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
    filled = np.where(known, values, 0.0)

    def statistic(weights: np.ndarray) -> np.ndarray:
        count = weights @ known.astype(np.int64)
        mean: np.ndarray = (weights @ filled / np.where(count > 0, count, np.nan))[:, None]
        return mean

    return statistic


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
