"""Holm's adjustment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmrbias.statistics import holm

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=8).map(np.array)


def test_by_hand() -> None:
    """0.01 x 3, 0.02 x 2, then no less: 0.03, 0.04, 0.04 in the order given."""
    assert holm(np.array([0.02, 0.01, 0.03])) == pytest.approx([0.04, 0.03, 0.04])


@given(p_values, st.floats(0.001, 0.5))
def test_rejects_step_by_step(values, alpha) -> None:
    """The procedure itself: the smallest p against alpha / m, the next against alpha / (m - 1), ..."""
    rejected = np.zeros(len(values), bool)
    for step, index in enumerate(np.argsort(values, kind="stable")):
        if values[index] * (len(values) - step) > alpha:
            break
        rejected[index] = True
    assert np.array_equal(holm(values) <= alpha, rejected)


@given(p_values)
def test_properties(values) -> None:
    adjusted = holm(values)
    assert (adjusted >= values).all()
    assert (adjusted <= 1).all()
    order = np.argsort(values)
    assert (np.diff(adjusted[order]) >= 0).all()


def test_an_unknown_p_value_counts_as_a_comparison() -> None:
    adjusted = holm(np.array([np.nan, 0.01]))
    assert np.isnan(adjusted[0])
    assert adjusted[1] == pytest.approx(0.02)
