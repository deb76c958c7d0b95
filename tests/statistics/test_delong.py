"""DeLong and Obuchowski against published examples, brute force, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cmrbias.statistics import auc_covariance, auc_interval, hanley_mcneil_se, pooled_covariance
from cmrbias.statistics.distributions import two_sided_p

# 43 complete cases of DeLong et al. (1988): albumin, total protein, K-G score, improved after surgery
OVARIAN = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1
3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0
2.3 4.4 6 1  4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1
3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0
3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1
3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""


def same_outcome(outcomes: np.ndarray, columns: int) -> np.ndarray:
    return np.repeat(outcomes[:, None], columns, axis=1)


def brute_force(scores, outcomes, patients):
    """Obuchowski's covariance from all pairs, patient by patient, as her paper writes it."""
    codes, columns = np.unique(patients), range(scores.shape[1])
    m, n, aucs, x, y = [], [], [], [], []
    for c in columns:
        yes, no = np.flatnonzero(outcomes[:, c]), np.flatnonzero(~outcomes[:, c])
        wins = np.array(
            [[(scores[i, c] > scores[j, c]) + 0.5 * (scores[i, c] == scores[j, c]) for j in no] for i in yes]
        )
        auc = wins.mean()
        m.append(len(yes)), n.append(len(no)), aucs.append(auc)
        x.append([sum(wins[a].mean() - auc for a, i in enumerate(yes) if patients[i] == p) for p in codes])
        y.append([sum(wins[:, b].mean() - auc for b, j in enumerate(no) if patients[j] == p) for p in codes])
    x, y = np.array(x), np.array(y)
    one = len(codes) / (len(codes) - 1)
    covariance = np.zeros((len(columns), len(columns)))
    for c in columns:
        for d in columns:
            same = np.array_equal(outcomes[:, c], outcomes[:, d])
            i10, i01 = len(set(patients[outcomes[:, c]])), len(set(patients[~outcomes[:, c]]))
            covariance[c, d] = (
                (i10 / (i10 - 1) if same else one) * x[c] @ x[d] / (m[c] * m[d])
                + (i01 / (i01 - 1) if same else one) * y[c] @ y[d] / (n[c] * n[d])
                + one * (x[c] @ y[d] / (m[c] * n[d]) + y[c] @ x[d] / (n[c] * m[d]))
            )
    return np.array(aucs), covariance


def test_the_example_of_delong() -> None:
    """The published analysis of these 43 cases (SAS/STAT User's Guide, PROC LOGISTIC, "Comparing ROC")."""
    table = np.array(OVARIAN.split(), np.float64).reshape(-1, 4)
    scores = np.column_stack([table[:, 0], table[:, 1], 10 - table[:, 2]])
    found = auc_covariance(scores, same_outcome(table[:, 3] == 1, 3), np.arange(43))
    assert found.aucs.round(4).tolist() == [0.7366, 0.6478, 0.7258]
    assert np.sqrt(np.diagonal(found.covariance)).round(4).tolist() == [0.0927, 0.1000, 0.1028]
    contrasts = np.array([[1, 0, -1], [0, 1, -1]])
    difference, spread = contrasts @ found.aucs, contrasts @ found.covariance @ contrasts.T
    assert difference @ np.linalg.solve(spread, difference) == pytest.approx(2.5340, abs=5e-5)
    value, variance = found.combination(np.array([1.0, 0.0, -1.0]))
    assert (round(value, 4), round(variance**0.5, 4)) == (0.0108, 0.0953)


def test_the_example_of_hanley_and_mcneil() -> None:
    """109 CT readings (1982, table I): 0.893, SE 0.032; by DeLong 0.0307, 0.833 to 0.953 (Stata, roctab)."""
    ratings = np.repeat([1.0, 2, 3, 4, 5, 1, 2, 3, 4, 5], [33, 6, 6, 11, 2, 3, 2, 2, 11, 33])
    outcomes = np.repeat([False, True], [58, 51])
    found = auc_covariance(ratings[:, None], outcomes[:, None], np.arange(109))
    assert round(found.aucs[0], 3) == 0.893
    assert round(found.covariance[0, 0] ** 0.5, 4) == 0.0307
    interval = auc_interval(found.aucs[0], found.covariance[0, 0], "DeLong")
    assert (interval.low, interval.high) == pytest.approx((0.83295, 0.95339), abs=6e-5)
    assert round(hanley_mcneil_se(found.aucs[0], 51, 58), 3) == 0.032


def test_by_hand() -> None:
    """Positives 3, 1 and negatives 2, 0: V10 = 1, 1/2; V01 = 1/2, 1; variance 1/8 / 2 + 1/8 / 2."""
    outcomes = np.array([[True], [True], [False], [False]])
    found = auc_covariance(np.array([[3.0], [1.0], [2.0], [0.0]]), outcomes, np.arange(4))
    assert found.aucs[0] == 0.75
    assert found.covariance[0, 0] == pytest.approx(1 / 8)


@given(st.integers(0, 10_000), st.integers(6, 14), st.booleans())
def test_against_brute_force(seed, cases, clustered) -> None:
    """Classes, models and clusters at once, with ties."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 5, (cases, 3)).astype(np.float64)
    patients = rng.integers(0, 4, cases) if clustered else rng.permutation(cases) * 7
    outcomes = same_outcome(np.arange(cases) % 2 == 0, 3)
    outcomes[:, 2] = np.arange(cases) < 3
    assume(min(np.unique(patients[has]).size for has in (*outcomes.T, *~outcomes.T)) > 1)
    aucs, covariance = brute_force(scores, outcomes, patients)
    found = auc_covariance(scores, outcomes, patients)
    assert found.aucs == pytest.approx(aucs)
    assert found.covariance == pytest.approx(covariance, abs=1e-14)


@given(st.integers(0, 10_000), st.booleans())
def test_a_class_and_all_others_are_two_sides_of_one_outcome(seed, clustered) -> None:
    """An AUC for the others is that of the negated score for the class: two models of one outcome."""
    rng = np.random.default_rng(seed)
    scores, outcome = rng.integers(0, 5, (14, 2)).astype(np.float64), np.arange(14) < 5
    patients = rng.permutation(np.arange(14) // 2 if clustered else np.arange(14))
    found = auc_covariance(scores, np.column_stack([outcome, ~outcome]), patients)
    expected = auc_covariance(scores * [1, -1], same_outcome(outcome, 2), patients)
    assert found.aucs == pytest.approx(expected.aucs)
    assert found.covariance == pytest.approx(expected.covariance)


def test_two_classes_have_one_variance_by_hand() -> None:
    """The case of ``test_by_hand`` as p and 1 - p: everything is 1/8."""
    outcomes = np.array([[True, False], [True, False], [False, True], [False, True]])
    p = np.array([0.75, 0.25, 0.5, 0.0])
    found = auc_covariance(np.column_stack([p, 1 - p]), outcomes, np.arange(4))
    assert found.covariance == pytest.approx(np.full((2, 2), 1 / 8))
    assert found.combination(np.array([0.5, 0.5])) == pytest.approx((0.75, 1 / 8))


def test_pooling_is_flattening() -> None:
    rng = np.random.default_rng(3)
    labels, scores = rng.integers(0, 3, 20), rng.random((20, 3, 2)).round(1)
    outcomes, patients = labels[:, None] == np.arange(3), rng.permutation(np.repeat(np.arange(10), 2))
    aucs, covariance = brute_force(
        scores.reshape(60, 2), same_outcome(outcomes.ravel(), 2), np.repeat(patients, 3)
    )
    found = pooled_covariance(scores, outcomes, patients)
    assert found.aucs == pytest.approx(aucs)
    assert found.covariance == pytest.approx(covariance)


@given(st.integers(0, 10_000))
def test_properties(seed) -> None:
    rng = np.random.default_rng(seed)
    scores, labels = rng.random((24, 3)).round(1), np.arange(24) % 3
    outcomes, patients = labels[:, None] == np.arange(3), rng.permutation(np.arange(24) // 2)
    found = auc_covariance(scores, outcomes, patients)
    assert np.linalg.eigvalsh(found.covariance).min() > -1e-12
    mirrored = auc_covariance(1 - scores, outcomes, patients)
    assert mirrored.covariance == pytest.approx(found.covariance)
    order = rng.permutation(24)
    moved = auc_covariance(scores[order], outcomes[order], patients[order] * 5 + 2)
    assert moved.covariance == pytest.approx(found.covariance)
    for auc, variance in zip(found.aucs, np.diagonal(found.covariance), strict=True):
        interval = auc_interval(auc, variance, "DeLong")
        assert 0 <= interval.low <= auc <= interval.high <= 1


def test_one_patient_in_a_class_has_no_variance() -> None:
    outcomes = np.array([[True], [False], [False]])
    found = auc_covariance(np.array([[1.0], [0.0], [2.0]]), outcomes, np.arange(3))
    assert np.isnan(found.covariance).all()
    assert str(auc_interval(found.aucs[0], found.covariance[0, 0], "DeLong")) == "no interval"


def softmax_scores(rng, labels, classes: int, strength: float) -> np.ndarray:
    logits = rng.normal(size=(len(labels), classes))
    logits[np.arange(len(labels)), labels] += strength
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_coverage_by_class() -> None:
    """Two normal distributions one SD apart: AUC 0.760; 95 % of 1,000 samples, give or take 3 SE."""
    rng = np.random.default_rng(4)
    outcomes, covered = (np.arange(80) < 40)[:, None], 0
    for _ in range(1000):
        found = auc_covariance(rng.normal(size=(80, 1)) + outcomes, outcomes, np.arange(80))
        interval = auc_interval(found.aucs[0], found.covariance[0, 0], "DeLong")
        covered += interval.low <= 0.76025 <= interval.high
    assert 0.925 <= covered / 1000 <= 0.97


def test_the_spread_of_micro_and_macro() -> None:
    """The mean variance meets the variance over samples; taken as independent, micro's is too small."""
    rng = np.random.default_rng(5)
    labels = np.repeat(np.arange(4), 25)
    outcomes, patients = labels[:, None] == np.arange(4), np.arange(100)
    micro, macro, alone = [], [], []
    for _ in range(600):
        scores = softmax_scores(rng, labels, 4, 1.2)
        pooled = pooled_covariance(scores[:, :, None], outcomes, patients)
        micro.append((pooled.aucs[0], pooled.covariance[0, 0]))
        macro.append(auc_covariance(scores, outcomes, patients).combination(np.full(4, 0.25)))
        naive = auc_covariance(scores.reshape(-1, 1), outcomes.reshape(-1, 1), np.arange(400))
        alone.append(naive.covariance[0, 0])
    for values, variances in (np.array(micro).T, np.array(macro).T):
        assert np.sqrt(variances.mean()) == pytest.approx(values.std(), rel=0.1)
    assert np.sqrt(np.mean(alone)) < 0.9 * np.array(micro)[:, 0].std()


def test_the_spread_with_several_cases_a_patient() -> None:
    """Three cases a patient that share most of their score, some patients with cases of both outcomes."""
    rng = np.random.default_rng(6)
    patients = np.repeat(np.arange(40), 3)
    outcomes = (patients < 20) ^ ((patients % 4 == 0) & (np.arange(120) % 3 == 0))
    values, variances, alone = [], [], []
    for _ in range(600):
        shared = np.repeat(rng.normal(size=40), 3)
        scores = (shared + 0.5 * rng.normal(size=120) + 0.8 * outcomes)[:, None]
        found = auc_covariance(scores, outcomes[:, None], patients)
        values.append(found.aucs[0]), variances.append(found.covariance[0, 0])
        alone.append(auc_covariance(scores, outcomes[:, None], np.arange(120)).covariance[0, 0])
    assert np.sqrt(np.mean(variances)) == pytest.approx(np.std(values), rel=0.1)
    assert np.sqrt(np.mean(alone)) < 0.8 * np.std(values)


def test_the_paired_test_keeps_its_level() -> None:
    """Two models of the same quality with correlated scores: p < 0.05 in 5 % of samples."""
    rng = np.random.default_rng(7)
    outcomes = np.arange(80) < 40
    rejected = 0
    for _ in range(600):
        shared = rng.normal(size=(80, 1)) + outcomes[:, None]
        scores = shared + rng.normal(size=(80, 2))
        found = auc_covariance(scores, same_outcome(outcomes, 2), np.arange(80))
        value, variance = found.combination(np.array([1.0, -1.0]))
        rejected += two_sided_p(value / variance**0.5) < 0.05
    assert 0.025 <= rejected / 600 <= 0.08
