"""Correlations against scipy and by regression."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cmrbias.errors import CmrbiasError
from cmrbias.statistics import PatientDraws, correlation, correlation_statistic, partial_correlation

points = st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=20).map(
    lambda pairs: np.array(pairs, np.float64).T
)


@given(points)
def test_against_scipy(columns) -> None:
    x, y = columns
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert str(correlation(x, y)) == "undefined"
        return
    assert correlation(x, y).value == pytest.approx(stats.pearsonr(x, y)[0], abs=1e-12)
    found = correlation(x, y, "spearman").value
    assert found == pytest.approx(stats.spearmanr(x, y)[0], abs=1e-12)
    assert correlation(-x, y, "spearman").value == pytest.approx(-found, abs=1e-12)
    assert correlation(np.exp(x), y, "spearman").value == pytest.approx(found, abs=1e-12)


@given(points)
def test_the_interval_contains_the_value(columns) -> None:
    for kind in ("pearson", "spearman"):
        found = correlation(*columns, kind)
        if not np.isnan(found.interval.width):
            assert -1 <= found.interval.low <= found.value <= found.interval.high <= 1


def test_fishers_interval_against_scipy() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=30)
    y = x + rng.normal(size=30)
    found, theirs = correlation(x, y), stats.pearsonr(x, y).confidence_interval(0.95)
    assert (found.interval.low, found.interval.high) == pytest.approx((theirs.low, theirs.high))
    r = stats.spearmanr(x, y)[0]
    half = 1.959963984540054 * np.sqrt((1 + r**2 / 2) / 27)
    ends = np.tanh([np.arctanh(r) - half, np.arctanh(r) + half])
    interval = correlation(x, y, "spearman").interval
    assert (interval.low, interval.high) == pytest.approx(tuple(ends))


def test_resamples_are_correlations_of_repeated_points() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 5, (2, 20)).astype(np.float64)
    draws = PatientDraws(np.zeros(20, np.int64), 30)
    weights = next(draws.weights())
    for kind, theirs in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr)):
        values = correlation_statistic(x, y, kind)(weights)[:, 0]
        expected = [theirs(x[rows], y[rows])[0] for rows in draws.indices(0, 30)]
        assert values == pytest.approx(expected)
    found = correlation(x, y, "spearman", draws)
    assert [interval.how.split()[0] for interval in found.intervals] == ["Fisher's", "percentile", "BCa"]


def test_coverage_of_spearmans_interval() -> None:
    """Normal with r = 0.6: rho_s = 6 / pi arcsin(0.3); 1,000 samples of 40."""
    rng, covered = np.random.default_rng(2), 0
    truth = 6 / np.pi * np.arcsin(0.3)
    for _ in range(1000):
        x, e = rng.normal(size=(2, 40))
        interval = correlation(x, 0.6 * x + 0.8 * e, "spearman").interval
        covered += interval.low <= truth <= interval.high
    assert 0.925 <= covered / 1000 <= 0.975


def test_partial_correlation_by_its_recursion() -> None:
    """(r_xy - r_xz r_yz) / sqrt((1 - r_xz^2)(1 - r_yz^2)), of values and of ranks."""
    rng = np.random.default_rng(3)
    z = rng.normal(size=50)
    x, y = z + rng.normal(size=50), z + rng.normal(size=50)
    for kind, of in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr)):
        xy, xz, yz = of(x, y)[0], of(x, z)[0], of(y, z)[0]
        expected = (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
        found = partial_correlation(x, y, z[:, None], kind)
        assert found.value == pytest.approx(expected)
        scale = 1 if kind == "pearson" else 1 + expected**2 / 2
        half = 1.959963984540054 * np.sqrt(scale / (50 - 1 - 3))
        assert found.interval.low == pytest.approx(np.tanh(np.arctanh(expected) - half))
        assert found.interval.high == pytest.approx(np.tanh(np.arctanh(expected) + half))
    assert partial_correlation(x, y, np.empty((50, 0))).value == pytest.approx(correlation(x, y).value)


def test_what_covariates_explain_wholly_is_undefined() -> None:
    z = np.random.default_rng(4).normal(size=20)
    assert str(partial_correlation(3 * z + 1, z**2, z[:, None])) == "undefined"


def test_few_points_are_flagged_and_bad_ones_refused() -> None:
    assert correlation(np.arange(5.0), np.array([1.0, 0, 2, 3, 5])).doubts == ("5 points, under 10",)
    perfect = correlation(np.arange(12.0), np.arange(12.0))
    assert str(perfect) == "1.000 (zero width, unreliable)"
    assert str(correlation(np.empty(0), np.empty(0))) == "undefined"
    with pytest.raises(CmrbiasError, match="1 that are not finite"):
        correlation(np.array([1.0, np.nan]), np.ones(2))
    with pytest.raises(CmrbiasError, match="equally long"):
        correlation(np.ones(3), np.ones(2))


def test_missing_covariates_are_refused() -> None:
    """Ranks would take NaN for the largest number."""
    x, y, z = np.random.default_rng(5).normal(size=(3, 20))
    z[7] = np.nan
    for kind in ("pearson", "spearman"):
        with pytest.raises(CmrbiasError, match="finite covariates, found nan in row 7, column 1: leave"):
            partial_correlation(x, y, np.column_stack([y, z]), kind)
