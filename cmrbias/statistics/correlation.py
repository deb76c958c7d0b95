"""Pearson's and Spearman's correlation with Fisher-z and bootstrap intervals."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from cmrbias.errors import CmrbiasError
from cmrbias.resampling import PatientDraws
from cmrbias.statistics.bootstrap import Statistic, bootstrap
from cmrbias.statistics.distributions import two_sided_z
from cmrbias.statistics.interval import Estimate, Interval, estimate, few
from cmrbias.statistics.ranks import midranks, weighted_midranks

Kind = Literal["pearson", "spearman"]


def correlation(
    x: np.ndarray,
    y: np.ndarray,
    kind: Kind = "pearson",
    draws: PatientDraws | None = None,
    level: float = 0.95,
) -> Estimate:
    """Returns the correlation of two numbers a patient (or a model); NaN where one of them is constant.

    Args:
        x, y: (N,) finite.
        kind: ``spearman`` takes ranks, the mean rank for ties.
        draws: of the N patients; if given, percentile and BCa intervals stand beside Fisher's.
        level: of the intervals.
    """
    _check(x, y)
    statistic = correlation_statistic(x, y, kind)
    value = float(statistic(np.ones((1, len(x)), np.int64))[0, 0])
    intervals: tuple[Interval, ...] = (fisher_interval(value, len(x), kind, level=level),)
    if draws is not None:
        replicates = bootstrap(statistic, draws)
        intervals += (replicates.percentile(level=level), replicates.bca(level=level))
    return estimate(value, len(x), intervals, few(len(x), "points"))


def partial_correlation(
    x: np.ndarray, y: np.ndarray, covariates: np.ndarray, kind: Kind = "pearson", level: float = 0.95
) -> Estimate:
    """Returns the correlation of what linear regression on the covariates leaves of ``x`` and ``y``.

    Args:
        x, y: (N,) finite.
        covariates: (N, C) finite, for instance mask area and indicators of all classes but one.
        kind: ``spearman`` takes ranks of all columns first.
        level: of the interval, Fisher's with C observations fewer.

    Raises:
        CmrbiasError: ``x`` and ``y`` of different lengths, a number that is not finite.
    """
    _check(x, y)
    for row, column in np.argwhere(~np.isfinite(covariates))[:1]:
        raise CmrbiasError(
            f"expected finite covariates, found {covariates[row, column]} in row {row}, column {column}: "
            "leave undefined rows out"
        )
    columns = np.column_stack([x, y, covariates]).astype(np.float64)
    if kind == "spearman":
        columns = np.apply_along_axis(midranks, 0, columns)
    centred = columns - columns.mean(axis=0)
    pair, given = centred[:, :2], centred[:, 2:]
    left = pair - given @ np.linalg.lstsq(given, pair, rcond=None)[0]
    left[:, (left**2).sum(axis=0) <= 1e-20 * (pair**2).sum(axis=0)] = 0.0  # wholly explained: rounding only
    value = float(_pearson(left[:, 0], left[:, 1], np.ones((1, len(x)), np.int64))[0])
    interval = fisher_interval(value, len(x) - given.shape[1], kind, level)
    return estimate(value, len(x), (interval,), few(len(x), "points"))


def fisher_interval(value: float, n: int, kind: Kind = "pearson", level: float = 0.95) -> Interval:
    """Returns the interval that is symmetric in z = artanh r; NaN for n < 4.

    The variance of z is 1 / (n - 3), for Spearman's (1 + r^2 / 2) / (n - 3) (Bonett and Wright,
    Psychometrika 65:23-28, 2000).
    """
    how = "Fisher's z" if kind == "pearson" else "Fisher's z with Bonett and Wright's variance"
    if n < 4 or math.isnan(value):
        return Interval(math.nan, math.nan, how, level)
    if abs(value) == 1:
        return Interval(value, value, how, level)
    scale = 1.0 if kind == "pearson" else 1 + value**2 / 2
    half = two_sided_z(level) * math.sqrt(scale / (n - 3))
    return Interval(math.tanh(math.atanh(value) - half), math.tanh(math.atanh(value) + half), how, level)


def correlation_statistic(x: np.ndarray, y: np.ndarray, kind: Kind = "pearson") -> Statistic:
    """Returns the function of patient weights (B, N) that gives the correlation (B, 1), for the bootstrap."""

    def statistic(weights: np.ndarray) -> np.ndarray:
        pair = (x, y)
        if kind == "spearman":
            pair = (weighted_midranks(x, weights), weighted_midranks(y, weights))
        return _pearson(*pair, weights)[:, None]

    return statistic


def _pearson(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted correlations (B,) of ``x`` and ``y``, (N,) or (B, N), NaN where one is constant."""
    varies = np.ones(len(weights), bool)
    centred = []
    for values in (x, y):
        drawn = weights > 0
        largest = np.where(drawn, values, -np.inf).max(axis=1, initial=-np.inf)
        varies &= largest > np.where(drawn, values, np.inf).min(axis=1, initial=np.inf)
        mean = (weights * values).sum(axis=1) / np.maximum(weights.sum(axis=1), 1)
        centred.append(values - mean[:, None])
    first, second = centred
    together, alone, other = (
        (weights * a * b).sum(axis=1) for a, b in ((first, second), (first, first), (second, second))
    )
    scale = np.where(varies, np.sqrt(alone * other), np.nan)
    ratio: np.ndarray = np.clip(together / scale, -1.0, 1.0)
    return ratio


def _check(x: np.ndarray, y: np.ndarray) -> None:
    if x.shape != y.shape or x.ndim != 1 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise CmrbiasError(
            f"expected two equally long columns of finite numbers, found shapes {x.shape} and {y.shape} "
            f"with {int((~np.isfinite(x)).sum() + (~np.isfinite(y)).sum())} that are not finite: "
            "leave undefined rows out"
        )
