"""Spread over seeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cmrbias.statistics import average_seeds, seed_spread


def test_spread() -> None:
    aucs = np.array([0.81, 0.84, 0.79, 0.83])
    found = seed_spread(aucs)
    theirs = stats.t.interval(0.95, 3, aucs.mean(), stats.sem(aucs))
    assert (found.mean, found.sd, found.seeds) == (
        pytest.approx(aucs.mean()),
        pytest.approx(aucs.std(ddof=1)),
        4,
    )
    assert (found.interval.low, found.interval.high) == pytest.approx(theirs)
    assert np.isnan(seed_spread(aucs[:1]).sd)


def test_average_per_patient() -> None:
    scores = np.array([[0.2, np.nan, np.nan], [0.4, 0.5, np.nan]])
    assert average_seeds(scores) == pytest.approx([0.3, 0.5, np.nan], nan_ok=True)
