"""A number with its intervals, how many patients it rests on and how it was obtained."""

from __future__ import annotations

import math
from dataclasses import dataclass

FEW_RESAMPLES = 200  # under so many the ends of a percentile interval are those of a handful of resamples
FEW_PATIENTS = 10  # under so many patients of a class, bootstrap intervals cover far less than they say


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Attributes:
        low, high: its ends; NaN where the method gives none.
        how: the method in words.
        level: the coverage that the method aims at.
        resamples: of a bootstrap; None for other methods.
    """

    low: float
    high: float
    how: str
    level: float = 0.95
    resamples: int | None = None

    @property
    def width(self) -> float:
        """``high - low``; NaN where there is no interval."""
        return self.high - self.low

    def __str__(self) -> str:
        return f"{self.low:.3f} to {self.high:.3f}" if self.width >= 0 else "no interval"


@dataclass(frozen=True)
class Estimate:
    """A number with its intervals; as a string ready for a table, which never shows a bare zero width.

    Attributes:
        value: the point estimate; NaN where it is undefined.
        n: patients that it rests on.
        intervals: the first is the one to print, the others stand beside it in files.
        doubts: why the first interval is unreliable, in words; empty if it is not.
        fallback: an interval that holds in small samples too, printed where there is a doubt.
    """

    value: float
    n: int
    intervals: tuple[Interval, ...]
    doubts: tuple[str, ...] = ()
    fallback: Interval | None = None

    @property
    def interval(self) -> Interval:
        """The one to print."""
        return self.intervals[0]

    @property
    def unreliable(self) -> bool:
        """Whether the interval may cover far less than it says."""
        return bool(self.doubts)

    def __str__(self) -> str:
        """For a table: ``0.833 (0.780 to 0.886)``, and what doubts there are."""
        if math.isnan(self.value):
            return "undefined"
        return f"{self.value:.3f} ({'; '.join(self._parts(self._shown))})"

    @property
    def sentence(self) -> str:
        """The same with the method, the level, n and the reasons for doubt."""
        if math.isnan(self.value):
            return f"undefined (n = {self.n})"
        shown = f"{self.interval.level:.0%} interval {self._shown}, {self.interval.how}"
        parts = [*self._parts(shown), *self.doubts, f"n = {self.n}"]
        return f"{self.value:.3f} ({'; '.join(parts)})"

    @property
    def _shown(self) -> str:
        return "zero width" if self.interval.width == 0 else str(self.interval)

    def _parts(self, first: str) -> list[str]:
        if not self.unreliable:
            return [first]
        parts = [f"{first}, unreliable"]
        if self.fallback is not None:
            parts.append(f"{self.fallback} by {self.fallback.how}")
        return parts


def few(count: int, what: str = "patients") -> tuple[str, ...]:
    """Returns the doubt that ``count`` patients raise: none from ``FEW_PATIENTS`` on."""
    return (f"{count} {what}, under {FEW_PATIENTS}",) if count < FEW_PATIENTS else ()


def estimate(
    value: float,
    n: int,
    intervals: tuple[Interval, ...],
    doubts: tuple[str, ...] = (),
    fallback: Interval | None = None,
) -> Estimate:
    """Returns the ``Estimate``; zero width, no interval and few resamples are doubts too."""
    if intervals[0].width == 0:
        doubts += ("zero width",)
    elif math.isnan(intervals[0].width):
        doubts += ("no interval",)
    resamples = intervals[0].resamples
    if resamples is not None and resamples < FEW_RESAMPLES:
        doubts += (f"only {resamples} resamples",)
    return Estimate(float(value), n, intervals, doubts, fallback)
