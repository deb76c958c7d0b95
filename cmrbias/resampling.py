"""Which patients a resample takes: a function of the seed and a counter, the same in every language."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_BLOCK = 1 << 18  # draws held at once


@dataclass(frozen=True)
class PatientDraws:
    """Resamples of whole patients, within strata: each keeps its number of patients.

    Draw i of resample b in stratum s of n patients, in wrapping uint64 arithmetic with mix = SplitMix64's
    finaliser and G = 0x9E3779B97F4A7C15:

        key = mix(seed + G (s + 1)),  u = mix(key + G ((b << 32) + i + 1)) >> 32,  index = (u n) >> 32

    It takes the index-th patient of the stratum, in ascending order, in place of the i-th.

    Attributes:
        strata: (P,) integers from 0, the stratum of each patient.
        resamples: how many resamples there are.
        seed: any integer; its lowest 64 bits count.
    """

    strata: np.ndarray
    resamples: int = 2000
    seed: int = 0

    def indices(self, first: int, last: int) -> np.ndarray:
        """Returns the patients of resamples ``first`` to ``last`` (excluded): (last - first, P) int64."""
        drawn = np.empty((last - first, len(self.strata)), np.int64)
        rows = np.arange(first, last, dtype=np.uint64)[:, None] << np.uint64(32)
        for stratum in np.unique(self.strata).tolist():
            members = np.flatnonzero(self.strata == stratum)
            start = (self.seed + int(_GOLDEN) * (stratum + 1)) % (1 << 64)
            key = _mix(np.array([start], np.uint64))
            counters = rows + np.arange(1, len(members) + 1, dtype=np.uint64)
            draws = _mix(key + _GOLDEN * counters) >> np.uint64(32)
            chosen = (draws * np.uint64(len(members))) >> np.uint64(32)
            drawn[:, members] = members[chosen.astype(np.int64)]
        return drawn

    def weights(self) -> Iterator[np.ndarray]:
        """Yields how often each patient is drawn, a block of resamples at a time: (block, P) int64."""
        patients = len(self.strata)
        step = max(1, _BLOCK // max(patients, 1))
        for first in range(0, self.resamples, step):
            drawn = self.indices(first, min(first + step, self.resamples))
            drawn += np.arange(len(drawn))[:, None] * patients
            yield np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)


def patient_strata(labels: np.ndarray, numbers: np.ndarray, classes: int) -> np.ndarray:
    """Returns each patient's stratum, its class: (P,) int64.

    Patients whose cases have several classes form one stratum more, ``classes``; with a multi-label
    target all patients form stratum 0.

    Args:
        labels: (N,) integers in [0, classes), or (N, classes) of 0 and 1.
        numbers: (N,) the cases' patients, numbered from 0 without gaps.
        classes: how many there are.
    """
    count = int(numbers.max(initial=-1)) + 1
    if labels.ndim == 2:
        return np.zeros(count, np.int64)
    lowest, highest = np.full(count, classes, np.int64), np.full(count, -1, np.int64)
    np.minimum.at(lowest, numbers, labels)
    np.maximum.at(highest, numbers, labels)
    strata: np.ndarray = np.where(lowest == highest, lowest, classes)
    return strata


def _mix(x: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser (Steele, Lea and Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    mixed: np.ndarray = x ^ (x >> np.uint64(31))
    return mixed
