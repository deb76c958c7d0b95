"""How patients are drawn in a bootstrap: whole, within strata, each draw a function of its number.

A draw depends on the seed, the stratum, the resample and its place alone, so two models that are scored
on the same patients are resampled alike, and C++ and numpy agree to the last bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Strata", "draw_weights", "stratify"]

Integers = NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Strata(NamedTuple):
    """Patients, numbered stratum by stratum and in ascending order of their codes within each."""

    patient: Integers  #: (N,) the number of each case's patient
    sizes: Integers  #: (strata,) patients of each

    @property
    def patients(self) -> int:
        """How many patients there are."""
        return int(self.sizes.sum())


def stratify(patients: Integers, classes: Integers | None = None, count: int = 0) -> Strata:
    """Returns the strata of a bootstrap.

    Args:
        patients: (N,) a code each, any integers.
        classes: (N,) each case's class, 0 to ``count - 1``. Stratum c holds the patients of class c
            alone, stratum ``count`` those of several classes. None: one stratum.
        count: number of classes.
    """
    codes, patient = np.unique(patients, return_inverse=True)
    if classes is None:
        return Strata(patient, np.array([len(codes)]))
    stratum = np.empty(len(codes), np.int64)
    stratum[patient] = classes  # one of a patient's classes
    stratum[patient[stratum[patient] != classes]] = count
    number = np.empty(len(codes), np.int64)
    number[np.argsort(stratum, kind="stable")] = np.arange(len(codes))
    return Strata(number[patient], np.bincount(stratum, minlength=count + 1))


def draw_weights(sizes: Integers, first: int, last: int, seed: int) -> Integers:
    """Returns how often resamples ``first`` to ``last - 1`` hold each patient.

    Draw i of resample b in stratum s of n patients, in wrapping 64-bit arithmetic:
    ``key = mix(seed + G * (s + 1))``, ``u = mix(key + G * ((b << 32) + i + 1)) >> 32``, and the patient is
    ``(u * n) >> 32``, where mix and G are SplitMix64's finaliser and increment.

    Args:
        sizes: (strata,) patients of each stratum.
        first: a resample, from 0.
        last: the resample after the last one, below 2**32.
        seed: 0 to 2**64 - 1.

    Returns:
        (last - first, patients) int64; each row sums to the number of patients.
    """
    resamples = np.arange(first, last, dtype=np.uint64)[:, None]
    drawn, start = [], 0
    for stratum, size in enumerate(sizes.tolist()):
        key = _mix(np.array([seed], np.uint64) + _GOLDEN * np.array([stratum + 1], np.uint64))
        place = (resamples << np.uint64(32)) + np.arange(1, size + 1, dtype=np.uint64)
        upper = _mix(key + _GOLDEN * place) >> np.uint64(32)
        drawn.append((upper * np.uint64(size) >> np.uint64(32)).astype(np.int64) + start)
        start += size
    each = np.concatenate(drawn, axis=1) + start * np.arange(last - first)[:, None]
    return np.bincount(each.ravel(), minlength=start * (last - first)).reshape(last - first, start)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
