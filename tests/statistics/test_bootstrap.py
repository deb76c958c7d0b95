"""Percentile and BCa against scipy and slow resampling; coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cmrbias.statistics import (
    PatientDraws,
    auc_statistic,
    bootstrap,
    mean_statistic,
    one_vs_rest_aucs,
    weighted_auc,
)
from cmrbias.statistics.bootstrap import drawn_weights


def column(auc):
    """One number a resample, as a statistic gives it."""
    return lambda weights: auc(weights)[:, None]


def test_auc_of_each_resample_is_that_of_the_repeated_cases() -> None:
    """Several cases a patient, ties, patients of two classes: rebuilt case by case."""
    rng = np.random.default_rng(0)
    numbers, labels = rng.permutation(np.repeat(np.arange(15), 2)), np.arange(30) % 3
    scores = rng.random((30, 3)).round(1)
    draws = PatientDraws(np.zeros(15, np.int64), 50, 4)
    replicates = bootstrap(auc_statistic(scores, labels[:, None] == np.arange(3), numbers), draws)
    for values, chosen in zip(replicates.values, draws.indices(0, 50), strict=True):
        rows = np.concatenate([np.flatnonzero(numbers == patient) for patient in chosen])
        found = one_vs_rest_aucs(scores[rows], labels[rows])
        assert values == pytest.approx([*found.per_class, found.micro, found.macro], abs=1e-15)
    found = one_vs_rest_aucs(scores, labels)
    assert replicates.point == pytest.approx([*found.per_class, found.micro, found.macro], abs=1e-15)


def test_the_same_seed_gives_the_same_interval() -> None:
    rng = np.random.default_rng(1)
    values, strata = rng.normal(size=40), np.arange(40) % 2
    first, again, other = (
        bootstrap(mean_statistic(values), PatientDraws(strata, 200, seed)) for seed in (1, 1, 2)
    )
    assert (first.percentile(), first.bca()) == (again.percentile(), again.bca())
    assert first.percentile() != other.percentile()


def test_against_scipy() -> None:
    """scipy's own BCa and percentile with its own draws; a skewed mean, 20,000 resamples of each."""
    values = np.random.default_rng(2).exponential(size=30)
    draws = PatientDraws(np.zeros(30, np.int64), 20_000)
    replicates = bootstrap(mean_statistic(values), draws)
    for found, method in ((replicates.percentile(), "percentile"), (replicates.bca(), "BCa")):
        theirs = stats.bootstrap(
            (values,), np.mean, n_resamples=20_000, method=method, rng=np.random.default_rng(3)
        ).confidence_interval
        assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.015)


def test_the_acceleration_is_efrons() -> None:
    """One stratum: sum l^3 / (6 (sum l^2)^1.5) of the jackknife's deviations; for a mean, of the values'."""
    values = np.random.default_rng(4).exponential(size=25)
    replicates = bootstrap(mean_statistic(values), PatientDraws(np.zeros(25, np.int64), 2000))
    centred = values - values.mean()
    assert replicates.influence[:, 0] == pytest.approx(centred)
    assert_bca(replicates, (centred**3).sum() / (6 * (centred**2).sum() ** 1.5))


def assert_bca(replicates, acceleration) -> None:
    values, point = replicates.values[:, 0], replicates.point[0]
    share = (values < point).mean() + (values == point).mean() / 2
    bias = stats.norm.ppf(share)
    z = bias + stats.norm.ppf([0.025, 0.975])
    ends = np.quantile(values, stats.norm.cdf(bias + z / (1 - acceleration * z)))
    found = replicates.bca()
    assert (found.low, found.high) == pytest.approx(tuple(ends))


def test_influence_within_strata() -> None:
    """Difference of two groups' means: a patient's influence is its deviation from its group's mean."""
    values, strata = np.random.default_rng(5).normal(size=12), np.repeat([0, 1, 2], [7, 4, 1])
    group = [np.where(strata == stratum, values, np.nan) for stratum in (0, 1)]
    first, second = (mean_statistic(of) for of in group)
    replicates = bootstrap(lambda weights: first(weights) - second(weights), PatientDraws(strata, 2000))
    means = [np.nanmean(of) for of in group]
    expected = np.where(strata == 0, values - means[0], means[1] - values)
    assert replicates.influence[:11, 0] == pytest.approx(expected[:11])
    assert replicates.influence[11, 0] == 0
    share = replicates.influence[:11, 0] / np.repeat([7, 4], [7, 4])
    assert_bca(replicates, (share**3).sum() / (6 * (share**2).sum() ** 1.5))


def test_undefined_resamples_are_skipped_and_counted() -> None:
    """Two patients in one stratum, one of each outcome: half of the resamples have both."""
    statistic = column(weighted_auc(np.array([0.1, 0.9]), np.array([False, True]), np.arange(2)))
    draws = PatientDraws(np.zeros(2, np.int64), 1000)
    replicates = bootstrap(statistic, draws)
    skipped = int((draws.indices(0, 1000).sum(axis=1) != 1).sum())
    assert replicates.skipped.tolist() == [skipped]
    assert 430 < skipped < 570
    assert f"{skipped} skipped" in replicates.percentile().how
    assert replicates.percentile().width == 0


def test_no_interval_where_all_resamples_lie_on_one_side() -> None:
    def highest(weights):
        return (
            np.where(weights > 0, np.arange(30.0), -1.0).max(axis=1)[:, None]
            + (weights.max(axis=1) == 1)[:, None]
        )

    replicates = bootstrap(highest, PatientDraws(np.zeros(30, np.int64), 100))
    assert np.isnan(replicates.bca().width)
    assert replicates.percentile().width > 0


def coverage(size: int, samples: int, resamples: int) -> tuple[float, float]:
    """Of the AUC of two normal samples one SD apart, by percentile and BCa."""
    rng = np.random.default_rng(6)
    outcomes, truth, covered = np.arange(2 * size) < size, 0.76025, np.zeros(2)
    for sample in range(samples):
        statistic = column(weighted_auc(rng.normal(size=2 * size) + outcomes, outcomes, np.arange(2 * size)))
        replicates = bootstrap(statistic, PatientDraws(outcomes.astype(int), resamples, sample))
        for method, interval in enumerate((replicates.percentile(), replicates.bca())):
            covered[method] += interval.low <= truth <= interval.high
    return tuple(covered / samples)


def test_coverage() -> None:
    """40 patients a class, 400 samples: 95 % give or take 3 SE."""
    assert all(0.915 <= share <= 0.98 for share in coverage(40, 400, 400))


def test_percentile_intervals_of_few_patients_cover_too_little() -> None:
    """Why under 10 patients a class are flagged: with 3 a class under 90 %, where Newcombe's has 93 %."""
    assert coverage(3, 400, 400)[0] < 0.9


@pytest.mark.parametrize("patients", [7, 600])
def test_kept_draws_are_the_draws(patients):
    draws = PatientDraws(np.arange(patients) % 3, 2000, 5)
    for _ in range(2):
        np.testing.assert_array_equal(
            np.concatenate(list(drawn_weights(draws))), np.concatenate(list(draws.weights()))
        )
    other = PatientDraws(draws.strata, 2000, 6)
    assert not np.array_equal(next(iter(drawn_weights(other))), next(draws.weights()))
