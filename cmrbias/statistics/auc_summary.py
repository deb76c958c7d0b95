"""AUCs of one classifier with every interval that holds for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmrbias.resampling import PatientDraws, patient_strata
from cmrbias.statistics.auc_statistic import auc_statistic
from cmrbias.statistics.bootstrap import Replicates, bootstrap
from cmrbias.statistics.delong import auc_covariance, auc_interval, pooled_covariance
from cmrbias.statistics.inputs import class_names, outcome_matrix, patient_numbers
from cmrbias.statistics.interval import Estimate, Interval, estimate, few
from cmrbias.statistics.newcombe import newcombe_interval


@dataclass(frozen=True)
class AucSummary:
    """AUCs with intervals: percentile (printed), BCa, and DeLong's or Obuchowski's.

    Attributes:
        per_class: by class name, one against the others; its fallback is Newcombe's interval.
        micro: all (case, class) scores pooled.
        macro: mean over the classes. For the fallbacks of both see ``small_sample_intervals``.
        patients: by class name, how many have a case of it.
    """

    per_class: dict[str, Estimate]
    micro: Estimate
    macro: Estimate
    patients: dict[str, int]


def auc_summary(
    scores: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray,
    classes: Sequence[str] | None = None,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> AucSummary:
    """Returns per-class, micro and macro AUC with intervals over patients.

    Unreliable are those with under 10 patients on a side (micro and macro: in a class), an AUC of 0 or 1,
    or a zero width.

    Args:
        scores: (N, K) float64; for the micro AUC, comparable between classes (softmax probabilities).
        labels: (N,) integers in [0, K), or (N, K) of 0 and 1.
        patients: (N,) integer codes.
        classes: K names.
        resamples, seed: of the bootstrap.
        level: of the intervals.

    Raises:
        CmrbiasError: see ``outcome_matrix``.
    """
    names = class_names(classes, scores.shape[-1])
    outcomes = outcome_matrix(scores, labels, names)
    numbers = patient_numbers(patients, len(scores))
    draws = PatientDraws(patient_strata(labels, numbers, len(names)), resamples, seed)
    replicates = bootstrap(auc_statistic(scores, outcomes, numbers), draws)
    sizes = group_sizes(outcomes, numbers)
    analytic = _analytic_intervals(scores, outcomes, numbers, level)
    fewest = [min(size) for size in sizes]
    fewest += 2 * [min(fewest)]  # micro and macro rest on every class
    *per_class, micro, macro = (
        _estimate(replicates, column, analytic[column], other, fewest[column])
        for column, other in enumerate(small_sample_intervals(replicates.point, sizes, level))
    )
    return AucSummary(
        per_class=dict(zip(names, per_class, strict=True)),
        micro=micro,
        macro=macro,
        patients={name: with_it for name, (with_it, _) in zip(names, sizes, strict=True)},
    )


def small_sample_intervals(
    aucs: np.ndarray, sizes: Sequence[tuple[int, int]], level: float = 0.95
) -> list[Interval]:
    """Returns intervals that hold in small samples: of each class, micro, macro.

    A class's is Newcombe's; macro's the mean of these, exact if the classes' AUCs erred together, too wide
    else; micro's is Newcombe's as if it rested on the smallest class alone, too wide as well.

    Args:
        aucs: (K + 2,) of each class, micro, macro.
        sizes: of each class, see ``group_sizes``.
        level: of the intervals.
    """
    *of_classes, micro, _ = aucs.tolist()
    small = [newcombe_interval(auc, *size, level) for auc, size in zip(of_classes, sizes, strict=True)]
    low, high = np.mean([[interval.low, interval.high] for interval in small], axis=0).tolist()
    pooled = newcombe_interval(micro, *min(sizes, key=min), level)
    return [
        *small,
        Interval(pooled.low, pooled.high, "Newcombe's method 5, as of the smallest class", level),
        Interval(low, high, "the classes' mean Newcombe method 5", level),
    ]


def group_sizes(outcomes: np.ndarray, numbers: np.ndarray) -> list[tuple[int, int]]:
    """Returns for each class how many patients have a case with it, and how many one without it."""
    return [(np.unique(numbers[has]).size, np.unique(numbers[~has]).size) for has in outcomes.T]


def _analytic_intervals(
    scores: np.ndarray, outcomes: np.ndarray, numbers: np.ndarray, level: float
) -> list[Interval]:
    """DeLong's for each class, Obuchowski's for micro, DeLong's with covariances for macro."""
    classes = scores.shape[1]
    clustered = len(np.unique(numbers)) < len(numbers)
    how = "DeLong, clustered by patient (Obuchowski)" if clustered else "DeLong"
    areas = auc_covariance(scores, outcomes, numbers)
    pooled = pooled_covariance(scores[:, :, None], outcomes, numbers)
    macro = areas.combination(np.full(classes, 1 / classes))
    values = zip(areas.aucs, np.diagonal(areas.covariance), strict=True)
    return [
        *(auc_interval(auc, variance, how, level) for auc, variance in values),
        auc_interval(pooled.aucs[0], pooled.covariance[0, 0], "Obuchowski, clustered by patient", level),
        auc_interval(*macro, f"{how}, with the covariance between classes", level),
    ]


def _estimate(
    replicates: Replicates, column: int, analytic: Interval, fallback: Interval, fewest: int
) -> Estimate:
    value, level = float(replicates.point[column]), analytic.level
    doubts = few(fewest, "patients in a class")
    if value in (0.0, 1.0):
        doubts += (f"an AUC of {value:.0f}",)
    intervals = (replicates.percentile(column, level), replicates.bca(column, level), analytic)
    return estimate(value, len(replicates.strata), intervals, doubts, fallback)
