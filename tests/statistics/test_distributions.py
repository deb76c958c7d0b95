"""Against scipy."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from cmrbias.statistics.distributions import (
    beta_quantile,
    incomplete_beta,
    normal_quantile,
    t_quantile,
    two_sided_p,
    two_sided_z,
)

parameters = st.floats(0.5, 5000)


@given(st.floats(0, 1), parameters, parameters)
def test_incomplete_beta(x, a, b) -> None:
    assert incomplete_beta(x, a, b) == pytest.approx(special.betainc(a, b, x), rel=1e-9, abs=1e-14)


@given(st.floats(0.001, 0.999), parameters, parameters)
def test_beta_quantile(p, a, b) -> None:
    assert beta_quantile(p, a, b) == pytest.approx(stats.beta.ppf(p, a, b), rel=1e-9)


@pytest.mark.parametrize("freedom", [1, 2, 3, 9, 30, 1000, 10_000])
@pytest.mark.parametrize("p", [0.001, 0.025, 0.4, 0.5, 0.9, 0.975, 0.9995])
def test_t_quantile(p, freedom) -> None:
    assert t_quantile(p, freedom) == pytest.approx(stats.t.ppf(p, freedom), rel=1e-9, abs=1e-12)


def test_normal() -> None:
    assert two_sided_z(0.95) == pytest.approx(1.959963984540054, rel=1e-14)
    assert normal_quantile(0.0) == -math.inf
    assert normal_quantile(1.0) == math.inf
    assert two_sided_p(1.959963984540054) == pytest.approx(0.05, rel=1e-12)
    assert two_sided_p(-30.0) == pytest.approx(2 * stats.norm.sf(30.0), rel=1e-9)
    assert math.isnan(two_sided_p(math.nan))
