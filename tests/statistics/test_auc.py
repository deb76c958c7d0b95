"""AUC against scikit-learn and a count of all pairs."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from cmrbias.errors import CmrbiasError
from cmrbias.statistics import binary_auc, one_vs_rest_aucs

# few values, so that many tie; both outcomes occur
columns = st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=2, max_size=30).filter(
    lambda pairs: {outcome for _, outcome in pairs} == {True, False}
)


def split(pairs):
    scores, outcomes = zip(*pairs, strict=True)
    return np.array(scores, np.float64), np.array(outcomes)


@given(columns)
def test_is_the_exact_share_of_pairs(pairs) -> None:
    scores, outcomes = split(pairs)
    won = sum(Fraction(int(a > b) * 2 + int(a == b), 2) for a in scores[outcomes] for b in scores[~outcomes])
    assert binary_auc(scores, outcomes) == float(won / int(outcomes.sum() * (~outcomes).sum()))


@given(columns, st.randoms(use_true_random=False))
def test_properties(pairs, random) -> None:
    scores, outcomes = split(pairs)
    auc = binary_auc(scores, outcomes)
    assert binary_auc(1 - scores, outcomes) == pytest.approx(1 - auc, abs=1e-15)
    assert binary_auc(scores, ~outcomes) == pytest.approx(1 - auc, abs=1e-15)
    assert binary_auc(np.exp(scores), outcomes) == auc
    random.shuffle(pairs)
    assert binary_auc(*split(pairs)) == auc


def test_against_sklearn() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    scores = rng.random((200, 4)).round(2)
    scores /= scores.sum(axis=1, keepdims=True)
    found = one_vs_rest_aucs(scores, labels)
    per_class = roc_auc_score(labels, scores, multi_class="ovr", average=None)
    assert found.per_class == pytest.approx(per_class, abs=1e-12)
    assert found.micro == pytest.approx(roc_auc_score(labels, scores, multi_class="ovr", average="micro"))
    assert found.macro == pytest.approx(roc_auc_score(labels, scores, multi_class="ovr", average="macro"))


def test_multi_label_against_sklearn() -> None:
    rng = np.random.default_rng(1)
    targets, scores = rng.integers(0, 2, (50, 3)), rng.random((50, 3))
    found = one_vs_rest_aucs(scores, targets)
    assert found.per_class == pytest.approx(roc_auc_score(targets, scores, average=None))
    assert found.micro == pytest.approx(roc_auc_score(targets, scores, average="micro"))


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (np.ones((3, 2)), np.array([0, 0, 0]), "class 'DCM' has all 3 cases"),
        (np.ones((3, 3)), np.array([0, 1, 0]), "class 'HCM' has no case"),
        (np.array([[0.5, np.nan], [1, 0]]), np.array([0, 1]), "found nan in row 0 for class 'NOR'"),
        (np.ones((3, 2)), np.array([0, 1, 2]), "expected integer labels from 0 to 1"),
        (np.ones((3, 2)), np.array([0.0, 1.0, 1.0]), "expected integer labels"),
        (np.ones((3, 2)), np.array([0, 1]), "expected labels of shape"),
        (np.ones((2, 2)), np.array([[0, 1], [-1, 0]]), "leave uncertain ones out"),
        (np.ones(3), np.array([0, 1, 1]), "expected scores of shape"),
    ],
)
def test_wrong_input_is_named(scores, labels, message) -> None:
    names = ["DCM", "NOR", "HCM"][: scores.shape[-1]]
    with pytest.raises(CmrbiasError, match=message.replace("[", r"\[")):
        one_vs_rest_aucs(scores, labels, names)


def test_too_few_names() -> None:
    with pytest.raises(CmrbiasError, match="expected one name for each of 2 columns"):
        one_vs_rest_aucs(np.ones((2, 2)), np.array([0, 1]), ["DCM"])
