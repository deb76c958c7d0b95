"""The comparison of bootstrap AUCs runs, checks that all ways agree, and says what is extrapolated."""

import subprocess
import sys

import pytest

from cmrbias.benchmarks.auc import compare, growth


def test_compare_names_every_way_and_its_ratio_to_ours():
    tables = dict(compare(cases=30, classes=3, resamples=20, looped=4, repeats=1))
    assert list(tables) == ["ways in turn", "in a loop over one way"]
    in_turn, alone = tables.values()
    assert [row.way for row in in_turn] == ["cmrbias", "numpy, vectorised", "scikit-learn, loop (from 4)"]
    assert [row.way for row in alone] == ["cmrbias", "numpy, vectorised"]
    for rows in (in_turn, alone):
        assert [row.ratio for row in rows] == [row.milliseconds / rows[0].milliseconds for row in rows]
        assert all(row.milliseconds > 0 for row in rows)
    assert compare(30, 3, 4, 4, 1)[0][1][-1].way == "scikit-learn, loop"


def test_growth_is_relative_to_the_first():
    rows = growth((20, 40), classes=2, resamples=5, repeats=1)
    assert [row.way for row in rows] == ["20 cases", "40 cases"]
    assert rows[0].ratio == 1
    assert rows[1].ratio == pytest.approx(rows[1].milliseconds / rows[0].milliseconds)


def test_without_scikit_learn_the_extra_is_named():
    code = """
import sys
sys.modules["sklearn.metrics"] = None
from cmrbias.benchmarks.auc import compare
from cmrbias.errors import MissingExtra
try:
    compare(8, 2, 2, 2, 1)
except MissingExtra as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert "'scikit-learn', which is not installed: pip install 'cmrbias[test]'" in done.stdout
