"""A classifier's predictions of phantom cases and of their twins: how far it relies on the cue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cmrbias.cohorts.format import Cohort
from cmrbias.errors import CmrbiasError
from cmrbias.evaluation.measures import Resampling
from cmrbias.evaluation.pairs import Pair, compare
from cmrbias.evaluation.prediction import Predictions, paired
from cmrbias.statistics import Estimate, mean_estimate, patient_means, patient_strata
from cmrbias.statistics.inputs import patient_numbers
from cmrbias.statistics.proportions import wilson_interval

OTHER, PERMUTED = "other", "permuted"


@dataclass(frozen=True)
class Twinned:
    """What other levels of the cue do to a classifier, all else of a case the same.

    Attributes:
        cohort: the twin.
        levels: how its levels were chosen: ``other`` than each case's own, or a condition of
            ``PhantomOptions``, as ``permuted``.
        input: the test input.
        changed: how many of the cases have another level in the twin.
        total_variation: mean over patients of half the sum over classes of |p - p'|, p and p' being the
            probabilities of a case and of its twin: 0 for equal ones, 1 for certainty of different
            classes. With ``other`` levels this is the classifier's reliance on the cue.
        flipped: share of decisions that are others on the twin.
        pair: scores on the cohort less scores on the twin. With ``permuted`` levels, what the cue's
            association with the diagnosis adds to the AUC.
    """

    cohort: str
    levels: str
    input: str
    changed: int
    total_variation: Estimate
    flipped: Estimate
    pair: Pair


def open_twins(cohort: Cohort, paths: Sequence[Path | str]) -> list[Cohort]:
    """Returns the twins of a cohort.

    Raises:
        CmrbiasError: one of them is no twin of it.
    """
    twins = [Cohort.open(path) for path in paths]
    for twin in twins:
        of = twin.meta["provenance"].get("twin_of")
        if of != cohort.digest:
            found = "no twin" if of is None else f"the twin of another cohort (digest {of[:12]})"
            raise CmrbiasError(
                f"--twins {twin.path}: expected a twin of {cohort.path} (digest {cohort.digest[:12]}), found "
                f"{found}: make one by cmrbias cohort phantom OUT --twin-of {cohort.path}"
            )
    return twins


def twinned(
    cohort: Cohort, first: Predictions, twin: Cohort, second: Predictions, sampling: Resampling
) -> Twinned:
    """Returns how predictions of a cohort's cases differ from those of their twins, with patient intervals.

    Args:
        cohort, first: the cohort and what is predicted of it.
        twin, second: its twin, under the same test input.
        sampling: of the intervals.

    Raises:
        CmrbiasError: a class that no case has.
    """
    ours, theirs = paired(first, second)
    numbers = patient_numbers(ours.patients, len(ours.patients))
    strata = patient_strata(ours.labels, numbers, len(ours.classes))

    def mean(values: np.ndarray) -> Estimate:
        means = patient_means(values.astype(np.float64), ours.case, ours.patients)
        found = mean_estimate(means, strata, sampling.resamples, sampling.seed)
        if found.unreliable and found.fallback is None:  # all alike: a bound by counting patients
            found = replace(found, fallback=wilson_interval(float(means.sum()), len(means)))
        return found

    levels = [each.column("cue")[ours.case] for each in (cohort, twin)]
    return Twinned(
        cohort=str(twin.path),
        levels=twin.meta["provenance"]["twin_levels"],
        input=first.input,
        changed=int((levels[0] != levels[1]).sum()),
        total_variation=mean(total_variation(ours.probabilities, theirs.probabilities)),
        flipped=mean(ours.predicted != theirs.predicted),
        pair=compare(first, second, sampling),
    )


def total_variation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns half the sum over classes of |p - q| for each row: (N,) float64 in [0, 1].

    Args:
        first, second: probabilities (N, K).
    """
    half: np.ndarray = np.abs(first - second).sum(axis=1) / 2
    return half
