"""Confusion measures, Brier and calibration against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from cmrbias.statistics import brier_scores, classification, confusion_matrix, expected_calibration_error

pairs = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40)


@given(pairs)
def test_against_sklearn(pairs) -> None:
    labels, predicted = np.array(pairs).T
    confusion = confusion_matrix(labels, predicted, 3)
    assert np.array_equal(confusion, metrics.confusion_matrix(labels, predicted, labels=[0, 1, 2]))
    assert classification.accuracy(confusion) == pytest.approx(metrics.accuracy_score(labels, predicted))
    keywords = {"labels": [0, 1, 2], "average": None, "zero_division": np.nan}
    for ours, theirs in (
        (classification.sensitivity, metrics.recall_score),
        (classification.positive_predictive_value, metrics.precision_score),
        (classification.f1, metrics.f1_score),
    ):
        assert ours(confusion) == pytest.approx(theirs(labels, predicted, **keywords), nan_ok=True)
    for k in range(3):
        others, not_given = labels != k, predicted != k
        both = (others & not_given).sum()
        for ours, whole in (
            (classification.specificity, others.sum()),
            (classification.negative_predictive_value, not_given.sum()),
        ):
            expected = both / whole if whole else np.nan
            assert ours(confusion)[k] == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.uint64])
def test_small_integers_do_not_wrap(kind) -> None:
    labels = np.arange(17).astype(kind)
    assert np.array_equal(confusion_matrix(labels, labels, 17), np.eye(17))


def test_means_over_classes() -> None:
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 3, 60), rng.integers(0, 3, 60)
    confusion = confusion_matrix(labels, predicted, 3)
    expected = metrics.balanced_accuracy_score(labels, predicted)
    assert classification.balanced_accuracy(confusion) == pytest.approx(expected)
    expected = metrics.f1_score(labels, predicted, average="macro")
    assert classification.macro_f1(confusion) == pytest.approx(expected)
    stack = np.stack([confusion, 2 * confusion])
    assert classification.macro_f1(stack) == pytest.approx([expected, expected])


def test_brier_against_sklearn() -> None:
    rng = np.random.default_rng(1)
    labels, probabilities = rng.integers(0, 3, 50), rng.dirichlet([1, 1, 1], 50)
    expected = metrics.brier_score_loss(labels, probabilities, labels=[0, 1, 2], scale_by_half=False)
    assert brier_scores(probabilities, labels).mean() == pytest.approx(expected)


def test_calibration_by_hand() -> None:
    """Two bins: (0, 1/2] holds 0.5 (right), (1/2, 1] holds 0.9 and 0.7 (one right): (|-0.5| + |0.6|) / 3."""
    probabilities = np.array([[0.5, 0.5], [0.9, 0.1], [0.3, 0.7]])
    found = expected_calibration_error(probabilities, np.array([0, 1, 1]), bins=2)
    assert found == pytest.approx((0.5 + 0.6) / 3)


def test_calibration_bin_by_bin() -> None:
    rng = np.random.default_rng(2)
    labels, probabilities = rng.integers(0, 4, 300), rng.dirichlet([0.3] * 4, 300)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    expected = 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert expected_calibration_error(probabilities, labels) == pytest.approx(expected)
