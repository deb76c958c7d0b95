"""Hanley and McNeil's standard error; the published example is in test_delong.py."""

from __future__ import annotations

import numpy as np
import pytest

from cmrbias.statistics import hanley_mcneil_interval, hanley_mcneil_se, macro_hanley_mcneil, one_vs_rest_aucs


def test_by_hand() -> None:
    """A = 1/2, Q1 = Q2 = 1/3: variance (1/4 + 3/12 + 1/12) / 8 for 4 and 2."""
    assert hanley_mcneil_se(0.5, 4, 2) == pytest.approx(np.sqrt((1 / 4 + 3 / 12 + 1 / 12) / 8))
    assert hanley_mcneil_se(1.0, 4, 2) == 0.0
    assert hanley_mcneil_se(0.0, 4, 2) == 0.0


def test_ends_are_cut_off_and_averaged() -> None:
    """Half-widths of the classes average; a class near 1 contributes what is left below 1."""
    assert hanley_mcneil_interval(0.98, 5, 15).high == 1.0
    rng = np.random.default_rng(9)
    labels, scores = np.repeat([0, 1, 2], 10), rng.random((30, 3))
    scores[:10, 0] += 0.9
    aucs = one_vs_rest_aucs(scores, labels).per_class
    ends = [hanley_mcneil_interval(auc, 10, 20) for auc in aucs]
    found = macro_hanley_mcneil(scores, labels)
    assert found.low == pytest.approx(np.mean([end.low for end in ends]))
    assert found.high == pytest.approx(np.mean([end.high for end in ends]))
    assert found.low < aucs.mean() < found.high
