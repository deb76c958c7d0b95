"""Spread and kNN accuracy against scikit-learn and hand-computed cases."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier

from cmrbias.training.monitor import embedding_std, estimated_statistics, knn_accuracy, macro_auc


def test_std_is_one_on_the_sphere_and_zero_for_a_collapse() -> None:
    generator = torch.Generator().manual_seed(0)
    assert abs(embedding_std(torch.randn(4000, 64, generator=generator)) - 1) < 0.02
    assert embedding_std(torch.ones(10, 8) * torch.arange(1, 11)[:, None]) < 1e-7


def test_knn_is_scikit_learn_s_with_the_own_patient_left_out() -> None:
    rng = np.random.default_rng(3)
    labels, patients = rng.integers(0, 3, 60), np.arange(60) // 2
    embeddings = rng.normal(size=(60, 5)) + labels[:, None]
    right = 0
    for patient in range(30):
        own = patients == patient
        model = KNeighborsClassifier(1, metric="cosine").fit(embeddings[~own], labels[~own])
        right += (model.predict(embeddings[own]) == labels[own]).sum()
    assert knn_accuracy(torch.tensor(embeddings), labels, patients, k=1) == right / 60


def test_knn_leaves_out_unknown_labels_and_says_nan_where_nobody_has_neighbours() -> None:
    embeddings = torch.tensor([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1], [1, 1]])
    labels = np.array([0, 0, 1, 1, -1])
    assert knn_accuracy(embeddings, labels, np.arange(5), k=1) == 1.0
    assert math.isnan(knn_accuracy(embeddings, labels, np.zeros(5, int), k=1))
    assert math.isnan(knn_accuracy(embeddings, np.full(5, -1), np.arange(5)))


def test_a_vote_outweighs_nearness_and_nearness_breaks_ties() -> None:
    embeddings = torch.tensor([[1.0, 0], [1, 0.01], [1, 0.5], [1, 0.6], [-1, 0.0]])
    labels = np.array([0, 1, 0, 0, 1])
    only = np.array([0, 1, 2, 3, 4])
    three = knn_accuracy(embeddings[:4], labels[:4], only[:4], k=3)
    assert three == 3 / 4  # rows 0, 2, 3 are right, row 1 (label 1) is outvoted
    # with two neighbours each of a class, the nearer decides: rows 0 and 1 are right, 2 is outvoted
    assert knn_accuracy(embeddings[:3], np.array([1, 1, 0]), only[:3], k=2) == 2 / 3


def test_statistics_are_those_of_the_batches_and_are_forgotten_afterwards() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.BatchNorm2d(3))
    norm = network[1]
    batches = [torch.randn(4, 1, 8, 8) + 5, torch.randn(4, 1, 8, 8) * 3]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.eval()
    with estimated_statistics(network, batches):
        outputs = [network[0](batch) for batch in batches]
        means = torch.stack([out.mean((0, 2, 3)) for out in outputs])
        variances = torch.stack([out.transpose(0, 1).flatten(1).var(1) for out in outputs])
        torch.testing.assert_close(norm.running_mean, means.mean(0))
        torch.testing.assert_close(norm.running_var, variances.mean(0))
        assert not network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert norm.momentum == 0.1


@given(st.lists(st.tuples(st.integers(0, 2), *[st.integers(0, 4)] * 3), min_size=3, max_size=25))
def test_macro_auc_is_scikit_learn_s_mean_over_the_classes_that_have_one(rows: list[tuple[int, ...]]) -> None:
    labels, scores = np.array([r[0] for r in rows]), np.array([r[1:] for r in rows]) / 4
    there = [k for k in range(3) if 0 < (labels == k).sum() < len(labels)]
    found = macro_auc(torch.as_tensor(scores), torch.as_tensor(labels))
    if there:
        assert math.isclose(found, np.mean([roc_auc_score(labels == k, scores[:, k]) for k in there]))
    else:
        assert math.isnan(found)
