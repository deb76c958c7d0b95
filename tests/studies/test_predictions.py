"""Accuracies, AUCs and their differences from predictions of patients with several cases."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from cmrbias.statistics import auc_differences, classification_summary
from cmrbias.studies.predictions import Predictions, accuracy, differences


def predictions(patients: np.ndarray, labels: np.ndarray, probabilities: np.ndarray) -> Predictions:
    """Of the classes a and b, in the order given."""
    cases = np.array([f"c{i:02d}" for i in range(len(patients))])
    names = np.array([f"p{i:02d}" for i in patients])
    return Predictions(("a", "b"), cases, names, patients, labels, probabilities)


@pytest.mark.parametrize(("pure", "doubt"), [(40, ()), (16, ("9 patients in a class, under 10",))])
def test_a_patient_with_cases_of_both_classes_is_of_both(pure: int, doubt: tuple[str, ...]) -> None:
    """Half the others are of each class: as many patients have a case of it, and one more."""
    patients = np.append(np.arange(pure), [pure, pure])
    labels = np.append(np.arange(pure) % 2, [0, 1])
    first, second = np.random.default_rng(0).dirichlet([1, 1], (2, pure + 2))
    ours, theirs = (predictions(patients, labels, each) for each in (first, second))
    found = differences([ours], [theirs], resamples=200)["macro"].estimate
    assert found.doubts == doubt
    evaluated = auc_differences(first, second, labels, patients, resamples=200).macro.estimate
    assert (found.value, found.doubts) == (pytest.approx(evaluated.value), evaluated.doubts)


def test_a_difference_in_accuracy_is_that_of_the_accuracies() -> None:
    """Patients 0 and 1 have eleven cases each, which the first model alone gets right."""
    patients = np.append(np.repeat([0, 1], 11), np.arange(2, 40))
    labels = patients % 2
    seeds = []
    for first, other in ((True, False), (False, True)):
        rights = np.where(patients < 2, first, other), np.where(patients < 3, first, other)
        chances = (np.where((labels == 1) == right, 0.8, 0.2) for right in rights)
        seeds.append([predictions(patients, labels, np.column_stack([1 - p, p])) for p in chances])
    found = differences(*seeds, resamples=200)["accuracy"]
    ours, theirs = (accuracy(each, resamples=200) for each in seeds)
    expected = [
        np.mean([accuracy_score(labels, one.probabilities.argmax(1)) for one in each]) for each in seeds
    ]
    assert expected == pytest.approx([22.5 / 60, 37.5 / 60])
    assert [ours.estimate.value, theirs.estimate.value] == pytest.approx(expected)
    assert found.estimate.value == pytest.approx(expected[0] - expected[1])
    assert found.spread.mean == pytest.approx(found.estimate.value)
    assert ours.spread.sd == pytest.approx(np.std([22 / 60, 23 / 60], ddof=1))
    one = classification_summary(seeds[0][0].probabilities, labels, patients, resamples=200)
    alone = accuracy(seeds[0][:1], resamples=200).estimate
    assert (alone.value, alone.interval.low) == pytest.approx(
        (one.overall["accuracy"].value, one.overall["accuracy"].interval.low)
    )
