"""Masks on a map's grid."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from cmrbias import ops
from cmrbias.errors import CmrbiasError

sizes = st.tuples(*[st.integers(1, 9)] * 2, *[st.integers(1, 60)] * 2)
whole_scales = st.tuples(*[st.integers(1, 9)] * 4).map(lambda s: (s[0], s[1], s[0] * s[2], s[1] * s[3]))


def masks_of(rows, columns, n=2, seed=0, share=0.4):
    return torch.rand(n, rows, columns, generator=torch.Generator().manual_seed(seed)) < share


@given(sizes | whole_scales, st.sampled_from([0.0, 0.02, 0.5, 1.0]))
def test_is_the_adjoint_of_interpolate(size, share):
    """sum of (U c) y = sum of c (U^T y), U^T y by torch's own backward pass."""
    h, w, rows, columns = size
    masks = masks_of(rows, columns, share=share)
    c = torch.zeros(2, 1, h, w, dtype=torch.float64, requires_grad=True)
    upsampled = F.interpolate(c, (rows, columns), mode="bilinear", align_corners=False)
    (upsampled[:, 0] * masks).sum().backward()
    projection = ops.project_masks(masks, (h, w))
    torch.testing.assert_close(projection.cells * projection.unit, c.grad[:, 0], rtol=1e-12, atol=1e-12)
    assert torch.equal(projection.areas, masks.sum((1, 2)))
    assert (projection.rows, projection.columns) == (rows, columns)


@given(whole_scales, st.integers(0, 100))
def test_at_whole_scales_everything_is_exact(size, seed):
    h, w, rows, columns = size
    masks = masks_of(rows, columns, seed=seed)
    projection = ops.project_masks(masks, (h, w))
    assert torch.equal(projection.cells, projection.cells.round())
    parts_of_one = 4 * (rows // h) * (columns // w)
    assert projection.unit == 1 / parts_of_one
    assert torch.equal(projection.cells.sum((1, 2)), (projection.areas * parts_of_one).double())
    assert torch.equal(projection.cells, ops.project_masks_reference(masks, h, w)[0])
    other = ~masks
    parts = projection.cells + ops.project_masks(other, (h, w)).cells
    assert torch.equal(parts, ops.project_masks(masks | other, (h, w)).cells)


@given(sizes, st.integers(0, 100))
def test_elsewhere_to_rounding(size, seed):
    h, w, rows, columns = size
    masks = masks_of(rows, columns, seed=seed)
    projection = ops.project_masks(masks, (h, w))
    total = (projection.cells * projection.unit).sum((1, 2))
    torch.testing.assert_close(total, projection.areas.double(), rtol=1e-12, atol=0)


def test_by_hand():
    # four pixels over two cells take 1, 3/4, 1/4, 0 from the left one
    projection = ops.project_masks(torch.tensor([[[False, True, True, False]]]), (1, 2))
    assert projection.unit == 1 / 8
    assert (projection.cells * projection.unit).tolist() == [[[1.0, 1.0]]]
    projection = ops.project_masks(torch.tensor([[[0, 3, 0, 0]]], dtype=torch.uint8), (1, 2))
    assert (projection.cells * projection.unit).tolist() == [[[0.75, 0.25]]]


def test_same_bits_for_any_number_of_threads(set_threads):
    masks = masks_of(225, 223, n=50)  # so many that threads are woken
    results = []
    for threads in (1, 2, 5):
        set_threads(threads)
        results.append(ops.project_masks(masks, (7, 7)).cells)
    assert all(torch.equal(results[0], other) for other in results)


def test_non_contiguous_and_empty():
    masks = masks_of(20, 30, n=3)
    strided = masks.transpose(1, 2).contiguous().transpose(1, 2)
    assert torch.equal(ops.project_masks(strided, (4, 5)).cells, ops.project_masks(masks, (4, 5)).cells)
    assert ops.project_masks(masks[:0], (4, 5)).cells.shape == (0, 4, 5)


@pytest.mark.skipif(ops._C is None, reason="the extension is not built")
def test_opcheck_and_compile():
    masks = masks_of(20, 30)
    torch.library.opcheck(torch.ops.cmrbias.project_masks.default, (masks, 4, 5))
    compiled = torch.compile(ops.project_masks, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(masks, (4, 5)).cells, ops.project_masks(masks, (4, 5)).cells)


@pytest.mark.parametrize(
    ("masks", "size", "message"),
    [
        (torch.ones(2, 3, 4), (1, 1), r"masks: expected bool or uint8 .*, got torch.float32"),
        (torch.ones(3, 4, dtype=torch.bool), (1, 1), r"masks: expected 3 dimensions .*, got \(3, 4\)"),
        (
            torch.ones(2, 3, 4, dtype=torch.bool),
            (0, 1),
            r"size: expected h and w of 1 .*, got \(0, 1\)",
        ),
    ],
)
def test_wrong_arguments_are_named(masks, size, message):
    with pytest.raises(CmrbiasError, match=message):
        ops.project_masks(masks, size)
