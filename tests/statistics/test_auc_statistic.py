"""AUCs of weighted patients: the extension against numpy to the last bit, both against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from cmrbias.statistics import auc_statistic, weighted_auc
from cmrbias.statistics.auc_statistic import auc_statistic_reference


def sample(seed, n=30, k=3, patients=12, levels=None):
    """Returns scores (``levels``: how many different ones), outcomes and the cases' patients."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, k)) if levels is None else rng.integers(0, levels, (n, k)).astype(float)
    numbers = np.concatenate([np.arange(patients), rng.integers(0, patients, n)])[:n]
    return scores, rng.random((n, k)) < 0.4, numbers


@settings(max_examples=100)
@given(
    seed=st.integers(0, 1000),
    n=st.sampled_from([12, 30, 61]),
    k=st.integers(1, 4),
    levels=st.sampled_from([None, 1, 3]),
    rows=st.sampled_from([1, 15, 16, 17, 50]),
    unused=st.integers(0, 3),
    greatest=st.sampled_from([1, 3, 900, 70_000, 5_000_000]),
)
def test_equals_the_reference_to_the_last_bit(seed, n, k, levels, rows, unused, greatest):
    arguments = sample(seed, n, k, levels=levels)
    weights = np.random.default_rng(seed).integers(0, greatest + 1, (rows, 12 + unused))
    found, expected = auc_statistic(*arguments)(weights), auc_statistic_reference(*arguments)(weights)
    np.testing.assert_array_equal(
        found.view(np.int64)[~np.isnan(expected)], expected.view(np.int64)[~np.isnan(expected)]
    )
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))


def test_weights_are_repetitions_for_scikit_learn():
    scores, outcomes, numbers = sample(1)
    weights = np.random.default_rng(2).integers(0, 4, (5, 12))
    for row, found in zip(weights, auc_statistic(scores, outcomes, numbers)(weights), strict=True):
        held = np.repeat(np.arange(len(numbers)), row[numbers])
        each = [roc_auc_score(outcomes[held, k], scores[held, k]) for k in range(3)]
        micro = roc_auc_score(outcomes[held].ravel(), scores[held].ravel())
        np.testing.assert_allclose(found, [*each, micro, np.mean(each)], rtol=1e-12)


def test_one_column():
    scores, outcomes, numbers = sample(3, k=1)
    weights = np.random.default_rng(4).integers(0, 4, (7, 12))
    found = weighted_auc(scores[:, 0], outcomes[:, 0], numbers)(weights)
    np.testing.assert_array_equal(found, auc_statistic(scores, outcomes, numbers)(weights)[:, 0])


def test_layouts_and_dtypes_do_not_matter():
    scores, outcomes, numbers = sample(5)
    weights = np.random.default_rng(6).integers(0, 4, (20, 12))
    expected = auc_statistic_reference(scores, outcomes, numbers)(weights)
    turned = auc_statistic(np.asfortranarray(scores), np.asfortranarray(outcomes), numbers.astype(np.int32))
    np.testing.assert_array_equal(turned(np.asfortranarray(weights)), expected)


def test_patients_without_weights_are_an_error():
    with pytest.raises(IndexError):
        auc_statistic(*sample(7))(np.ones((2, 3), np.int64))
