"""AUCs of a model's seeds on the same patients, from the ``predictions.csv`` of its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cmrbias.errors import CmrbiasError
from cmrbias.files import read_columns
from cmrbias.statistics import (
    Estimate,
    PatientDraws,
    SeedSpread,
    auc_statistic,
    bootstrap,
    case_mean_estimate,
    macro_hanley_mcneil,
    patient_strata,
    seed_spread,
    wilson_interval,
)
from cmrbias.statistics.auc_summary import group_sizes, small_sample_intervals
from cmrbias.statistics.bootstrap import Statistic
from cmrbias.statistics.inputs import outcome_matrix
from cmrbias.statistics.interval import estimate, few


@dataclass(frozen=True)
class Measured:
    """A number of a model over its seeds.

    Attributes:
        estimate: mean over the seeds, with the interval over patients.
        spread: over the seeds, whatever the patients.
        half: what stands behind the plus-minus in the paper's form.
        kind: what that is, in words.
        undefined: patients that have no value in any seed.
    """

    estimate: Estimate
    spread: SeedSpread
    half: float
    kind: str
    undefined: int = 0


@dataclass(frozen=True)
class Predictions:
    """What one classifier said under one test input.

    Attributes:
        classes: K names.
        case, patient: (N,) names.
        numbers: (N,) the patients, numbered from 0 in the order of their names.
        labels: (N,) int64.
        probabilities: (N, K) float64.
    """

    classes: tuple[str, ...]
    case: np.ndarray
    patient: np.ndarray
    numbers: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray

    @property
    def strata(self) -> np.ndarray:
        """Each patient's class (P,), within which patients are resampled."""
        return patient_strata(self.labels, self.numbers, len(self.classes))

    @property
    def right(self) -> np.ndarray:
        """Whether each case is given its class: (N,) bool."""
        found: np.ndarray = self.probabilities.argmax(1) == self.labels
        return found

    def some(self, rows: np.ndarray) -> Predictions:
        """Returns some of the cases, by number (n,)."""
        patient = self.patient[rows]
        numbers = np.unique(patient, return_inverse=True)[1]
        arrays = (self.labels[rows], self.probabilities[rows])
        return Predictions(self.classes, self.case[rows], patient, numbers, *arrays)


def read_predictions(folder: Path) -> dict[str, Predictions]:
    """Returns what ``evaluate`` wrote into a folder, by the test input's name."""
    read = read_columns(folder / "predictions.csv")
    shown, cases, patients = (np.array(read[name]) for name in ("input", "case", "patient"))
    classes = tuple(name.removeprefix("p_") for name in read if name.startswith("p_"))
    labels = np.array([classes.index(label) for label in read["label"]], np.int64)
    probabilities = np.array([read[f"p_{name}"] for name in classes], np.float64).T
    numbers = np.zeros(len(cases), np.int64)
    whole = Predictions(classes, cases, patients, numbers, labels, probabilities)
    return {name: whole.some(np.flatnonzero(shown == name)) for name in dict.fromkeys(read["input"])}


def auc_statistic_of(seeds: Sequence[Predictions]) -> Statistic:
    """Returns the function of patient weights that gives the seeds' mean AUCs: per class, micro, macro."""
    each = [
        auc_statistic(one.probabilities, outcome_matrix(one.probabilities, one.labels), one.numbers)
        for one in seeds
    ]

    def statistic(weights: np.ndarray) -> np.ndarray:
        mean: np.ndarray = np.mean([of_seed(weights) for of_seed in each], axis=0)
        return mean

    return statistic


def aucs(seeds: Sequence[Predictions], resamples: int = 2000, seed: int = 0) -> dict[str, Measured]:
    """Returns ``micro`` and ``macro`` AUC: the mean of the seeds' AUCs, patients resampled for all at once.

    Args:
        seeds: one model's predictions of the same cases.
        resamples, seed: of the bootstrap.

    Raises:
        CmrbiasError: the seeds' cases differ, or a class that no case has.
    """
    first = seeds[0]
    _refuse_different(seeds)
    replicates = bootstrap(auc_statistic_of(seeds), PatientDraws(first.strata, resamples, seed))
    sizes = group_sizes(outcome_matrix(first.probabilities, first.labels, first.classes), first.numbers)
    small = small_sample_intervals(replicates.point, sizes)
    doubts = few(min(map(min, sizes)), "patients in a class")
    whole = np.ones((1, len(first.strata)), np.int64)
    each = np.concatenate([auc_statistic_of([one])(whole) for one in seeds])  # (S, K + 2)
    upper = np.mean([macro_hanley_mcneil(one.probabilities, one.labels).high for one in seeds])
    halves = {
        "micro": (replicates.percentile(-2).width / 2, "95 % half-width, bootstrap"),
        "macro": (float(upper - replicates.point[-1]), "95 % half-width, Hanley-McNeil"),
    }
    found = {}
    for column, name in ((-2, "micro"), (-1, "macro")):
        value = float(replicates.point[column])
        doubt = (*doubts, f"an AUC of {value:.0f}") if value in (0.0, 1.0) else doubts
        intervals = (replicates.percentile(column), replicates.bca(column))
        shown = estimate(value, len(first.strata), intervals, doubt, small[column])
        found[name] = Measured(shown, seed_spread(each[:, column]), *halves[name])
    return found


def accuracy(seeds: Sequence[Predictions], resamples: int = 2000, seed: int = 0) -> Measured:
    """Returns the share of cases given their class, the mean of the seeds' shares."""
    found = _over_cases([one.right.astype(np.float64) for one in seeds], seeds[0], resamples, seed)
    shown = found.estimate
    holds = wilson_interval(shown.value * shown.n, shown.n)  # also where all decisions are right, or none
    return replace(found, estimate=replace(shown, fallback=holds))


def differences(
    first: Sequence[Predictions], second: Sequence[Predictions], resamples: int = 2000, seed: int = 0
) -> dict[str, Measured]:
    """Returns ``micro`` and ``macro`` AUC and ``accuracy`` of the first less the second, paired by patient.

    Args:
        first, second: two sets of predictions of one model or two, a seed each; the cases that both have
            are compared, and a resample takes the same patients for both.
        resamples, seed: of the bootstrap.

    Raises:
        CmrbiasError: the seeds' cases differ.
    """
    pairs = [_paired(*pair) for pair in zip(first, second, strict=True)]
    ours, theirs = zip(*pairs, strict=True)
    _refuse_different(ours)
    of_ours, of_theirs = auc_statistic_of(ours), auc_statistic_of(theirs)
    base = ours[0]
    replicates = bootstrap(lambda w: of_ours(w) - of_theirs(w), PatientDraws(base.strata, resamples, seed))
    doubts = few(_fewest(base), "patients in a class")
    whole = np.ones((1, len(base.strata)), np.int64)
    each = np.concatenate([auc_statistic_of([a])(whole) - auc_statistic_of([b])(whole) for a, b in pairs])
    right = [a.right.astype(np.float64) - b.right for a, b in pairs]
    found = {"accuracy": _over_cases(right, base, resamples, seed)}
    for column, name in ((-2, "micro"), (-1, "macro")):
        intervals = (replicates.percentile(column), replicates.bca(column))
        shown = estimate(float(replicates.point[column]), len(base.strata), intervals, doubts)
        half = intervals[0].width / 2
        found[name] = Measured(shown, seed_spread(each[:, column]), half, "95 % half-width, bootstrap")
    return found


def _fewest(found: Predictions) -> int:
    """Returns the number of patients with, or without, cases of a class that has the fewest."""
    outcomes = outcome_matrix(found.probabilities, found.labels, found.classes)
    return min(map(min, group_sizes(outcomes, found.numbers)))


def _paired(first: Predictions, second: Predictions) -> tuple[Predictions, Predictions]:
    """Returns the cases that both have, in the same order."""
    _, ours, theirs = np.intersect1d(first.case, second.case, return_indices=True)
    return first.some(ours), second.some(theirs)


def _over_cases(values: Sequence[np.ndarray], cases: Predictions, resamples: int, seed: int) -> Measured:
    """Returns the mean over seeds and cases of the seeds' values (N,), patients resampled whole."""
    found = case_mean_estimate(np.mean(values, axis=0), cases.numbers, cases.strata, resamples, seed)
    *_, by_t = found.intervals
    spread = seed_spread(np.array([each.mean() for each in values]))
    return Measured(found, spread, by_t.width / 2, "95 % half-width, t")


def _refuse_different(seeds: Sequence[Predictions]) -> None:
    if not all(np.array_equal(one.case, seeds[0].case) for one in seeds):
        raise CmrbiasError("expected the same cases of every seed: the evaluations are of other cohorts")
