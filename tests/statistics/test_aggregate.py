"""Overlap scores averaged over frames, cases and patients, in this order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cmrbias.errors import CmrbiasError
from cmrbias.statistics import aggregate, mean_estimate, patient_means, t_interval

NAN = np.nan
# ED and ES of two cases of patient 7, one of patient 5 and one of patient 9
VALUES = np.array([0.2, NAN, 0.4, 0.8, NAN, NAN, 0.1, 0.3])
CASES = np.array([1, 1, 2, 2, 3, 3, 4, 4])
PATIENTS = np.array([7, 7, 7, 7, 5, 5, 9, 9])
FRAMES = np.array([0, 1] * 4)


def test_by_hand() -> None:
    assert patient_means(VALUES, CASES, PATIENTS) == pytest.approx([NAN, (0.2 + 0.6) / 2, 0.2], nan_ok=True)
    found = aggregate(VALUES, CASES, PATIENTS, FRAMES, ["ED", "ES"])
    assert found.mean.value == pytest.approx(0.3)
    assert found.mean_with_zeros.value == pytest.approx((0 + (0.1 + 0.6) / 2 + 0.2) / 3)
    assert found.sd == pytest.approx(np.std([0.4, 0.2], ddof=1))
    assert (found.n, found.n_undefined, found.mean.n, found.mean_with_zeros.n) == (2, 1, 2, 3)
    assert found.maps == {"ED": 4, "ES": 4}
    assert found.undefined == {"ED": 1, "ES": 2}


def test_one_frame_apart() -> None:
    ed = FRAMES == 0
    found = aggregate(VALUES[ed], CASES[ed], PATIENTS[ed], FRAMES[ed], ["ED", "ES"])
    assert found.mean.value == pytest.approx((0.3 + 0.1) / 2)
    assert found.maps == {"ED": 4, "ES": 0}


def test_nothing_defined_and_nothing_at_all() -> None:
    found = aggregate(np.full(8, NAN), CASES, PATIENTS, FRAMES, ["ED", "ES"], labels=np.zeros(8, int))
    assert str(found.mean) == "undefined"
    assert (found.n, found.n_undefined) == (0, 3)
    assert found.mean_with_zeros.value == 0
    none = np.empty(0, np.int64)
    found = aggregate(np.empty(0), none, none, none, ["ED"], labels=none)
    assert (str(found.mean), found.n, found.n_undefined, found.maps) == ("undefined", 0, 0, {"ED": 0})


def test_a_case_of_two_patients_is_refused() -> None:
    with pytest.raises(CmrbiasError, match="found case 1 with patient"):
        patient_means(VALUES, np.ones(8, int), PATIENTS)


@given(st.integers(0, 1000))
def test_properties(seed) -> None:
    """Order of rows and codes do not matter; without gaps, means of means in any way agree."""
    rng = np.random.default_rng(seed)
    values = np.where(rng.random(24) < 0.3, NAN, rng.random(24))
    cases, frames = np.repeat(np.arange(12), 2), np.tile([0, 1], 12)
    patients = rng.integers(0, 5, 12)[cases]
    expected = patient_means(values, cases, patients)
    order = rng.permutation(24)
    found = patient_means(values[order], 3 * cases[order], patients[order] + 100)
    assert found == pytest.approx(expected, nan_ok=True)
    undefined = aggregate(values, cases, patients, frames, ["ED", "ES"], resamples=20)
    assert undefined.n + undefined.n_undefined == np.unique(patients).size
    assert sum(undefined.undefined.values()) == np.isnan(values).sum()
    if undefined.n_undefined == 0 and undefined.n > 1:
        assert undefined.mean_with_zeros.value <= undefined.mean.value + 1e-15


def test_t_interval_against_scipy() -> None:
    values = np.random.default_rng(0).normal(size=9)
    theirs = stats.t.interval(0.95, 8, values.mean(), stats.sem(values))
    found = t_interval(values)
    assert (found.low, found.high) == pytest.approx(theirs)
    assert np.isnan(t_interval(values[:1]).width)


def test_few_patients_fall_back_on_t() -> None:
    values = np.random.default_rng(1).normal(size=30)
    assert not mean_estimate(values).unreliable
    few = mean_estimate(values[:6])
    assert few.doubts == ("6 patients, under 10",)
    assert few.fallback == t_interval(values[:6])
    assert "by t" in str(few)


def test_equal_values_never_print_a_bare_zero_width() -> None:
    assert str(mean_estimate(np.full(20, 0.25))) == "0.250 (zero width, unreliable)"


def test_undefined_patients_are_resampled_and_do_not_count() -> None:
    """Paired differences: a patient undefined in one model counts in neither."""
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(2, 40))
    first[:5] = NAN
    found = mean_estimate(first - second)
    assert found.n == 35
    assert found.value == pytest.approx((first - second)[5:].mean())
    assert found.interval.low < found.value < found.interval.high


def test_coverage_of_the_mean() -> None:
    """Skewed scores of 40 patients: percentile and t cover about 95 % of 500 samples."""
    rng, covered = np.random.default_rng(3), np.zeros(3)
    for sample in range(500):
        found = mean_estimate(rng.gamma(2.0, 0.05, 40), resamples=400, seed=sample)
        covered += [interval.low <= 0.1 <= interval.high for interval in found.intervals]
    assert (covered / 500 >= 0.905).all()
    assert (covered / 500 <= 0.98).all()
