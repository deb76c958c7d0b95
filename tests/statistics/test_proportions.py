"""Wilson and Clopper-Pearson against scipy."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from cmrbias.statistics import clopper_pearson_interval, proportion, wilson_interval

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, st.sampled_from([0.9, 0.95, 0.99]))
def test_against_scipy(count, level) -> None:
    k, n = count
    for ours, method in ((wilson_interval, "wilson"), (clopper_pearson_interval, "exact")):
        found, theirs = ours(k, n, level), binomtest(k, n).proportion_ci(level, method)
        assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-10)


@given(counts)
def test_properties(count) -> None:
    k, n = count
    found = proportion(k, n)
    mirrored = proportion(n - k, n)
    for interval, mirror in zip(found.intervals, mirrored.intervals, strict=True):
        assert 0 <= interval.low <= k / n <= interval.high <= 1
        assert interval.width > 0
        assert (1 - mirror.high, 1 - mirror.low) == pytest.approx((interval.low, interval.high), abs=1e-12)
    assert not found.unreliable


def test_a_share_of_nothing_is_undefined() -> None:
    found = proportion(0, 0)
    assert math.isnan(found.value)
    assert str(found) == "undefined"
    assert found.sentence == "undefined (n = 0)"
