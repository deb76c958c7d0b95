"""Accuracies, AUCs and their differences from predictions of patients with several cases."""

from __future__ import annotations

import numpy as np
import pytest

from cmrbias.statistics import auc_differences
from cmrbias.studies.predictions import Predictions, differences


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
