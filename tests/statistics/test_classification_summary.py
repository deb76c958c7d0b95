"""Decision measures and calibration with intervals over patients."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from cmrbias.errors import CmrbiasError
from cmrbias.statistics import brier_scores, classification_summary, expected_calibration_error, proportion

NAMES = ["DCM", "HCM", "NOR"]


def sample(per_class: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng, labels = np.random.default_rng(seed), np.repeat(np.arange(3), per_class)
    return (rng.dirichlet([0.5] * 3, 3 * per_class) + np.eye(3)[labels]) / 2, labels


def test_against_sklearn() -> None:
    probabilities, labels = sample(20)
    probabilities = np.random.default_rng(1).permutation(probabilities)
    predicted = probabilities.argmax(axis=1)
    found = classification_summary(probabilities, labels, np.arange(60), NAMES)
    assert np.array_equal(found.confusion, metrics.confusion_matrix(labels, predicted))
    expected = {
        "accuracy": metrics.accuracy_score(labels, predicted),
        "balanced accuracy": metrics.balanced_accuracy_score(labels, predicted),
        "macro F1": metrics.f1_score(labels, predicted, average="macro"),
        "Brier": brier_scores(probabilities, labels).mean(),
        "ECE": expected_calibration_error(probabilities, labels),
    }
    assert {name: estimate.value for name, estimate in found.overall.items()} == pytest.approx(expected)
    recall = metrics.recall_score(labels, predicted, average=None)
    f1 = metrics.f1_score(labels, predicted, average=None)
    precision = metrics.precision_score(labels, predicted, average=None)
    for k, name in enumerate(NAMES):
        assert found.per_class["sensitivity"][name].value == pytest.approx(recall[k])
        assert found.per_class["PPV"][name].value == pytest.approx(precision[k])
        assert found.per_class["F1"][name].value == pytest.approx(f1[k])
        assert found.per_class["F1"][name].interval.width > 0
        not_given = int((predicted != k).sum())
        both = int(((predicted != k) & (labels != k)).sum())
        assert found.per_class["specificity"][name].intervals[:2] == proportion(both, 40).intervals
        assert found.per_class["NPV"][name].intervals[:2] == proportion(both, not_given).intervals
        assert found.per_class["sensitivity"][name].n == 20
    assert found.overall["accuracy"].interval.how == "Wilson"


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.uint64])
def test_any_integers_are_labels(kind) -> None:
    """Class times class is 16 x 17 = 272, more than a byte holds."""
    labels = np.arange(68) % 17
    probabilities = (np.eye(17)[labels] + 1 / 17) / 2
    found = classification_summary(probabilities, labels.astype(kind), np.arange(68), resamples=20)
    assert {found.overall[name].value for name in ("accuracy", "balanced accuracy", "macro F1")} == {1.0}
    assert repr(found) == repr(classification_summary(probabilities, labels, np.arange(68), resamples=20))


def test_several_cases_a_patient_are_resampled_together() -> None:
    """Each case twice: the bootstrap's interval is as for once; Wilson's falls back on patients."""
    probabilities, labels = sample(20, seed=2)
    probabilities = np.random.default_rng(3).permutation(probabilities)
    once = classification_summary(probabilities, labels, np.arange(60))
    twice = classification_summary(
        np.repeat(probabilities, 2, axis=0), np.repeat(labels, 2), np.repeat(np.arange(60), 2)
    )
    accuracy = twice.overall["accuracy"]
    assert accuracy.interval == once.overall["accuracy"].intervals[2]
    assert accuracy.fallback == once.overall["accuracy"].interval
    assert accuracy.n == 60
    assert twice.overall["Brier"].interval.low == pytest.approx(once.overall["Brier"].interval.low)


def test_a_class_without_cases_or_predictions_is_undefined() -> None:
    """A cohort that lacks a class still has an accuracy."""
    probabilities, labels = sample(15, seed=4)
    found = classification_summary(probabilities[:30], labels[:30], np.arange(30), NAMES)
    assert str(found.per_class["sensitivity"]["NOR"]) == "undefined"
    assert str(found.overall["balanced accuracy"]) == "undefined"
    assert found.overall["accuracy"].value > 0


def test_small_classes_are_flagged() -> None:
    probabilities, labels = sample(5)
    found = classification_summary(probabilities, labels, np.arange(15), NAMES)
    assert found.overall["macro F1"].doubts[0] == "5 patients in a class, under 10"
    assert not found.overall["accuracy"].unreliable


def test_wrong_input() -> None:
    with pytest.raises(CmrbiasError, match="in row 1: give softmax, not logits"):
        classification_summary(np.array([[0.5, 0.5], [2.0, 1.0]]), np.array([0, 1]), np.arange(2))
    with pytest.raises(CmrbiasError, match="multi-label"):
        classification_summary(np.full((2, 2), 0.5), np.eye(2, dtype=int), np.arange(2))
