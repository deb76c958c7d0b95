"""The area under the precision-recall curve against scikit-learn's, ties and edge cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from cmrbias.statistics import average_precision


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30))
def test_it_is_scikit_learns(cases):
    scores, outcomes = (np.array(column) for column in zip(*cases, strict=True))
    if outcomes.any():
        expected = average_precision_score(outcomes, scores)
        assert average_precision(scores.astype(float), outcomes) == pytest.approx(expected)
    else:
        assert math.isnan(average_precision(scores.astype(float), outcomes))


def test_by_hand():
    """Positives at ranks 1 and 3: (1 + 2/3) / 2; a constant score gives the prevalence."""
    outcomes = np.array([True, False, True, False])
    assert average_precision(np.array([0.9, 0.8, 0.7, 0.1]), outcomes) == pytest.approx(5 / 6)
    assert average_precision(np.zeros(4), outcomes) == 0.5
