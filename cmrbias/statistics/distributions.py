"""Quantiles of the normal, t and beta distributions, without scipy."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from statistics import NormalDist

_STANDARD = NormalDist()
_TINY = 1e-300  # stands for 0 in a denominator


def normal_cdf(x: float) -> float:
    """Returns the standard normal distribution function."""
    return _STANDARD.cdf(x)


def normal_quantile(p: float) -> float:
    """Returns the standard normal quantile; minus and plus infinity for 0 and 1."""
    if p in (0.0, 1.0):
        return math.copysign(math.inf, p - 0.5)
    return _STANDARD.inv_cdf(p)


def two_sided_z(level: float) -> float:
    """Returns the z of a two-sided interval: 1.96 for a ``level`` of 0.95."""
    return normal_quantile((1 + level) / 2)


def two_sided_p(z: float) -> float:
    """Returns the two-sided p-value of a standard normal ``z``; NaN for NaN."""
    return math.erfc(abs(z) / math.sqrt(2))


def incomplete_beta(x: float, a: float, b: float) -> float:
    """Returns the regularised incomplete beta function I_x(a, b), for x in [0, 1] and a, b > 0.

    I_p(k, n - k + 1) is the binomial tail P(X >= k) of n trials with probability p.
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly, its mirror image does not
        return 1 - incomplete_beta(1 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) * _beta_fraction(x, a, b) / a


@lru_cache(maxsize=4096)  # reports ask for the same few again and again
def beta_quantile(p: float, a: float, b: float) -> float:
    """Returns the x with I_x(a, b) = p, by bisection down to neighbouring float64."""
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        if incomplete_beta(middle, a, b) < p:
            low = middle
        else:
            high = middle
    return high


def t_quantile(p: float, freedom: float) -> float:
    """Returns the quantile of Student's t with ``freedom`` degrees of freedom, for p in (0, 1).

    t^2 / (freedom + t^2) is beta distributed with parameters 1/2 and freedom / 2.
    """
    share = beta_quantile(abs(2 * p - 1), 0.5, freedom / 2)
    return math.copysign(math.sqrt(freedom * share / (1 - share)), p - 0.5)


def _beta_fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of I_x(a, b) (DLMF 8.17.22), by Lentz's method."""
    value, numerator, denominator = 1.0, 1.0, 0.0
    for step in itertools.count(1):
        m = step // 2
        if step % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        denominator = 1 / (1 + term * denominator or _TINY)
        numerator = 1 + term / numerator or _TINY
        value *= numerator * denominator
        if abs(numerator * denominator - 1) < 1e-15:
            break
    return 1 / value
