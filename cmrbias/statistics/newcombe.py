"""A score-type interval for an AUC that holds in small samples (Newcombe 2006, method 5)."""

from __future__ import annotations

import math
from collections.abc import Callable

from cmrbias.statistics.distributions import two_sided_z
from cmrbias.statistics.interval import Interval


def newcombe_interval(auc: float, positives: int, negatives: int, level: float = 0.95) -> Interval:
    """Returns the A whose distance from ``auc`` is at most z standard errors *at A*.

    The standard error is Hanley and McNeil's, with both group sizes of its numerator replaced by their
    mean, so that swapping the groups mirrors the interval:

        V(A) = A (1 - A) [1 + N (1 - A) / (2 - A) + N A / (1 + A)] / (m n),   N = (m + n) / 2 - 1

    and the ends solve (A - auc)^2 = z^2 V(A). An AUC of 1 still gets an interval of positive width.

    Newcombe, Statist. Med. 25:559-573 (2006), method 5.

    Args:
        auc: in [0, 1].
        positives, negatives: how many independent units (patients) each group has.
        level: of the interval.
    """
    z = two_sided_z(level)
    mean_size = (positives + negatives) / 2 - 1

    def spread(area: float) -> float:
        shape = 1 + mean_size * ((1 - area) / (2 - area) + area / (1 + area))
        return z * math.sqrt(area * (1 - area) * shape / (positives * negatives))

    low = _boundary(lambda area: auc - area > spread(area), 0.0, auc)
    high = _boundary(lambda area: area - auc > spread(area), 1.0, auc)
    return Interval(low, high, "Newcombe's method 5", level)


def _boundary(outside: Callable[[float], bool], far: float, near: float) -> float:
    """Returns where ``outside`` turns from true at ``far`` to false at ``near``, by bisection."""
    for _ in range(100):
        middle = (far + near) / 2
        if outside(middle):
            far = middle
        else:
            near = middle
    return near
