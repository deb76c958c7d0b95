"""Predictions of the same cases: BG-gap, one run against another, and their BG-gaps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np

from cmrbias.evaluation.matching import refuse_absent
from cmrbias.evaluation.measures import Resampling
from cmrbias.evaluation.prediction import Predictions, paired
from cmrbias.statistics import (
    AucDifferences,
    Difference,
    Estimate,
    auc_contrast,
    case_mean_estimate,
    holm_of,
    patient_strata,
)
from cmrbias.statistics.inputs import patient_numbers

BG_GAP = "BG-gap"


@dataclass(frozen=True)
class Pair:
    """Differences, first less second, paired by patient: patients are resampled whole.

    Attributes:
        patients, cases: those that all the predictions have.
        unpaired: cases that only some have.
        auc: per class, micro and macro.
        accuracy: of the share of cases given their class.
        label_probability: of the mean over cases of the probability of the label.
    """

    patients: int
    cases: int
    unpaired: int
    auc: AucDifferences
    accuracy: Estimate
    label_probability: Estimate


@dataclass(frozen=True)
class Against:
    """A run less another one, under the same test input or in BG-gap.

    Attributes:
        run: the other run.
        input: the test input, or ``BG_GAP``.
        pair: the differences.
        holm: p-values of the AUCs (``micro``, ``macro``, and by class name), adjusted for all comparisons
            of the same kind in this evaluation: runs, test inputs and, for classes, classes; those in
            BG-gap are a kind of their own. NaN with too few patients in a class for a test. Two classes,
            whose probabilities are p and 1 - p, have the same AUC and count as one.
        tests: by the same names, over how many tests.
    """

    run: str
    input: str
    pair: Pair
    holm: dict[str, float] = field(default_factory=dict)
    tests: dict[str, int] = field(default_factory=dict)


def compare(first: Predictions, second: Predictions, sampling: Resampling) -> Pair:
    """Returns the differences on the cases that both have.

    Raises:
        CmrbiasError: a class that none of these cases has.
    """
    return _contrast((first, second), (1, -1), sampling)


def background_gap(predictions: Mapping[str, Predictions], sampling: Resampling) -> Pair | None:
    """Returns BG-gap: the scores on ``swap-same-class`` less those on ``swap-other-class``.

    How much is lost where the background is that of another class; 0 for a classifier that does not look
    at it. None unless both were tested. Source: Xiao et al. 2020, "Noise or signal", for the accuracy.
    """
    both = _swapped(predictions)
    return None if both is None else compare(*both, sampling)


def background_gap_less(
    predictions: Mapping[str, Predictions], others: Mapping[str, Predictions], sampling: Resampling
) -> Pair | None:
    """Returns BG-gap less that of another run's predictions, on the cases that all four have.

    None unless BG-gap's inputs were tested. Raises as ``compare``.
    """
    ours, theirs = _swapped(predictions), _swapped(others)
    return None if ours is None or theirs is None else _contrast((*ours, *theirs), (1, -1, -1, 1), sampling)


def _swapped(predictions: Mapping[str, Predictions]) -> tuple[Predictions, Predictions] | None:
    """Returns the predictions whose difference is BG-gap, if both are there."""
    same, other = (predictions.get(f"swap-{which}-class") for which in ("same", "other"))
    return None if same is None or other is None else (same, other)


def _contrast(predictions: Sequence[Predictions], signs: Sequence[int], sampling: Resampling) -> Pair:
    """Returns the sums of scores, each times its sign, on the cases that all have; raises as ``compare``."""
    shared = paired(*predictions)
    first = shared[0]
    named = " paired with ".join(dict.fromkeys(each.input for each in predictions))
    refuse_absent(first.classes, first.labels, named)
    every = reduce(np.union1d, [each.case for each in predictions])
    numbers = patient_numbers(first.patients, len(first.patients))
    strata = patient_strata(first.labels, numbers, len(first.classes))

    def summed(values: Iterable[np.ndarray]) -> Estimate:
        total = sum(sign * each for sign, each in zip(signs, values, strict=True))
        each_case = np.asarray(total, dtype=np.float64)
        return case_mean_estimate(each_case, numbers, strata, sampling.resamples, sampling.seed)

    return Pair(
        patients=len(np.unique(first.patients)),
        cases=len(first.case),
        unpaired=len(every) - len(first.case),
        auc=auc_contrast(
            [each.probabilities for each in shared],
            signs,
            first.labels,
            first.patients,
            first.classes,
            sampling.resamples,
            sampling.seed,
        ),
        accuracy=summed(each.correct for each in shared),
        label_probability=summed(each.of_label for each in shared),
    )


def adjusted(pairs: Sequence[Against]) -> list[Against]:
    """Returns the comparisons with their p-values adjusted for being several (Holm)."""
    if not pairs:
        return []
    classes = list(pairs[0].pair.auc.per_class)
    found = [replace(each, holm={}, tests={}) for each in pairs]
    for names in (["micro"], ["macro"], classes):
        counted = names[:1] if len(names) == 2 else names  # of two classes one: they have the same AUC
        family = [_named(each.pair.auc, name) for each in pairs for name in counted]
        values = holm_of(family).reshape(len(pairs), len(counted))
        count = sum(difference.tested for difference in family)
        for each, row in zip(found, values, strict=True):
            each.holm.update(zip(names, np.broadcast_to(row, len(names)).tolist(), strict=True))
            each.tests.update(dict.fromkeys(names, count))
    return found


def _named(auc: AucDifferences, name: str) -> Difference:
    """Returns the difference in ``micro``, ``macro`` or the AUC of a class."""
    return {"micro": auc.micro, "macro": auc.macro, **auc.per_class}[name]
