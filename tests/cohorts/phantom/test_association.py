"""The cue's association with the diagnosis, against scipy and scikit-learn."""

import numpy as np
import pytest
from scipy.stats.contingency import association
from sklearn.metrics import roc_auc_score

from cmrbias.cohorts.phantom.association import (
    bayes_auc,
    corrected_cramers_v,
    count_table,
    cramers_v,
    draw_levels,
    expected_table,
    left_out_auc,
    other_levels,
    permuted_within,
    reversed_map,
)

SHARES = np.array([412, 799, 227, 304]) / 1742
CLASSES = np.random.default_rng(0).choice(4, 20_000, p=SHARES)
STRENGTHS = (0.0, 0.3, 0.6, 0.9, 1.0)


def levels_at(strength, condition="as-trained", seed=1):
    return draw_levels(CLASSES, SHARES, strength, condition, np.random.default_rng(seed))


def contingency(levels):
    return count_table(CLASSES, levels, 4)


def test_the_table_counts():
    table = count_table(np.array([0, 1, 1, 2]), np.array([2, 0, 0, -1]), 3)
    assert table.tolist() == [[0, 0, 1], [2, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("strength", STRENGTHS)
def test_cramers_v_is_scipys(strength):
    table = contingency(levels_at(strength))
    assert cramers_v(table) == pytest.approx(association(table.astype(int), "cramer"), abs=1e-12)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_bayes_auc_is_scikit_learns(strength):
    levels = levels_at(strength)
    table = contingency(levels)
    posterior = (table / table.sum(0))[:, levels].T
    expected = roc_auc_score(CLASSES, posterior, multi_class="ovr", average="macro")
    assert bayes_auc(table) == pytest.approx(expected, abs=1e-12)


def test_corrected_cramers_v_by_hand():
    """chi2 of [[3, 1], [1, 3]] is 2, phi2 1/4; less 1/7 that is 3/28, and r and c are 2 - 1/7."""
    assert corrected_cramers_v(np.array([[3, 1], [1, 3]])) == pytest.approx(np.sqrt((3 / 28) / (6 / 7)))
    assert corrected_cramers_v(np.array([[2, 2], [2, 2]])) == 0
    assert corrected_cramers_v(2 * np.eye(3)) == pytest.approx(1)
    assert corrected_cramers_v(np.eye(3)) == 0  # one case a class: nothing to tell chance by


def test_the_auc_of_left_out_pairs_by_hand():
    """Class 0 of [[2, 1], [1, 2]]: its cases' shares are 1/2, 1/2 and 0, those of the others 1 and 1/2, 1/2.

    Pairs of different levels: 2 x 2 ties of 1/2 with 1/2, 1 x 1 of 0 below 1; of the same level 2 + 2 ties.
    """
    assert left_out_auc(np.array([[2, 1], [1, 2]])) == pytest.approx(8 * 0.5 / 9)
    assert left_out_auc(2 * np.eye(3)) == 1
    assert left_out_auc(np.array([[3, 0], [4, 0]])) == 0.5


@pytest.mark.parametrize(("strength", "correct"), [(0.0, 0.5), (0.6, None)])
def test_chance_in_few_cases_is_corrected_for(strength, correct):
    """Means of 400 phantoms of 40 cases; without correction V would be 0.3 and the AUC 0.65 at strength 0."""
    shares, rng = np.full(4, 0.25), np.random.default_rng(5)
    classes = np.arange(40) % 4
    drawn = [draw_levels(classes, shares, strength, "as-trained", rng) for _ in range(400)]
    tables = [count_table(classes, levels, 4) for levels in drawn]
    expected = expected_table(shares, strength, "as-trained")
    auc = np.mean([left_out_auc(table) for table in tables])
    assert auc == pytest.approx(bayes_auc(expected) if correct is None else correct, abs=0.03)
    assert np.mean([bayes_auc(table) for table in tables]) > auc + 0.02
    corrected = np.mean([corrected_cramers_v(table) for table in tables])
    plain = np.mean([cramers_v(table) for table in tables])
    assert abs(corrected - strength) < abs(plain - strength)
    assert corrected == pytest.approx(strength, abs=0.09)  # it is cut off at 0


@pytest.mark.parametrize("strength", STRENGTHS)
def test_many_cases_need_no_correction(strength):
    table = contingency(levels_at(strength))
    assert corrected_cramers_v(table) == pytest.approx(cramers_v(table), abs=0.02)
    assert left_out_auc(table) == pytest.approx(bayes_auc(table), abs=0.02)


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("condition", ["as-trained", "independent", "reversed"])
def test_expected_tables_are_what_many_cases_show(strength, condition):
    expected = expected_table(SHARES, strength, condition)
    assert expected.sum() == pytest.approx(1)
    shown = contingency(levels_at(strength, condition)) / len(CLASSES)
    assert shown == pytest.approx(expected, abs=0.015)
    assert bayes_auc(shown) == pytest.approx(bayes_auc(expected), abs=0.02)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_expected_cramers_v_is_the_strength(strength):
    """chi2 / N of s * diagonal + (1 - s) * product is s^2 (K - 1), whatever the shares."""
    assert cramers_v(expected_table(SHARES, strength, "as-trained")) == pytest.approx(strength)


def test_the_marginal_is_the_same_at_every_strength_and_condition():
    drawn = [levels_at(s) for s in STRENGTHS] + [levels_at(0.9, "independent")]
    for levels in drawn:
        shares = np.bincount(levels, minlength=4) / len(levels)
        assert shares == pytest.approx(SHARES, abs=4 * np.sqrt(0.25 / len(levels)))


def test_a_stronger_cue_only_adds_cases_that_follow_it():
    weak, strong = levels_at(0.4), levels_at(0.8)
    moved = weak != strong
    assert (strong[moved] == CLASSES[moved]).all()


def test_conditions():
    assert (levels_at(1.0) == CLASSES).all()
    assert (levels_at(1.0, "absent") == -1).all()
    assert (levels_at(1.0, "reversed") == reversed_map(4)[CLASSES]).all()
    assert cramers_v(contingency(levels_at(1.0, "independent"))) < 0.03


@pytest.mark.parametrize("count", [4, 5])
def test_reversed_keeps_no_class_at_its_level(count):
    moved = reversed_map(count)
    assert sorted(moved) == list(range(count))
    assert (moved != np.arange(count)).all()


def test_other_levels_are_other_and_evenly_spread():
    levels = np.arange(20_000) % 5
    others = other_levels(levels, 5, np.random.default_rng(0))
    assert (others != levels).all()
    steps = np.bincount((others - levels) % 5, minlength=5) / len(levels)
    assert steps == pytest.approx([0, 0.25, 0.25, 0.25, 0.25], abs=0.02)


def test_permuting_keeps_each_groups_levels_and_breaks_the_association():
    levels, groups = levels_at(1.0), np.arange(len(CLASSES)) % 3
    permuted = permuted_within(levels, groups, np.random.default_rng(0))
    for group in range(3):
        counts = [np.bincount(each[groups == group]) for each in (levels, permuted)]
        assert counts[0].tolist() == counts[1].tolist()
    assert cramers_v(contingency(levels)) == pytest.approx(1)
    assert cramers_v(contingency(permuted)) < 0.03


def test_other_levels_of_cases_without_a_cue_are_levels():
    others = other_levels(np.full(1000, -1), 4, np.random.default_rng(0))
    assert set(others) <= {0, 1, 2, 3}


def test_a_constant_or_absent_cue_tells_nothing():
    for table in (contingency(np.zeros(len(CLASSES), int)), expected_table(SHARES, 0.9, "absent")):
        assert cramers_v(table) == 0
        assert bayes_auc(table) == pytest.approx(0.5)
