"""The AUCs of a classifier with all their intervals, and differences of two."""

from __future__ import annotations

import numpy as np
import pytest

from cmrbias.errors import CmrbiasError
from cmrbias.statistics import (
    PatientDraws,
    auc_contrast,
    auc_covariance,
    auc_differences,
    auc_statistic,
    auc_summary,
    holm,
    newcombe_interval,
    one_vs_rest_aucs,
    patient_strata,
)
from cmrbias.statistics.distributions import two_sided_p

NAMES = ["DCM", "HCM", "NOR"]


def sample(rng, per_class: int, strength: float) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(3), per_class)
    logits = rng.normal(size=(len(labels), 3))
    logits[np.arange(len(labels)), labels] += strength
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(axis=1, keepdims=True), labels


def test_values_and_methods() -> None:
    scores, labels = sample(np.random.default_rng(0), 30, 1.0)
    found, aucs = auc_summary(scores, labels, np.arange(90), NAMES), one_vs_rest_aucs(scores, labels)
    assert list(found.per_class) == NAMES
    assert [found.per_class[name].value for name in NAMES] == pytest.approx(aucs.per_class)
    assert (found.micro.value, found.macro.value) == pytest.approx((aucs.micro, aucs.macro))
    assert found.patients == dict.fromkeys(NAMES, 30)
    for estimate in (*found.per_class.values(), found.micro, found.macro):
        assert estimate.n == 90
        assert not estimate.unreliable
        percentile, bca, analytic = estimate.intervals
        for interval in estimate.intervals:
            assert interval.low < estimate.value < interval.high
        # three methods, one spread
        assert percentile.width == pytest.approx(analytic.width, rel=0.15)
        assert bca.width == pytest.approx(analytic.width, rel=0.15)
    assert found.per_class["DCM"].intervals[2].how == "DeLong"
    assert "Obuchowski" in found.micro.intervals[2].how


def test_numbers_do_not_depend_on_the_order_of_rows() -> None:
    """Nor on the codes of patients, but for which patient is first: their order is kept."""
    rng = np.random.default_rng(1)
    scores, labels = sample(rng, 12, 1.0)
    order = rng.permutation(36)
    first = auc_summary(scores, labels, np.arange(36), NAMES)
    moved = auc_summary(scores[order], labels[order], np.arange(36)[order] * 3 + 50, NAMES)
    assert first == moved


def test_several_cases_a_patient_widen_the_interval() -> None:
    """Each case twice says no more than once."""
    scores, labels = sample(np.random.default_rng(2), 20, 1.0)
    once = auc_summary(scores, labels, np.arange(60))
    twice = auc_summary(np.repeat(scores, 2, axis=0), np.repeat(labels, 2), np.repeat(np.arange(60), 2))
    for name in ("0", "1", "2"):
        one, two = once.per_class[name], twice.per_class[name]
        assert two.interval == one.interval
        assert (two.intervals[2].low, two.intervals[2].high) == pytest.approx(
            (one.intervals[2].low, one.intervals[2].high)
        )
        assert "clustered" in two.intervals[2].how
        assert two.fallback == one.fallback
    assert twice.micro.interval == once.micro.interval


def test_small_classes_are_flagged_with_newcombes_interval() -> None:
    scores, labels = sample(np.random.default_rng(3), 30, 1.0)
    kept = np.r_[0:5, 30:90]  # 5 DCM
    found = auc_summary(scores[kept], labels[kept], np.arange(65), NAMES)
    dcm = found.per_class["DCM"]
    assert dcm.doubts == ("5 patients in a class, under 10",)
    assert dcm.fallback == newcombe_interval(dcm.value, 5, 60)
    assert "by Newcombe's method 5" in str(dcm)
    assert not found.per_class["HCM"].unreliable
    assert found.micro.unreliable
    assert found.macro.unreliable
    ends = np.mean([[e.fallback.low, e.fallback.high] for e in found.per_class.values()], axis=0)
    assert (found.macro.fallback.low, found.macro.fallback.high) == pytest.approx(tuple(ends))
    micro, like = found.micro.fallback, newcombe_interval(found.micro.value, 5, 60)
    assert (micro.low, micro.high) == (like.low, like.high)


def test_micros_fallback_is_about_micro() -> None:
    """Probabilities that differ between classes in level alone: each class is told apart, the pool is not."""
    rng = np.random.default_rng(9)
    labels = np.repeat(np.arange(3), 6)
    scores = np.eye(3)[labels] * 0.1 + rng.random((18, 3)) * 0.01 + np.array([0.0, 0.3, 0.6])
    found = auc_summary(scores, labels, np.arange(18), resamples=50)
    assert found.macro.value == 1
    assert found.micro.value < 0.75
    assert found.micro.fallback.low < found.micro.value < found.micro.fallback.high


def test_a_perfect_classifier_has_no_bare_zero_width() -> None:
    labels = np.repeat([0, 1], 40)
    found = auc_summary(np.eye(2)[labels], labels, np.arange(80))
    for estimate in (*found.per_class.values(), found.micro, found.macro):
        assert estimate.interval.width == 0
        assert estimate.doubts == ("an AUC of 1", "zero width")
        assert str(estimate).startswith("1.000 (zero width, unreliable; 0.9")
        assert estimate.fallback.width > 0


def test_one_patient_of_a_class() -> None:
    """DeLong has no variance; the bootstrap keeps the one; Newcombe's interval is wide."""
    scores, labels = sample(np.random.default_rng(4), 12, 0.5)
    kept = np.r_[0:1, 12:36]
    dcm = auc_summary(scores[kept], labels[kept], np.arange(25), NAMES).per_class["DCM"]
    assert np.isnan(dcm.intervals[2].width)
    assert dcm.fallback.width > 0.4


def test_multi_label() -> None:
    rng = np.random.default_rng(5)
    targets = rng.integers(0, 2, (60, 3))
    scores = np.clip(targets * 0.3 + rng.random((60, 3)), 0, 1)
    found = auc_summary(scores, targets, np.repeat(np.arange(30), 2), NAMES)
    for estimate in (*found.per_class.values(), found.micro, found.macro):
        assert estimate.interval.low < estimate.value < estimate.interval.high
        assert estimate.n == 30


@pytest.mark.parametrize("per_class", [2, 5])
def test_coverage_of_the_fallbacks(per_class) -> None:
    """Truth from one large sample: micro, macro and each class are covered in at least 93 % of samples."""
    rng = np.random.default_rng(6)
    large = one_vs_rest_aucs(*sample(rng, 20_000, 1.0))
    truth = np.array([*large.per_class, large.micro, large.macro])
    covered = np.zeros(5)
    for _ in range(300):
        scores, labels = sample(rng, per_class, 1.0)
        found = auc_summary(scores, labels, np.arange(3 * per_class), NAMES, resamples=2)
        estimates = (*found.per_class.values(), found.micro, found.macro)
        ends = np.array([[e.fallback.low, e.fallback.high] for e in estimates])
        covered += (ends[:, 0] <= truth) & (truth <= ends[:, 1])
    assert (covered / 300 >= 0.93).all()


@pytest.mark.slow
def test_coverage_of_micro_and_macro() -> None:
    """All three intervals, 25 patients a class, 400 samples: 95 % give or take 3 SE and a little bias."""
    rng = np.random.default_rng(7)
    large = one_vs_rest_aucs(*sample(rng, 100_000, 1.0))
    covered = np.zeros((2, 3))
    for seed in range(400):
        found = auc_summary(*sample(rng, 25, 1.0), np.arange(75), resamples=500, seed=seed)
        for row, (estimate, truth) in enumerate(((found.micro, large.micro), (found.macro, large.macro))):
            covered[row] += [interval.low <= truth <= interval.high for interval in estimate.intervals]
    assert (covered / 400 >= 0.91).all()
    assert (covered / 400 <= 0.985).all()


def test_differences() -> None:
    rng = np.random.default_rng(8)
    first, labels = sample(rng, 40, 2.0)
    second = sample(rng, 40, 0.3)[0]
    patients = np.arange(120)
    found = auc_differences(first, second, labels, patients, NAMES)
    ours, theirs = one_vs_rest_aucs(first, labels), one_vs_rest_aucs(second, labels)
    assert found.micro.estimate.value == pytest.approx(ours.micro - theirs.micro)
    assert found.macro.estimate.value == pytest.approx(ours.macro - theirs.macro)
    for column, name in enumerate(NAMES):
        outcomes = np.repeat((labels == column)[:, None], 2, axis=1)
        pair = auc_covariance(np.column_stack([first[:, column], second[:, column]]), outcomes, patients)
        value, variance = pair.combination(np.array([1.0, -1.0]))
        difference = found.per_class[name]
        assert difference.estimate.value == pytest.approx(value)
        assert difference.p == pytest.approx(two_sided_p(value / variance**0.5))
        assert found.holm[name] >= difference.p
    for difference in (*found.per_class.values(), found.micro, found.macro):
        percentile, bca, delong = difference.estimate.intervals
        assert percentile.width == pytest.approx(delong.width, rel=0.15)
        assert bca.width == pytest.approx(delong.width, rel=0.15)
        assert difference.p < 1e-4
    swapped = auc_differences(second, first, labels, patients, NAMES)
    assert swapped.micro.p == pytest.approx(found.micro.p)
    assert swapped.micro.estimate.interval.high == pytest.approx(-found.micro.estimate.interval.low)


def test_with_few_patients_in_a_class_there_is_no_p_and_delong_stays_within_what_a_difference_can_be() -> (
    None
):
    """Nine patients of a class; then four of each, told apart the right and the wrong way round."""
    labels = np.repeat([0, 1, 2], [9, 10, 40])
    first, _ = sample(np.random.default_rng(8), 20, 1.0)
    first, second = first[:59], np.roll(first, 1, axis=1)[:59]
    found = auc_differences(first, second, labels, np.arange(59), NAMES, resamples=200)
    few, enough, many = found.per_class.values()
    assert [each.fewest for each in (few, enough, many, found.micro, found.macro)] == [9, 10, 19, 9, 9]
    assert all(np.isnan(each.p) for each in (few, found.micro, found.macro))
    assert np.isnan(found.holm[NAMES[0]])
    assert [found.holm[name] for name in NAMES[1:]] == holm(np.array([enough.p, many.p])).tolist()
    four = np.repeat([0, 1], 4)
    noise = np.random.default_rng(3).normal(scale=0.6, size=(2, 8, 2))
    right, wrong = np.eye(2)[four] + noise[0], np.eye(2)[1 - four] + noise[1]
    far = auc_differences(right, wrong, four, np.arange(8), NAMES[:2], resamples=200)
    delong = far.macro.estimate.intervals[-1]
    assert -1 <= delong.low < delong.high == 1


@pytest.mark.parametrize("clustered", [False, True])
def test_two_classes_are_one_test(clustered) -> None:
    """p and 1 - p have one AUC: one interval, one p, and nothing to adjust for."""
    rng = np.random.default_rng(14)
    labels = np.repeat([0, 1], [24, 56])
    patients = rng.permutation(np.arange(80) // 2) if clustered else np.arange(80)
    first, second = (np.column_stack([1 - p, p]) for p in rng.random((2, 80)) + 0.3 * labels)
    single = auc_summary(first, labels, patients, resamples=200)
    found = auc_differences(first, second, labels, patients, resamples=200)
    one = np.repeat((labels == 1)[:, None], 2, axis=1)
    pair = auc_covariance(np.column_stack([first[:, 1], second[:, 1]]), one, patients)
    value, variance = pair.combination(np.array([1.0, -1.0]))
    for name in ("0", "1"):
        for mine, macro in (
            (single.per_class[name], single.macro),
            (found.per_class[name].estimate, found.macro.estimate),
        ):
            for ours, its in zip(mine.intervals, macro.intervals, strict=True):
                assert (ours.low, ours.high) == pytest.approx((its.low, its.high))
        assert found.holm[name] == pytest.approx(two_sided_p(value / variance**0.5))
        assert found.holm[name] == pytest.approx(found.macro.p)


def test_two_classes_with_scores_of_their_own_are_two_tests() -> None:
    rng = np.random.default_rng(15)
    labels = np.repeat([0, 1], 30)
    found = auc_differences(*rng.random((2, 60, 2)), labels, np.arange(60), resamples=200)
    assert list(found.holm.values()) == holm(np.array([each.p for each in found.per_class.values()])).tolist()


def test_a_difference_of_differences_by_hand() -> None:
    rng = np.random.default_rng(11)
    labels = sample(rng, 30, 1.0)[1]
    scores = [sample(rng, 30, strength)[0] for strength in (2.0, 0.5, 1.5, 1.0)]
    patients, signs = np.arange(90), np.array([1.0, -1.0, -1.0, 1.0])
    found = auc_contrast(scores, (1, -1, -1, 1), labels, patients, NAMES, resamples=200, seed=3)
    aucs = [one_vs_rest_aucs(each, labels) for each in scores]
    assert found.macro.estimate.value == pytest.approx(signs @ [each.macro for each in aucs])
    assert found.micro.estimate.value == pytest.approx(signs @ [each.micro for each in aucs])
    outcomes = labels[:, None] == np.arange(3)
    for column, name in enumerate(NAMES):
        of_class = np.column_stack([each[:, column] for each in scores])
        four = auc_covariance(of_class, np.repeat(outcomes[:, [column]], 4, axis=1), patients)
        value, variance = four.combination(signs)
        assert found.per_class[name].estimate.value == pytest.approx(value)
        assert found.per_class[name].p == pytest.approx(two_sided_p(value / variance**0.5))
    draws = PatientDraws(patient_strata(labels, patients, 3), 200, 3)
    weights = np.concatenate(list(draws.weights()))
    replicates = [auc_statistic(each, outcomes, patients)(weights) for each in scores]
    of_macro = np.tensordot(signs, np.stack(replicates), 1)[:, -1]
    interval = found.macro.estimate.interval
    assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(of_macro, [0.025, 0.975])))


def test_differences_that_are_alike_do_not_differ() -> None:
    rng = np.random.default_rng(12)
    first, labels = sample(rng, 12, 1.5)
    second = sample(rng, 12, 0.5)[0]
    found = auc_contrast((first, second, first, second), (1, -1, -1, 1), labels, np.arange(36))
    assert (found.micro.estimate.value, found.macro.p) == (0.0, 1.0)
    less = auc_contrast((first, second, first, first), (1, -1, -1, 1), labels, np.arange(36))
    assert less.macro.p == pytest.approx(auc_differences(first, second, labels, np.arange(36)).macro.p)


def test_a_classifier_does_not_differ_from_itself() -> None:
    scores, labels = sample(np.random.default_rng(9), 12, 1.0)
    found = auc_differences(scores, scores, labels, np.arange(36))
    assert (found.micro.p, found.macro.p, set(found.holm.values())) == (1.0, 1.0, {1.0})
    assert str(found.micro.estimate) == "0.000 (zero width, unreliable)"


def test_scores_of_other_cases_are_refused() -> None:
    with pytest.raises(CmrbiasError, match="expected scores of the same cases"):
        auc_differences(np.ones((3, 2)), np.ones((4, 2)), np.array([0, 1, 1]), np.arange(3))
    with pytest.raises(CmrbiasError, match="expected one patient for each of 3 cases"):
        auc_summary(np.eye(3), np.arange(3), np.arange(2))
