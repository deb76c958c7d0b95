"""Which frames become positive pairs."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cmrbias.api import CmrbiasError, NoOptions
from cmrbias.pairings.same_case import SameCase
from cmrbias.pairings.same_image import SameImage


class Frames:
    def __init__(self, case):
        self.case = np.asarray(case, dtype=np.int64)

    def __len__(self):
        return len(self.case)

    def codes(self, column):
        assert column == "case"
        return self.case


def fitted(case):
    pairing = SameCase(NoOptions())
    pairing.fit(Frames(case))
    return pairing


def test_same_image_is_the_image_itself():
    pairing = SameImage(NoOptions())
    pairing.fit(Frames([0, 0, 1]))
    index = torch.tensor([2, 0, 1, 1])
    assert torch.equal(pairing.partner(index, 3, 4), index)


def test_two_frames_of_a_case_are_each_others_partner():
    pairing = fitted([5, 5, 2, 2, 9, 9])
    assert pairing.partner(torch.arange(6), 0, 0).tolist() == [1, 0, 3, 2, 5, 4]
    assert pairing.paired == 6


def test_frames_of_a_case_need_not_stand_together():
    assert fitted([1, 0, 2, 0, 1, 2]).partner(torch.arange(6), 7, 1).tolist() == [4, 3, 5, 1, 0, 2]


def test_a_frame_without_another_pairs_with_itself_and_is_not_counted():
    pairing = fitted([0, 1, 1, -1, -1, 2])
    assert pairing.partner(torch.arange(6), 0, 0).tolist() == [0, 2, 1, 3, 4, 5]
    assert pairing.paired == 2


@pytest.mark.parametrize("case", [[], [0, 1, 2], [-1, -1]])
def test_a_cohort_of_single_frames_is_refused(case):
    with pytest.raises(CmrbiasError, match=r"same-case.*same-image"):
        fitted(case)


@given(st.lists(st.integers(-1, 4), min_size=1, max_size=30), st.integers(0, 9), st.integers(0, 99))
def test_partners_share_the_case_and_differ_from_the_query_where_they_can(case, epoch, seed):
    codes = np.array([0, 0, *case])
    index = torch.arange(len(codes))
    partner = fitted(codes).partner(index, epoch, seed).numpy()
    others = (codes[:, None] == codes[None]).sum(1) - 1
    alone = (others == 0) | (codes == -1)
    assert (codes[partner] == codes).all()
    assert ((partner == index.numpy()) == alone).all()


def test_a_partner_is_a_function_of_row_epoch_and_seed_alone():
    pairing = fitted(np.repeat(np.arange(50), 5))
    index = torch.arange(250)
    whole = pairing.partner(index, 2, 3)
    shuffled = torch.randperm(250, generator=torch.Generator().manual_seed(0))
    assert torch.equal(pairing.partner(shuffled, 2, 3), whole[shuffled])
    assert torch.equal(torch.cat([pairing.partner(part, 2, 3) for part in index.split(7)]), whole)
    assert not torch.equal(pairing.partner(index, 3, 3), whole)
    assert not torch.equal(pairing.partner(index, 2, 4), whole)
    assert pairing.partner(index[:0], 2, 3).shape == (0,)


def test_the_other_frames_of_a_case_are_drawn_equally_often():
    pairing = fitted([0, 0, 0, 0])
    counts = torch.zeros(4)
    for epoch in range(3000):
        counts[pairing.partner(torch.tensor([1]), epoch, 0)] += 1
    assert counts[1] == 0
    # 3000 draws from three: mean 1000, standard deviation 26
    assert (counts[[0, 2, 3]] - 1000).abs().max() < 130
