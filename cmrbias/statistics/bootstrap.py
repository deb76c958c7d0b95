"""Percentile and BCa intervals from resampled patients, for any statistic of weighted patients."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cmrbias.resampling import PatientDraws
from cmrbias.statistics.distributions import normal_cdf, normal_quantile, two_sided_z
from cmrbias.statistics.interval import Interval

Statistic = Callable[[np.ndarray], np.ndarray]
"""Takes patient weights (B, P) int64 and returns M numbers for each row, (B, M) float64, NaN if undefined."""

_BLOCK = 1 << 18  # weights held at once in the jackknife
_KEPT = 1 << 20  # weights of one set of draws that is kept


@dataclass(frozen=True)
class Replicates:
    """M numbers as they came out of all patients, of each resample, and as each patient moves them.

    Two statistics with the same draws (strata, number, seed) may be subtracted replicate by replicate:
    ``bootstrap(lambda weights: first(weights) - second(weights), draws)`` is the paired bootstrap.

    Attributes:
        point: (M,) float64, all patients once.
        values: (B, M) float64, NaN where a resample leaves the number undefined.
        influence: (P, M) float64, the jackknife's influence of each patient within its stratum.
        strata: (P,) the patients' strata.
    """

    point: np.ndarray
    values: np.ndarray
    influence: np.ndarray
    strata: np.ndarray

    @property
    def skipped(self) -> np.ndarray:
        """How many resamples left the number undefined: (M,) int64."""
        skipped: np.ndarray = np.isnan(self.values).sum(axis=0)
        return skipped

    def percentile(self, column: int = 0, level: float = 0.95) -> Interval:
        """Returns the percentile interval (Efron 1979) of one number."""
        tail = (1 - level) / 2
        return self._interval(column, tail, 1 - tail, "percentile bootstrap", level)

    def bca(self, column: int = 0, level: float = 0.95) -> Interval:
        """Returns the bias-corrected and accelerated interval (Efron 1987) of one number.

        Ties with the estimate count one half in the bias correction; the acceleration is that of several
        samples, one a stratum (Davison and Hinkley 1997, section 5.4). There is none where every
        resample lies on one side of the estimate.
        """
        values, point = self._defined(column), self.point[column]
        share = float((np.sign(point - values) + 1).mean() / 2) if len(values) else np.nan
        if not 0 < share < 1:
            return Interval(np.nan, np.nan, self._how("BCa bootstrap", column), level)
        bias, acceleration = normal_quantile(share), self._acceleration(column)
        ends = []
        for z in (-two_sided_z(level), two_sided_z(level)):
            moved = bias + (bias + z) / (1 - acceleration * (bias + z))
            ends.append(normal_cdf(moved))
        return self._interval(column, ends[0], ends[1], "BCa bootstrap", level)

    def _acceleration(self, column: int) -> float:
        sizes = np.bincount(self.strata)[self.strata]
        influence = np.nan_to_num(self.influence[:, column]) / sizes
        scale = (influence**2).sum() ** 1.5
        return float((influence**3).sum() / (6 * scale)) if scale > 0 else 0.0

    def _interval(self, column: int, low: float, high: float, how: str, level: float) -> Interval:
        values = self._defined(column)
        if len(values) == 0 or np.isnan(self.point[column]):
            return Interval(np.nan, np.nan, self._how(how, column), level, len(self.values))
        ends = np.quantile(values, [low, high])
        return Interval(float(ends[0]), float(ends[1]), self._how(how, column), level, len(self.values))

    def _defined(self, column: int) -> np.ndarray:
        values: np.ndarray = self.values[~np.isnan(self.values[:, column]), column]
        return values

    def _how(self, method: str, column: int) -> str:
        skipped = f", {self.skipped[column]} skipped" if self.skipped[column] else ""
        return f"{method}, {len(self.values)} resamples of patients{skipped}"


def bootstrap(statistic: Statistic, draws: PatientDraws) -> Replicates:
    """Returns the ``statistic`` of all patients, of each resample, and each patient's influence on it.

    Args:
        statistic: of patient weights, see ``Statistic``.
        draws: which patients each resample takes.
    """
    point = statistic(np.ones((1, len(draws.strata)), np.int64))[0]
    values = np.concatenate([statistic(weights) for weights in drawn_weights(draws)])
    return Replicates(point, values, jackknife(statistic, draws.strata), draws.strata)


def drawn_weights(draws: PatientDraws) -> Iterable[np.ndarray]:
    """Returns ``draws.weights()``; of few patients read-only arrays that are kept.

    A report asks for the same draws hundreds of times, and drawing takes longer than most statistics.
    """
    if len(draws.strata) * draws.resamples > _KEPT:
        return draws.weights()
    strata = np.ascontiguousarray(draws.strata, np.int64).tobytes()
    return _kept(strata, draws.resamples, draws.seed)


@lru_cache(maxsize=8)
def _kept(strata: bytes, resamples: int, seed: int) -> tuple[np.ndarray, ...]:
    blocks = tuple(PatientDraws(np.frombuffer(strata, np.int64), resamples, seed).weights())
    for block in blocks:
        block.setflags(write=False)
    return blocks


def jackknife(statistic: Statistic, strata: np.ndarray) -> np.ndarray:
    """Returns each patient's influence on each number: (P, M) float64.

    It is (n - 1) (mean over the stratum - value without the patient), and 0 in a stratum of one patient,
    which every resample keeps.

    Args:
        statistic: of patient weights, see ``Statistic``.
        strata: (P,) integers from 0.
    """
    patients = len(strata)
    left_out = np.flatnonzero(np.bincount(strata)[strata] > 1)
    influence = np.zeros((patients, len(statistic(np.ones((1, patients), np.int64))[0])))
    step = max(1, _BLOCK // max(patients, 1))
    for first in range(0, len(left_out), step):
        block = left_out[first : first + step]
        weights = np.ones((len(block), patients), np.int64)
        weights[np.arange(len(block)), block] = 0
        influence[block] = statistic(weights)
    for stratum in np.unique(strata[left_out]):
        members = strata == stratum
        values = influence[members]
        known = np.maximum((~np.isnan(values)).sum(axis=0), 1)
        influence[members] = (len(values) - 1) * (np.nansum(values, axis=0) / known - values)
    return influence
