"""How a classifier's decisions and probabilities fare, every figure with its interval over patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cmrbias.errors import CmrbiasError
from cmrbias.resampling import PatientDraws, patient_strata
from cmrbias.statistics import classification as measures
from cmrbias.statistics.bootstrap import Replicates, Statistic, bootstrap
from cmrbias.statistics.calibration import brier_scores, check_probabilities, weighted_calibration_error
from cmrbias.statistics.inputs import class_names, label_matrix, patient_numbers
from cmrbias.statistics.interval import Estimate, estimate, few
from cmrbias.statistics.proportions import proportion, wilson_interval

OVERALL = ("accuracy", "balanced accuracy", "macro F1", "Brier", "ECE")
PER_CLASS = ("sensitivity", "specificity", "PPV", "NPV", "F1")


@dataclass(frozen=True)
class ClassificationSummary:
    """Decisions (the class of the largest probability) and probabilities of one classifier.

    Accuracy, sensitivity, specificity, PPV and NPV come with Wilson's interval (printed),
    Clopper-Pearson's and the bootstrap's where each patient has one case; all else, and all where a
    patient has several, with percentile (printed) and BCa intervals over patients. The plug-in ECE is
    biased upwards, more so in resamples: its interval may lie above it.

    Attributes:
        confusion: (K, K) int64, rows true, columns predicted.
        overall: by the names of ``OVERALL``. Brier sums over the classes, in [0, 2]; ECE has 15 equally
            wide bins of the largest probability.
        per_class: by the names of ``PER_CLASS``, then by class name; n is the number of patients that the
            share is taken of.
    """

    confusion: np.ndarray
    overall: dict[str, Estimate]
    per_class: dict[str, dict[str, Estimate]]


def classification_summary(
    probabilities: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray,
    classes: Sequence[str] | None = None,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> ClassificationSummary:
    """Returns confusion matrix, decision measures and calibration with intervals over patients.

    Args:
        probabilities: (N, K) float64, rows summing to 1.
        labels: (N,) integers in [0, K).
        patients: (N,) integer codes.
        classes: K names.
        resamples, seed: of the bootstrap.
        level: of the intervals.

    Raises:
        CmrbiasError: shapes or values that do not fit.
    """
    names = class_names(classes, probabilities.shape[-1])
    had = label_matrix(probabilities, labels, names)
    if labels.ndim != 1:
        raise CmrbiasError("expected one class a case, found a multi-label target: give a column at a time")
    labels = labels.astype(np.int64)  # products of a small type would wrap
    check_probabilities(probabilities)
    numbers = patient_numbers(patients, len(labels))
    draws = PatientDraws(patient_strata(labels, numbers, len(names)), resamples, seed)
    replicates = bootstrap(_statistic(probabilities, labels, numbers), draws)
    predicted = probabilities.argmax(axis=1)
    given = predicted[:, None] == np.arange(len(names))
    independent = len(draws.strata) == len(labels)
    fewest = min(_patients(had, numbers))
    first = _share(replicates, 0, len(draws.strata), independent, level)
    rest = [_mean(replicates, column, len(draws.strata), fewest, level) for column in range(1, len(OVERALL))]
    per_class = {}
    for position, (measure, of) in enumerate(zip(PER_CLASS, (had, ~had, given, ~given, had), strict=True)):
        start = len(OVERALL) + position * len(names)
        per_class[measure] = {
            name: _mean(replicates, start + k, len(draws.strata), size, level)
            if measure == "F1"
            else _share(replicates, start + k, size, independent, level)
            for k, (name, size) in enumerate(zip(names, _patients(of, numbers), strict=True))
        }
    return ClassificationSummary(
        confusion=measures.confusion_matrix(labels, predicted, len(names)),
        overall=dict(zip(OVERALL, [first, *rest], strict=True)),
        per_class=per_class,
    )


def _statistic(probabilities: np.ndarray, labels: np.ndarray, numbers: np.ndarray) -> Statistic:
    """Of patient weights: the measures of ``OVERALL``, then those of ``PER_CLASS`` by class."""
    count, patients = probabilities.shape[1], int(numbers.max()) + 1
    cell = labels * count + probabilities.argmax(axis=1)
    cells = np.zeros((patients, count**2))
    np.add.at(cells, (numbers, cell), 1.0)
    cases = np.bincount(numbers, minlength=patients).astype(np.float64)
    brier = np.bincount(numbers, brier_scores(probabilities, labels), patients)
    calibration = weighted_calibration_error(probabilities, labels, numbers)

    def statistic(weights: np.ndarray) -> np.ndarray:
        confusion = (weights @ cells).reshape(-1, count, count)
        overall = (
            measures.accuracy(confusion),
            measures.balanced_accuracy(confusion),
            measures.macro_f1(confusion),
            weights @ brier / np.maximum(weights @ cases, 1),
            calibration(weights),
        )
        per_class = (
            measures.sensitivity(confusion),
            measures.specificity(confusion),
            measures.positive_predictive_value(confusion),
            measures.negative_predictive_value(confusion),
            measures.f1(confusion),
        )
        return np.concatenate([np.stack(overall, axis=1), *per_class], axis=1)

    return statistic


def _patients(groups: np.ndarray, numbers: np.ndarray) -> list[int]:
    """How many patients each column of ``groups`` (N, K) bool has cases of."""
    return [np.unique(numbers[cases]).size for cases in groups.T]


def _share(replicates: Replicates, column: int, n: int, independent: bool, level: float) -> Estimate:
    """A share of ``n`` patients' cases; of n cases where they are ``independent``."""
    value = float(replicates.point[column])
    resampled = (replicates.percentile(column, level), replicates.bca(column, level))
    if independent:
        exact = proportion(round(value * n) if n else 0, n, level)
        return replace(exact, intervals=exact.intervals + resampled)
    return estimate(value, n, resampled, few(n), wilson_interval(value * n, n, level))


def _mean(replicates: Replicates, column: int, patients: int, fewest: int, level: float) -> Estimate:
    intervals = (replicates.percentile(column, level), replicates.bca(column, level))
    return estimate(float(replicates.point[column]), patients, intervals, few(fewest, "patients in a class"))
