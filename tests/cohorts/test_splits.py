"""Splits are by patient, stratified, and the same for the same seed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmrbias.cohorts.splits import assign_splits, draw_split, parse_ratio, patients_in_two_splits
from cmrbias.errors import CmrbiasError

TARGETS = {"death": {"kind": "binary"}, "label": {"kind": "class"}}


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("AB")), min_size=1), st.floats(0.1, 0.9))
def test_a_patient_is_in_one_split_and_shares_are_right(cases, train) -> None:
    patients = [f"p{number}" for number, _ in cases]
    split = draw_split(patients, [label for _, label in cases], train, seed=3)
    assert patients_in_two_splits(patients, split) == {}
    of = dict(zip(patients, split, strict=True))
    training = sum(name == "train" for name in of.values())
    assert abs(training - train * len(of)) <= 0.5 + 1e-6


def test_stratified() -> None:
    labels = ["A"] * 100 + ["B"] * 50 + ["C"] * 10
    split = draw_split([f"p{i}" for i in range(160)], labels, 0.7, seed=0)
    counts = Counter(zip(labels, split, strict=True))
    assert [counts[label, "train"] for label in "ABC"] == [70, 35, 7]


def test_largest_remainders_fill_the_whole() -> None:
    """Four strata of 8 at 70 %: 5.6 each, 22.4 in all, so two of them give 6."""
    labels = list("AAAAAAAABBBBBBBBCCCCCCCCDDDDDDDD")
    split = draw_split([f"p{i}" for i in range(32)], labels, 0.7, seed=0)
    counts = Counter(zip(labels, split, strict=True))
    assert sorted(counts[label, "train"] for label in "ABCD") == [5, 5, 6, 6]


def test_the_draw_depends_on_the_seed_alone() -> None:
    patients, labels = [f"p{i}" for i in range(40)], ["AB"[i % 2] for i in range(40)]
    first = draw_split(patients, labels, 0.5, seed=1)
    assert first == draw_split(patients, labels, 0.5, seed=1)
    assert first != draw_split(patients, labels, 0.5, seed=2)
    order = np.random.default_rng(0).permutation(40)
    moved = draw_split([patients[i] for i in order], [labels[i] for i in order], 0.5, seed=1)
    assert moved == [first[i] for i in order]


def rows_of(*splits: str) -> list[dict[str, str]]:
    return [{"patient": f"p{i // 2}", "split": s, "label": "AB"[i % 2]} for i, s in enumerate(splits)]


def test_given_splits_are_kept() -> None:
    rows = rows_of("test", "test", "train", "train")
    assert assign_splits(rows, TARGETS, None, 0) == {"from": "source"}
    assert [row["split"] for row in rows] == ["test", "test", "train", "train"]


def test_given_splits_are_drawn_anew_when_asked() -> None:
    rows = rows_of(*["test"] * 20)
    record = assign_splits(rows, TARGETS, 0.8, 7)
    assert record == {"from": "drawn by patient", "train": 0.8, "stratified by": "label", "seed": 7}
    assert Counter(row["split"] for row in rows) == {"train": 16, "test": 4}


def test_without_splits_70_30_is_drawn() -> None:
    rows = rows_of(*[""] * 20)
    assert assign_splits(rows, {}, None, 0)["train"] == 0.7
    assert Counter(row["split"] for row in rows) == {"train": 14, "test": 6}


def test_a_patient_in_two_splits_is_refused() -> None:
    with pytest.raises(CmrbiasError, match=r"1 patient.*\n  patient 'p0' is in test and train"):
        assign_splits(rows_of("test", "train", "train", "train"), TARGETS, None, 0)


def test_a_split_for_some_is_refused() -> None:
    with pytest.raises(CmrbiasError, match="a split for 3 of 4 cases"):
        assign_splits(rows_of("test", "test", "train", ""), TARGETS, None, 0)


def test_ratios() -> None:
    assert parse_ratio("70/30") == 0.7
    assert parse_ratio("12.5/87.5") == 0.125
    for wrong in ("70", "70/20", "100/0", "a/b", "-10/110", "nan/nan", ""):
        with pytest.raises(CmrbiasError, match="expected TRAIN/TEST in percent"):
            parse_ratio(wrong)
