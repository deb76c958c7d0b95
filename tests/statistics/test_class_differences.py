"""Differences between classes against refitting by least squares, scipy's t, and a hand-computed case."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from cmrbias.errors import CmrbiasError
from cmrbias.resampling import PatientDraws
from cmrbias.statistics import class_differences, holm

NAMES = ("A", "B", "C")
PAIRS = ((0, 1), (0, 2), (1, 2))


@pytest.fixture
def patients():
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1, 2], [14, 11, 12])
    area = rng.normal([[0.03], [0.05], [0.06]], 0.01, (3, 14))[labels, rng.permutation(37) % 14]
    values = 2 * area + np.array([0.0, 0.1, 0.0])[labels] + rng.normal(0, 0.02 * (1 + labels))
    return values, labels, area


def fit(values, labels, area, rows=slice(None)):
    """Coefficients of class indicators and area, by numpy's least squares."""
    design = np.column_stack([labels[rows, None] == np.arange(3), area[rows]]).astype(float)
    return np.linalg.lstsq(design, values[rows], rcond=None)[0]


def test_plain_differences_are_those_of_the_means(patients):
    values, labels, _ = patients
    found = class_differences(values, labels, NAMES, resamples=50)
    means = [values[labels == k].mean() for k in range(3)]
    assert [(f.first, f.second) for f in found] == [("A", "B"), ("A", "C"), ("B", "C")]
    for each, (i, j) in zip(found, PAIRS, strict=True):
        assert each.estimate.value == pytest.approx(means[i] - means[j])
        assert each.estimate.n == 37


def test_hc3_by_hand(patients):
    """Two means: each squared residual over (1 - 1/n)^2 n^2."""
    values, labels, _ = patients
    two = labels < 2
    found = class_differences(values[two], labels[two], NAMES, resamples=50)[0]
    variance = 0.0
    for k in (0, 1):
        mine = values[labels == k]
        n = len(mine)
        variance += ((mine - mine.mean()) ** 2).sum() / (1 - 1 / n) ** 2 / n**2
    t = found.estimate.value / math.sqrt(variance)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(t), two.sum() - 2))
    half = stats.t.ppf(0.975, two.sum() - 2) * math.sqrt(variance)
    assert found.estimate.intervals[2].width == pytest.approx(2 * half)
    assert found.holm == found.p


def test_adjusted_differences_and_their_errors_are_those_of_refitting(patients):
    """HC3 is the sum of squares of what each patient's absence changes."""
    values, labels, area = patients
    found = class_differences(values, labels, NAMES, area, resamples=50)
    whole = fit(values, labels, area)
    without = [fit(values, labels, area, np.arange(37) != i) for i in range(37)]
    for each, (i, j) in zip(found, PAIRS, strict=True):
        difference = whole[i] - whole[j]
        error = math.sqrt(sum((difference - (w[i] - w[j])) ** 2 for w in without))
        assert each.estimate.value == pytest.approx(difference)
        assert each.p == pytest.approx(2 * stats.t.sf(abs(difference) / error, 37 - 4))
    expected = holm(np.array([each.p for each in found]))
    np.testing.assert_allclose([each.holm for each in found], expected)


def test_the_interval_is_that_of_refitting_each_resample(patients):
    values, labels, area = patients
    found = class_differences(values, labels, NAMES, area, resamples=60, seed=5)
    drawn = [fit(values, labels, area, rows) for rows in PatientDraws(labels, 60, 5).indices(0, 60)]
    for each, (i, j) in zip(found, PAIRS, strict=True):
        ends = np.quantile([d[i] - d[j] for d in drawn], [0.025, 0.975])
        assert (each.estimate.interval.low, each.estimate.interval.high) == pytest.approx(tuple(ends))


def test_a_difference_that_is_all_area_vanishes_when_adjusted():
    rng = np.random.default_rng(8)
    labels = np.repeat([0, 1], 60)
    area = rng.normal(0.05 + 0.02 * labels, 0.01)
    values = 3 * area + rng.normal(0, 0.005, 120)
    plain = class_differences(values, labels, NAMES, resamples=300)[0]
    adjusted = class_differences(values, labels, NAMES, area, resamples=300)[0]
    assert plain.estimate.interval.high < 0
    assert plain.p < 1e-6
    assert adjusted.estimate.interval.low < 0 < adjusted.estimate.interval.high


def test_undefined_patients_and_absent_classes_take_no_part(patients):
    values, labels, area = patients
    values = np.where(labels == 1, np.nan, values)
    values[0] = np.nan
    (only,) = class_differences(values, labels, NAMES, area, resamples=50)
    assert (only.first, only.second, only.estimate.n) == ("A", "C", 25)
    kept = ~np.isnan(values)
    (same,) = class_differences(values[kept], labels[kept], NAMES, area[kept], resamples=50)
    assert same == only
    assert class_differences(values[labels == 2], labels[labels == 2], NAMES) == []


def test_what_cannot_be_known_is_undefined_and_never_a_number():
    labels = np.array([0, 0, 0, 1, 1, 2])
    values = np.array([0.1, 0.3, 0.2, 0.5, 0.4, 0.9])
    found = class_differences(values, labels, NAMES, resamples=50)
    assert [math.isnan(each.p) for each in found] == [False, True, True]  # C has one patient
    assert all(each.estimate.unreliable for each in found)
    constant = class_differences(values, labels, NAMES, np.full(6, 0.04), resamples=50)
    assert repr(constant) == repr(found)
    by_class = class_differences(values, labels, NAMES, labels * 1.0, resamples=50)  # area says the class
    assert all(math.isnan(each.estimate.value) for each in by_class)


@pytest.mark.parametrize("missing", [np.nan, np.inf])
def test_a_missing_covariate_is_refused_where_there_is_a_value(patients, missing):
    """The plain difference must not pass for the adjusted one."""
    values, labels, area = patients
    area[4] = missing
    with pytest.raises(CmrbiasError, match=rf"finite covariate .*, found {missing} in row 4: leave such"):
        class_differences(values, labels, NAMES, area, resamples=50)
    values[4] = np.nan  # takes no part
    found = class_differences(values, labels, NAMES, area, resamples=50)
    kept = np.arange(37) != 4
    assert found == class_differences(values[kept], labels[kept], NAMES, area[kept], resamples=50)
