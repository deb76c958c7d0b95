"""Newcombe's method 5 against its polynomial, and its coverage in small samples."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmrbias.statistics import binary_auc, newcombe_interval

sizes = st.integers(1, 200)


@given(st.floats(0.001, 0.999), sizes, sizes)
def test_ends_are_roots_of_the_quartic(auc, m, n) -> None:
    """mn (A - auc)^2 (2 - A)(1 + A) = z^2 A (1 - A) (2 + h + (1 + 2h) A (1 - A)), h = (m + n) / 2 - 1."""
    interval = newcombe_interval(auc, m, n)
    h, a = (m + n) / 2 - 1, np.polynomial.Polynomial([0, 1])
    quartic = m * n * (a - auc) ** 2 * (2 - a) * (1 + a) - 1.959963984540054**2 * a * (1 - a) * (
        2 + h + (1 + 2 * h) * a * (1 - a)
    )
    roots = quartic.roots()
    inside = np.sort(roots[(np.abs(roots.imag) < 1e-9)].real)
    inside = inside[(inside > -1e-9) & (inside < 1 + 1e-9)]
    assert (interval.low, interval.high) == pytest.approx((inside.min(), inside.max()), abs=1e-7)


@given(st.floats(0, 1), sizes, sizes)
def test_properties(auc, m, n) -> None:
    interval = newcombe_interval(auc, m, n)
    assert 0 <= interval.low <= auc <= interval.high <= 1
    assert interval.width > 0
    mirrored = newcombe_interval(1 - auc, m, n)
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((interval.low, interval.high), abs=1e-9)
    assert newcombe_interval(auc, m, n, level=0.9).width <= interval.width
    assert newcombe_interval(auc, 4 * m, 4 * n).width < interval.width


@pytest.mark.parametrize(("m", "n"), [(2, 2), (2, 8), (5, 5), (5, 20)])
@pytest.mark.parametrize(("shift", "truth"), [(0.0, 0.5), (1.0, 0.76025), (2.5, 0.96145)])
def test_coverage(m, n, shift, truth) -> None:
    """Normal scores; at least 93 % of 2,000 samples, however small the groups."""
    rng = np.random.default_rng(8)
    outcomes = np.arange(m + n) < m
    interval = cache(lambda auc: newcombe_interval(auc, m, n))
    covered = 0
    for _ in range(2000):
        found = interval(binary_auc(rng.normal(size=m + n) + shift * outcomes, outcomes))
        covered += found.low <= truth <= found.high
    assert covered / 2000 >= 0.93
