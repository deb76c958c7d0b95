"""Means over cases with patients resampled whole, by hand, by repeated cases, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cmrbias.statistics import PatientDraws, case_mean_estimate, mean_estimate


def test_each_case_counts_alike() -> None:
    """Three right of three, none of one, one of two: 4/6; the patients' sums lie 1, -2/3, -1/3 around it."""
    found = case_mean_estimate(np.array([1.0, 1, 1, 0, 1, 0]), np.array([0, 0, 0, 1, 2, 2]), resamples=50)
    assert (found.value, found.n, found.doubts[0]) == (pytest.approx(4 / 6), 3, "3 patients, under 10")
    error = np.sqrt(3 / 2 * (1 + 4 / 9 + 1 / 9)) / 6
    low, high = stats.t.interval(0.95, 2, 4 / 6, error)
    *_, by_t = found.intervals
    assert (by_t.low, by_t.high) == pytest.approx((low, high))
    assert found.fallback == by_t


def test_resamples_are_means_of_the_cases_of_patients() -> None:
    rng = np.random.default_rng(1)
    numbers, values = np.sort(np.append(np.arange(12), rng.integers(0, 12, 18))), rng.random(30)
    strata = np.arange(12) % 2
    found = case_mean_estimate(values, numbers, strata, resamples=60, seed=4)
    drawn = PatientDraws(strata, 60, 4).indices(0, 60)
    means = [np.concatenate([values[numbers == patient] for patient in row]).mean() for row in drawn]
    ends = np.quantile(means, [0.025, 0.975])
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(ends))


def test_with_one_case_a_patient_it_is_the_mean_over_patients() -> None:
    values = np.random.default_rng(2).random(25)
    found, expected = case_mean_estimate(values, np.arange(25), seed=3), mean_estimate(values, seed=3)
    assert found.value == pytest.approx(expected.value)
    for ours, theirs in zip(found.intervals, expected.intervals, strict=True):
        assert (ours.low, ours.high, ours.how) == (*map(pytest.approx, (theirs.low, theirs.high)), theirs.how)


def test_no_case_has_no_mean() -> None:
    assert str(case_mean_estimate(np.empty(0), np.empty(0, np.int64))) == "undefined"


def test_coverage_with_unequal_numbers_of_cases() -> None:
    """Sixty patients with one to five cases that are right together or not: 95 % of 400 samples."""
    rng, covered = np.random.default_rng(3), np.zeros(3)
    for sample in range(400):
        numbers = np.repeat(np.arange(60), rng.integers(1, 6, 60))
        right = rng.random(len(numbers)) < rng.choice([0.45, 0.95], 60)[numbers]
        found = case_mean_estimate(right.astype(float), numbers, resamples=300, seed=sample)
        covered += [interval.low <= 0.7 <= interval.high for interval in found.intervals]
    assert (covered / 400 >= 0.905).all()
    assert (covered / 400 <= 0.98).all()
