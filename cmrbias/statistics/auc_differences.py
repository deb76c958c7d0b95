"""Predictions of the same patients: differences of their AUCs, and differences of differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmrbias.errors import CmrbiasError
from cmrbias.resampling import PatientDraws, patient_strata
from cmrbias.statistics.auc_statistic import auc_statistic
from cmrbias.statistics.auc_summary import group_sizes
from cmrbias.statistics.bootstrap import Replicates, Statistic, bootstrap
from cmrbias.statistics.delong import auc_covariance, pooled_covariance
from cmrbias.statistics.distributions import two_sided_p, two_sided_z
from cmrbias.statistics.inputs import class_names, outcome_matrix, patient_numbers
from cmrbias.statistics.interval import FEW_PATIENTS, Estimate, Interval, estimate, few
from cmrbias.statistics.multiplicity import holm

_SAME_SUM = 1e-6  # of probabilities, but for rounding


@dataclass(frozen=True)
class Difference:
    """A difference of AUCs, first less second.

    Attributes:
        estimate: with percentile (printed) and BCa interval of the paired bootstrap, and DeLong's.
        p: two-sided, of DeLong's paired test (micro: Obuchowski's), which is one of large samples: NaN with
            under ``FEW_PATIENTS`` on a side of a class; and where the variance is 0 or unknown, but 1 for
            equal AUCs.
        fewest: patients on the smaller side of the class, or of the smallest class, that it rests on.
    """

    estimate: Estimate
    p: float
    fewest: int

    @property
    def tested(self) -> bool:
        """Whether there are enough patients for the test."""
        return self.fewest >= FEW_PATIENTS


@dataclass(frozen=True)
class AucDifferences:
    """Differences by class, micro and macro.

    Attributes:
        per_class: by class name.
        micro, macro: of the pooled and the mean AUC.
        holm: by class name, the classes' p-values adjusted for being several (see ``holm_of``). Two classes
            whose scores are p and 1 - p have the same AUC: one test, and so the same p.
    """

    per_class: dict[str, Difference]
    micro: Difference
    macro: Difference
    holm: dict[str, float]


def holm_of(differences: Sequence[Difference]) -> np.ndarray:
    """Returns p-values adjusted for those differences that are tested (Holm): (M,), NaN for the others.

    Those with too few patients for the test do not count as comparisons.
    """
    tested = np.array([difference.tested for difference in differences])
    adjusted = np.full(len(differences), np.nan)
    adjusted[tested] = holm(np.array([difference.p for difference in differences])[tested])
    return adjusted


def auc_differences(
    first: np.ndarray,
    second: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray,
    classes: Sequence[str] | None = None,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> AucDifferences:
    """Returns AUCs of the ``first`` classifier less those of the ``second``, paired by patient.

    Args:
        first, second: (N, K) float64, of the same cases in the same order.
        labels: (N,) integers in [0, K), or (N, K) of 0 and 1.
        patients: (N,) integer codes.
        classes: K names.
        resamples, seed: of the bootstrap; both classifiers see the same draws.
        level: of the intervals.

    Raises:
        CmrbiasError: see ``outcome_matrix``; scores of different shapes.
    """
    return auc_contrast((first, second), (1, -1), labels, patients, classes, resamples, seed, level)


def auc_contrast(
    scores: Sequence[np.ndarray],
    signs: Sequence[int],
    labels: np.ndarray,
    patients: np.ndarray,
    classes: Sequence[str] | None = None,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> AucDifferences:
    """Returns the sum of M AUCs, each times its sign, paired by patient.

    A difference has the signs 1 and -1, a difference of two differences 1, -1, -1 and 1. All see the same
    draws, and DeLong's variance takes in all their covariances.

    Args:
        scores: M of (N, K) float64, of the same cases in the same order.
        signs: M numbers.
        labels, patients, classes, resamples, seed, level: as in ``auc_differences``.

    Raises:
        CmrbiasError: see ``outcome_matrix``; scores of different shapes.
    """
    shapes = list(dict.fromkeys(each.shape for each in scores))
    if len(shapes) > 1:
        found = " and ".join(map(str, shapes))
        raise CmrbiasError(f"expected scores of the same cases and classes, found shapes {found}")
    names = class_names(classes, shapes[0][-1])
    outcomes, *_ = (outcome_matrix(each, labels, names) for each in scores)  # all are checked
    numbers = patient_numbers(patients, len(outcomes))
    draws = PatientDraws(patient_strata(labels, numbers, len(names)), resamples, seed)
    weights = np.array(signs, dtype=np.float64)
    replicates = bootstrap(
        _summed([auc_statistic(each, outcomes, numbers) for each in scores], weights), draws
    )
    variances = _variances(scores, weights, outcomes, numbers)
    sizes = group_sizes(outcomes, numbers)
    fewest = [min(size) for size in sizes]
    fewest += 2 * [min(fewest)]  # micro and macro rest on every class
    bound = float(np.abs(weights).sum() / 2)  # of a difference 1, of a difference of two 2
    *per_class, micro, macro = (
        _difference(replicates, column, variances[column], fewest[column], level, bound)
        for column in range(len(variances))
    )
    counted = per_class[:1] if _mirrored(scores, outcomes) else per_class
    adjusted = np.broadcast_to(holm_of(counted), len(names)).tolist()
    return AucDifferences(
        per_class=dict(zip(names, per_class, strict=True)),
        micro=micro,
        macro=macro,
        holm=dict(zip(names, adjusted, strict=True)),
    )


def _mirrored(scores: Sequence[np.ndarray], outcomes: np.ndarray) -> bool:
    """Whether each case has one of two classes, and its two scores the same sum as those of all cases."""
    one_each = outcomes.shape[1] == 2 and bool((outcomes[:, 0] != outcomes[:, 1]).all())
    return one_each and all(np.ptp(each.sum(axis=1)) <= _SAME_SUM for each in scores)


def _summed(statistics: Sequence[Statistic], signs: np.ndarray) -> Statistic:
    def summed(weights: np.ndarray) -> np.ndarray:
        parts = [sign * statistic(weights) for sign, statistic in zip(signs, statistics, strict=True)]
        total: np.ndarray = np.sum(parts, axis=0)
        return total

    return summed


def _variances(
    scores: Sequence[np.ndarray], signs: np.ndarray, outcomes: np.ndarray, numbers: np.ndarray
) -> list[float]:
    """Of the K per-class contrasts, micro and macro."""
    every = np.concatenate([outcomes] * len(scores), axis=1)
    areas = auc_covariance(np.concatenate(scores, axis=1), every, numbers)
    pooled = pooled_covariance(np.stack(scores, axis=2), outcomes, numbers)
    of_class = np.kron(signs, np.eye(outcomes.shape[1]))  # (K, M K): each class's column of each model
    contrasts = [*of_class, of_class.mean(axis=0)]
    *per_class, macro = (areas.combination(contrast)[1] for contrast in contrasts)
    return [*per_class, pooled.combination(signs)[1], macro]


def _difference(
    replicates: Replicates, column: int, variance: float, fewest: int, level: float, bound: float
) -> Difference:
    value = float(replicates.point[column])
    half = two_sided_z(level) * math.sqrt(max(variance, 0.0))  # NaN stays NaN
    low, high = np.clip([value - half, value + half], -bound, bound).tolist()
    analytic = Interval(low, high, "DeLong, paired, clustered by patient", level)
    intervals = (replicates.percentile(column, level), replicates.bca(column, level), analytic)
    doubts = few(fewest, "patients in a class")
    paired = estimate(value, len(replicates.strata), intervals, doubts)
    p = _p_value(value, variance) if fewest >= FEW_PATIENTS else math.nan
    return Difference(paired, p, fewest)


def _p_value(difference: float, variance: float) -> float:
    if difference == 0:
        return 1.0
    return two_sided_p(difference / math.sqrt(variance)) if variance > 0 else float("nan")
