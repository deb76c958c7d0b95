"""Intervals for a proportion: accuracy, sensitivity, specificity."""

from __future__ import annotations

import math

from cmrbias.statistics.distributions import beta_quantile, two_sided_z
from cmrbias.statistics.interval import Estimate, Interval, estimate


def proportion(successes: int, n: int, level: float = 0.95) -> Estimate:
    """Returns ``successes`` / ``n`` with Wilson's interval and, beside it, Clopper and Pearson's.

    Both take the n trials as independent: one case a patient. With n = 0 the value is NaN.
    """
    intervals = (wilson_interval(successes, n, level), clopper_pearson_interval(successes, n, level))
    return estimate(successes / n if n else math.nan, n, intervals)


def wilson_interval(successes: float, n: int, level: float = 0.95) -> Interval:
    """Returns the score interval of Wilson (J. Am. Statist. Assoc. 22:209-212, 1927); NaN for n = 0."""
    if n == 0:
        return Interval(math.nan, math.nan, "Wilson", level)
    z, share = two_sided_z(level), successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # at 0 and n an end is the share itself, but for rounding
    return Interval(max(min(centre - half, share), 0.0), min(max(centre + half, share), 1.0), "Wilson", level)


def clopper_pearson_interval(successes: int, n: int, level: float = 0.95) -> Interval:
    """Returns the exact interval of Clopper and Pearson (Biometrika 26:404-413, 1934); NaN for n = 0.

    Its ends are the probabilities at which so many successes, or more (fewer), have a chance of
    (1 - level) / 2; the binomial tail is an incomplete beta function.
    """
    if n == 0:
        return Interval(math.nan, math.nan, "Clopper-Pearson", level)
    tail = (1 - level) / 2
    low = beta_quantile(tail, successes, n - successes + 1) if successes > 0 else 0.0
    high = beta_quantile(1 - tail, successes + 1, n - successes) if successes < n else 1.0
    return Interval(low, high, "Clopper-Pearson", level)
