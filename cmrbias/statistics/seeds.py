"""The same patients scored by models of several seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmrbias.statistics.interval import Interval
from cmrbias.statistics.mean import t_interval


@dataclass(frozen=True)
class SeedSpread:
    """How a number varies between seeds, whatever the patients: its mean, SD and t interval.

    Attributes:
        mean: of the seeds' numbers.
        sd: their standard deviation; NaN for one seed.
        interval: by t over the seeds; NaN for one.
        seeds: how many.
    """

    mean: float
    sd: float
    interval: Interval
    seeds: int


def seed_spread(numbers: np.ndarray, level: float = 0.95) -> SeedSpread:
    """Returns mean, SD and t interval over the seeds' ``numbers`` (S,): AUCs, or means over patients."""
    sd = float(numbers.std(ddof=1)) if len(numbers) > 1 else float("nan")
    return SeedSpread(float(numbers.mean()), sd, t_interval(numbers, level), len(numbers))


def average_seeds(scores: np.ndarray) -> np.ndarray:
    """Returns each patient's mean over the seeds in which it is defined: (P,), NaN where it is in none.

    Args:
        scores: (S, P) float64, one row a seed, patients in the same order, NaN where undefined.
    """
    known = ~np.isnan(scores)
    seeds = known.sum(axis=0)
    means: np.ndarray = np.where(known, scores, 0.0).sum(axis=0) / np.where(seeds > 0, seeds, np.nan)
    return means
