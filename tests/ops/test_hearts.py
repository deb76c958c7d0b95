"""Shifts between hearts and the residual, against fractions and against a count by hand."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cmrbias import ops
from cmrbias.errors import CmrbiasError

needs_extension = pytest.mark.skipif(ops._C is None, reason="the extension is not built")
every_align = pytest.mark.parametrize("align", ["none", "centroid"])


def hearts(seed, n, c, h, w, share):
    generator = torch.Generator().manual_seed(seed)
    masks = torch.rand(n, c, h, w, generator=generator) < share
    return masks.to(torch.uint8) * 3, torch.randint(0, n, (n,), generator=generator)


sizes = {
    "seed": st.integers(0, 1000), "n": st.integers(1, 4), "c": st.integers(1, 3), "h": st.integers(1, 40),
    "w": st.integers(1, 70), "share": st.sampled_from([0.0, 0.02, 0.3, 1.0]),
}  # fmt: skip


@given(**sizes)
def test_shifts_are_the_rounded_difference_of_the_centroids(**case):
    masks, donors = hearts(**case)
    shifts = ops.centroid_shifts(masks, donors)
    assert shifts.shape == (*masks.shape[:2], 2)
    for row, frame in np.ndindex(*masks.shape[:2]):
        own, other = (np.argwhere(masks[i, frame].numpy()) for i in (row, int(donors[row])))
        expected = [0, 0]
        if len(own) and len(other):
            apart = [Fraction(int(own[:, k].sum()), len(own)) for k in (0, 1)]
            apart = [apart[k] - Fraction(int(other[:, k].sum()), len(other)) for k in (0, 1)]
            expected = [floor(distance + Fraction(1, 2)) for distance in apart]
        assert shifts[row, frame].tolist() == expected


def test_halves_are_rounded_towards_the_end_of_the_frame():
    masks = torch.zeros(2, 1, 2, 9, dtype=torch.bool)
    masks[0, 0, 0, 2], masks[1, 0, :, 3:5] = True, True  # centroids (0, 2) and (1/2, 3 1/2)
    assert ops.centroid_shifts(masks, torch.tensor([1, 0])).tolist() == [[[0, -1]], [[1, 2]]]


def test_an_empty_heart_moves_nothing():
    masks = torch.zeros(2, 1, 5, 5, dtype=torch.bool)
    masks[0, 0, 4, 4] = True
    assert ops.centroid_shifts(masks, torch.tensor([1, 0])).tolist() == [[[0, 0]], [[0, 0]]]


def test_sums_are_exact_beyond_32_bits():
    masks = torch.zeros(2, 1, 3, 200_000, dtype=torch.bool)
    masks[0], masks[1, 0, 2, -1] = True, True  # columns sum to 3 * 200000 * 199999 / 2
    # the centroid of 0 ... 199999 is 99999.5: 99999.5 to the other, and back
    assert ops.centroid_shifts(masks, torch.tensor([1, 0])).tolist() == [[[-1, -99999]], [[1, 100000]]]


def test_residual_is_the_share_where_the_donor_heart_shows():
    masks = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    masks[0, 0, :2] = 3  # 8 pixels
    masks[1, 0, 1:4, 0] = 1  # 3 pixels, one of them in the other's heart
    residual = ops.background_residual(masks, torch.tensor([1, 0]))
    assert residual.dtype == torch.float32
    assert residual.tolist() == [[2 / 16], [7 / 16]]
    # centroids (1/2, 1 1/2) and (2, 0): moved by (-1, 2), two of 3 hidden, and by (2, -1), where 6 of the
    # 8 remain in the frame, two of them hidden
    moved = ops.background_residual(masks, torch.tensor([1, 0]), "centroid")
    assert moved.tolist() == [[1 / 16], [4 / 16]]
    assert ops.background_residual(masks, torch.tensor([0, 1])).tolist() == [[0], [0]]


@given(align=st.sampled_from(["none", "centroid"]), **sizes)
def test_residual_is_what_shows_of_hearts_when_they_are_swapped(align, **case):
    masks, donors = hearts(**case)
    heart = (masks != 0).float()
    shows = ops.background_swap(heart, masks, donors, "donor", align) * (masks == 0)
    expected = shows.double().mean((2, 3)).float()
    torch.testing.assert_close(ops.background_residual(masks, donors, align), expected, rtol=1e-6, atol=0)
    reference = ops.background_residual_reference(masks, donors, align)
    assert torch.equal(ops.background_residual(masks, donors, align), reference)


@every_align
@pytest.mark.parametrize("shape", [(0, 2, 4, 4), (2, 0, 4, 4)])
def test_empty(align, shape):
    masks, donors = torch.zeros(shape, dtype=torch.bool), torch.zeros(shape[0], dtype=torch.int64)
    assert ops.background_residual(masks, donors, align).shape == shape[:2]
    assert ops.centroid_shifts(masks, donors).shape == (*shape[:2], 2)


@needs_extension
def test_opcheck():
    masks, donors = hearts(0, 3, 2, 9, 7, 0.3)
    torch.library.opcheck(torch.ops.cmrbias.heart_sums.default, (masks,))
    strided = masks.transpose(2, 3).contiguous().transpose(2, 3) != 0
    shifts = torch.tensor([[1, -2], [0, 3], [5, 5]])[:, None].expand(3, 2, 2)
    operator = torch.ops.cmrbias.heart_residual.default
    torch.library.opcheck(operator, (strided, donors, None))
    torch.library.opcheck(operator, (strided, donors, shifts))


@needs_extension
def test_the_residual_compiles_as_one_graph():
    torch._dynamo.reset()
    masks, donors = hearts(1, 4, 2, 19, 17, 0.1)
    compiled = torch.compile(ops.background_residual, fullgraph=True, backend="aot_eager")
    expected = ops.background_residual(masks, donors, "centroid")
    assert torch.equal(compiled(masks, donors, "centroid"), expected)


@needs_extension
def test_same_sums_on_every_instruction_set():
    masks, donors = hearts(2, 4, 2, 33, 75, 0.05)
    names, results = ops._C.instruction_sets(), []
    try:
        for name in names:
            ops._C.set_instruction_set(name)
            shown = ops.background_residual(masks, donors, "centroid")
            results.append((torch.ops.cmrbias.heart_sums(masks), shown))
    finally:
        ops._C.set_instruction_set(names[-1])
    assert all(torch.equal(*pair) for pairs in results for pair in zip(pairs, results[0], strict=True))


def test_wrong_arguments_are_named():
    one = torch.zeros(2, 1, 4, 4) > 0
    with pytest.raises(CmrbiasError, match=r"masks: expected bool or uint8"):
        ops.background_residual(torch.zeros(2, 1, 4, 4), torch.tensor([0, 1]))
    with pytest.raises(CmrbiasError, match=r"donors\[1\]: expected a row of the batch, 0 to 1, got 2"):
        ops.background_residual(one, torch.tensor([0, 2]))
    with pytest.raises(CmrbiasError, match=r"unknown align 'center'"):
        ops.background_residual(one, torch.tensor([0, 1]), "center")
    with pytest.raises(CmrbiasError, match=r"masks: expected 4 dimensions"):
        ops.centroid_shifts(one[0], torch.tensor([0, 1]))
