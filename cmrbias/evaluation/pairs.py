"""Two predictions of the same cases: BG-gap, and one run against another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from cmrbias.evaluation.matching import refuse_absent
from cmrbias.evaluation.measures import Resampling
from cmrbias.evaluation.prediction import Predictions, paired
from cmrbias.statistics import (
    AucDifferences,
    Estimate,
    auc_differences,
    holm,
    mean_estimate,
    patient_means,
    patient_strata,
)
from cmrbias.statistics.inputs import patient_numbers


@dataclass(frozen=True)
class Pair:
    """Differences, first less second, paired by patient.

    Attributes:
        patients, cases: those that both have.
        unpaired: cases that only one has.
        auc: per class, micro and macro.
        accuracy: of the decisions.
        label_probability: of the mean probability of the label.
    """

    patients: int
    cases: int
    unpaired: int
    auc: AucDifferences
    accuracy: Estimate
    label_probability: Estimate


@dataclass(frozen=True)
class Against:
    """A run less another one under the same test input.

    Attributes:
        run: the other run.
        input: the test input.
        pair: the differences.
        holm: p-values of the AUCs (``micro``, ``macro``, and by class name), adjusted for all comparisons
            of the same kind in this evaluation: runs, test inputs and, for classes, classes.
    """

    run: str
    input: str
    pair: Pair
    holm: dict[str, float] = field(default_factory=dict)


def compare(first: Predictions, second: Predictions, sampling: Resampling) -> Pair:
    """Returns the differences on the cases that both have.

    Raises:
        CmrbiasError: a class that none of these cases has.
    """
    ours, theirs = paired(first, second)
    refuse_absent(ours.classes, ours.labels, f"{first.input} paired with {second.input}")
    only_one = len(first.case) + len(second.case) - 2 * len(ours.case)

    def difference(values: np.ndarray, others: np.ndarray) -> Estimate:
        numbers = patient_numbers(ours.patients, len(ours.patients))
        strata = patient_strata(ours.labels, numbers, len(ours.classes))
        means = patient_means(values.astype(np.float64) - others, ours.case, ours.patients)
        return mean_estimate(means, strata, sampling.resamples, sampling.seed)

    return Pair(
        patients=len(np.unique(ours.patients)),
        cases=len(ours.case),
        unpaired=only_one,
        auc=auc_differences(
            ours.probabilities,
            theirs.probabilities,
            ours.labels,
            ours.patients,
            ours.classes,
            sampling.resamples,
            sampling.seed,
        ),
        accuracy=difference(ours.correct, theirs.correct),
        label_probability=difference(ours.of_label, theirs.of_label),
    )


def background_gap(predictions: Mapping[str, Predictions], sampling: Resampling) -> Pair | None:
    """Returns BG-gap: the scores on ``swap-same-class`` less those on ``swap-other-class``.

    How much is lost where the background is that of another class; 0 for a classifier that does not look
    at it. None unless both were tested. Source: Xiao et al. 2020, "Noise or signal", for the accuracy.
    """
    same, other = (predictions.get(f"swap-{which}-class") for which in ("same", "other"))
    return None if same is None or other is None else compare(same, other, sampling)


def adjusted(pairs: Sequence[Against]) -> list[Against]:
    """Returns the comparisons with their p-values adjusted for being several (Holm)."""
    if not pairs:
        return []
    p = {name: np.array([getattr(each.pair.auc, name).p for each in pairs]) for name in ("micro", "macro")}
    found = {name: holm(values) for name, values in p.items()}
    classes = list(pairs[0].pair.auc.per_class)
    table = np.array([[each.pair.auc.per_class[name].p for name in classes] for each in pairs])
    found |= dict(zip(classes, holm(table.ravel()).reshape(table.shape).T, strict=True))
    return [
        replace(each, holm={name: float(values[row]) for name, values in found.items()})
        for row, each in enumerate(pairs)
    ]
