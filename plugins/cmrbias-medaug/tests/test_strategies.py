"""Partners satisfy their strategy, are drawn uniformly, and are counted: run after installing the plugin."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cmrbias.api import CmrbiasError, Pairing
from cmrbias.options import build, options_of
from cmrbias.plugins import plugin_manager

NAMED = {  # the table of the paper: study, laterality
    "same-patient": ("any", "any"),
    "same-study": ("same", "any"),
    "distinct-study": ("different", "any"),
    "same-study-same-laterality": ("same", "same"),
    "same-study-distinct-laterality": ("same", "different"),
}
SIDES = ("frontal", "lateral", "ap")
FILTERS = st.sampled_from(["same", "different", "any"])
ROWS = st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=30)


class Images:
    """A table of images: each column codes or texts; empty texts are empty cells."""

    def __init__(self, **columns: list) -> None:
        self.columns = {name: np.asarray([str(cell) for cell in cells]) for name, cells in columns.items()}
        self.columns.setdefault("case", np.array([f"c{i}" for i in range(len(self))]))

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def values(self, column: str) -> list[str]:
        if column not in self.columns:
            raise CmrbiasError(f"cases.csv: unknown column {column!r}")
        return sorted(set(self.columns[column].tolist()) - {""})

    def codes(self, column: str) -> np.ndarray:
        book = {value: code for code, value in enumerate(self.values(column))}
        return np.array([book.get(cell, -1) for cell in self.columns[column].tolist()], dtype=np.int64)


def table(rows: list[tuple]) -> Images:
    patient, study, laterality = zip(*rows, strict=True)
    return Images(patient=patient, study=study, laterality=[SIDES[side] for side in laterality])


def pairing(name: str, **options: str) -> Pairing:
    cls = plugin_manager().registry("pairings").get(name)
    return cls(build(options_of(cls), options, name))


def candidates(rows: list[tuple], study: str, laterality: str) -> list[set[int]]:
    """Whom each row may get, by looking at every pair of rows."""

    def passes(wanted: str, a: object, b: object) -> bool:
        return wanted == "any" or (a == b) == (wanted == "same")

    return [
        {
            i
            for i, other in enumerate(rows)
            if other[0] == row[0] and passes(study, row[1], other[1]) and passes(laterality, row[2], other[2])
        }
        for row in rows
    ]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(ROWS, FILTERS, FILTERS, st.integers(0, 3), st.integers(0, 99))
def test_every_partner_passes_the_filters(rows, study, laterality, epoch, seed) -> None:
    chosen = pairing("same-patient", study=study, laterality=laterality)
    allowed = candidates(rows, study, laterality)
    partners = [len(found - {i}) for i, found in enumerate(allowed)]
    if not any(partners):
        with pytest.raises(CmrbiasError, match=f"none of the {len(rows)} training images has a partner"):
            chosen.fit(table(rows))
    else:
        chosen.fit(table(rows))
        drawn = chosen.partner(torch.arange(len(rows)), epoch, seed).tolist()
        assert all(d in (found or {i}) for i, (d, found) in enumerate(zip(drawn, allowed, strict=True)))
        assert chosen.record()["images_by_partners"] == {
            str(n): partners.count(n) for n in sorted(set(partners))
        }
        assert chosen.record()["pair_with_themselves"] == partners.count(0)


@pytest.mark.parametrize("name", NAMED)
def test_names_stand_for_the_papers_filters(name: str) -> None:
    rows = [(p, s, v) for p in range(3) for s in range(3) for v in (0, 0, 1)]
    one, other = pairing(name), pairing("same-patient", study=NAMED[name][0], laterality=NAMED[name][1])
    one.fit(table(rows))
    other.fit(table(rows))
    index = torch.arange(len(rows))
    assert torch.equal(one.partner(index, 1, 2), other.partner(index, 1, 2))
    assert one.record()["name"] == name
    assert one.record()["filters"] == other.record()["filters"]


def test_a_study_is_a_whole_identifier_within_its_patient() -> None:
    chosen = pairing("same-study")
    chosen.fit(
        Images(patient=["a", "a", "a", "b", "b"], study=["study1", "study10", "study1", "study1", "study1"])
    )
    seen = {tuple(chosen.partner(torch.arange(5), epoch, 0).tolist()) for epoch in range(40)}
    assert {drawn[1] for drawn in seen} == {1}
    assert {drawn[0] for drawn in seen} == {0, 2}
    assert {drawn[3] for drawn in seen} == {3, 4}


def test_candidates_are_drawn_equally_often() -> None:
    rows = [(0, 0, 0), (0, 1, 0), (0, 0, 0), (0, 2, 0), (0, 1, 0), (0, 3, 0), (1, 0, 0)]
    chosen = pairing("distinct-study")
    chosen.fit(table(rows))
    drawn = torch.cat([chosen.partner(torch.tensor([1]), epoch, 3) for epoch in range(4000)])
    counts = torch.bincount(drawn, minlength=7)[[0, 2, 3, 5]]
    assert counts.sum() == 4000
    # chi-square with 3 degrees of freedom: 16.27 is exceeded once in a thousand
    assert ((counts - 1000.0) ** 2 / 1000).sum() < 16.27


@pytest.mark.parametrize("seed", range(20))
def test_both_filters_may_be_different(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [tuple(int(n) for n in row) for row in rng.integers(0, (2, 4, 3), (40, 3))]
    chosen = pairing("same-patient", study="different", laterality="different")
    chosen.fit(table(rows))
    index = torch.arange(len(rows))
    drawn = torch.stack([chosen.partner(index, epoch, seed) for epoch in range(400)], 1)
    for row, allowed in enumerate(candidates(rows, "different", "different")):
        assert set(drawn[row].tolist()) == (allowed or {row})  # all of them, and no other
        expected = 400 / max(len(allowed), 1)
        counts = torch.bincount(drawn[row], minlength=len(rows))[sorted(allowed or {row})]
        assert ((counts - expected) ** 2 / expected).sum() < 60  # up to 19 degrees of freedom


def test_the_same_pairs_however_they_are_asked_for() -> None:
    rows = [(p, s, v) for p in range(20) for s in range(3) for v in (0, 1)]
    chosen = pairing("same-patient")
    chosen.fit(table(rows))
    index = torch.arange(len(rows))
    whole = chosen.partner(index, 2, 3)
    shuffled = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    assert torch.equal(chosen.partner(shuffled, 2, 3), whole[shuffled])
    assert torch.equal(torch.cat([chosen.partner(part, 2, 3) for part in index.split(7)]), whole)
    assert not torch.equal(chosen.partner(index, 3, 3), whole)
    assert not torch.equal(chosen.partner(index, 2, 4), whole)


class Drawn(Dataset):
    """What a data loader's worker is asked for: a row's partner."""

    def __init__(self, chosen: Pairing, rows: int) -> None:
        self.chosen, self.rows = chosen, rows

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: int) -> Tensor:
        return self.chosen.partner(torch.tensor([row]), 2, 3)


def test_the_same_pairs_whatever_the_number_of_workers() -> None:
    rows = [(p, s, v) for p in range(8) for s in range(3) for v in (0, 1)]
    chosen = pairing("distinct-study")
    chosen.fit(table(rows))
    alone, two = (
        torch.cat(list(DataLoader(Drawn(chosen, len(rows)), batch_size=5, num_workers=workers))).flatten()
        for workers in (0, 2)
    )
    assert torch.equal(alone, two)
    assert torch.equal(alone, chosen.partner(torch.arange(len(rows)), 2, 3))


def test_notes_count_partners_and_fallbacks() -> None:
    chosen = pairing("distinct-study")
    chosen.fit(Images(patient=list("aaab"), study=["1", "2", "2", "1"]))
    assert chosen.notes() == [
        "pairs distinct-study: partners 0 in 1, 1 in 2, 2 in 1 of 4 images; "
        "1 without a partner pair with themselves"
    ]


def test_same_label_needs_a_label_and_says_that_it_cheats() -> None:
    with pytest.raises(CmrbiasError, match="option 'label' is required"):
        pairing("same-label")
    chosen = pairing("same-label", label="icu")
    chosen.fit(Images(patient=list("aaaab"), icu=["1", "0", "1", "", "1"]))
    assert chosen.partner(torch.tensor([1, 3, 4]), 0, 0).tolist() == [1, 3, 4]
    assert {chosen.partner(torch.tensor([0]), e, 0).item() for e in range(30)} == {0, 2}
    assert "USES LABELS" in chosen.notes()[1]
    assert chosen.record()["uses_labels"]


def test_other_columns_can_be_named() -> None:
    chosen = pairing("same-study-distinct-laterality", study_column="day", laterality_column="projection")
    chosen.fit(Images(patient=["a"] * 3, day=["-2"] * 3, projection=["ap", "pa", "ap"]))
    assert chosen.partner(torch.tensor([0, 2]), 0, 0).tolist() == [1, 1]


def test_missing_columns_and_empty_cells_are_one_clear_line() -> None:
    expected = "'same-study' needs the column 'study'; name another .* study-column=NAME: .*unknown column"
    with pytest.raises(CmrbiasError, match=expected):
        pairing("same-study").fit(Images(patient=["a", "a"]))
    rows = Images(patient=["a"] * 6, study=["1", "", "", "", "", "1"])
    expected = r"'same-study': column 'study' is empty in 4 of 6 training images \(case c1, c2, c3, \.\.\.\)"
    with pytest.raises(CmrbiasError, match=expected):
        pairing("same-study").fit(rows)
    pairing("same-patient").fit(rows)  # does not look at studies


def test_lateralities_must_be_known_and_spelled_in_one_way() -> None:
    rows = Images(patient=["a"] * 5, study=["1"] * 5, laterality=["frontal", "?", "lateral", "LL", "LL"])
    expected = (
        r"column 'laterality': expected frontal, lateral, ap, pa, found others in 3 of 5 training images "
        r"\('\?', 'LL'; case c1, c3, c4\): put them right, or name all by --pair-option lateralities=A,B"
    )
    with pytest.raises(CmrbiasError, match=expected):
        pairing("same-study-same-laterality").fit(rows)
    pairing("same-study-same-laterality", lateralities="frontal,lateral,LL,?").fit(rows)
    pairing("same-study").fit(rows)  # does not look at lateralities
    twice = Images(patient=["a"] * 4, study=["1"] * 4, laterality=["AP", "ap", "pa", "ap"])
    with pytest.raises(CmrbiasError, match=r"several ways \('AP' in 1, 'ap' in 2 of 4 training images\)"):
        pairing("same-study-same-laterality").fit(twice)
