"""The kernels, through their one door, against the plain torch reference and against hand-made values."""

import subprocess
import sys
from fractions import Fraction
from math import floor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cmrbias import ops
from cmrbias.errors import CmrbiasError
from cmrbias.ops.swap import grouped_by_donor, grouped_by_donor_reference

FILLS = ("donor", "mean", "inpaint")
ALIGNS = ("none", "centroid")
DTYPES = (torch.float32, torch.float64, torch.bfloat16)

_C = ops._C
needs_extension = pytest.mark.skipif(_C is None, reason="the extension is not built")
every_fill = pytest.mark.parametrize("fill", FILLS)
every_align = pytest.mark.parametrize("align", ALIGNS)


def batch(seed=0, n=5, c=2, h=9, w=7, dtype=torch.float64, mask_frames=None, share=0.4):
    """Returns random images, masks (the first case all heart, the second without one) and donors."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(n, c, h, w, generator=generator, dtype=torch.float64).to(dtype)
    masks = torch.rand(n, mask_frames or c, h, w, generator=generator) < share
    masks[:1], masks[1:2] = True, False
    donors = torch.randint(0, max(n, 1), (n,), generator=generator)
    return images, masks, donors


def gradient(function, images, *others):
    images = images.detach().requires_grad_()
    result = function(images, *others)
    weights = torch.rand(result.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return torch.autograd.grad(result, images, weights.to(images.dtype))[0]


def centroid(heart):
    """Returns the mean row and column of a heart (H, W), exactly; None if it is empty."""
    places = np.argwhere(heart)
    return [Fraction(int(total), len(places)) for total in places.sum(0)] if len(places) else None


def by_hand(images, masks, donors, fill, align="none"):
    """Returns ``donor`` and ``mean`` pixel by pixel, in numpy and fractions."""
    images, heart = images.double().numpy(), (masks != 0).expand_as(images).numpy()
    result = np.zeros_like(images)
    for n, c in np.ndindex(images.shape[:2]):
        d, shift = int(donors[n]), [0, 0]
        own, other = centroid(heart[n, c]), centroid(heart[d, c])
        if align == "centroid" and own and other:
            shift = [floor(r - g + Fraction(1, 2)) for r, g in zip(own, other, strict=True)]
        known = images[d, c][~heart[d, c]]
        for y, x in np.ndindex(images.shape[2:]):
            if heart[n, c, y, x]:
                result[n, c, y, x] = images[n, c, y, x]
                continue
            down, across = y - shift[0], x - shift[1]
            if not (0 <= down < images.shape[2] and 0 <= across < images.shape[3]):
                continue  # 0: outside the donor's image
            if fill == "donor" or not heart[d, c, down, across]:
                result[n, c, y, x] = images[d, c, down, across]
            else:
                result[n, c, y, x] = known.mean() if known.size else 0
    return torch.from_numpy(result)


def apart(n=4, c=2, h=12, w=11, dtype=torch.float64):
    """Returns images with rectangular hearts of several sizes all over the frame, and a ring of donors."""
    images = torch.rand(n, c, h, w, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    masks = torch.zeros(n, c, h, w, dtype=torch.bool)
    for row, frame in np.ndindex(n, c):
        top, left = 5 * row % (h - 4), (3 * row + 4 * frame) % (w - 4)
        masks[row, frame, top : top + 2 + frame, left : left + 2 + row % 3] = True
    return images.to(dtype), masks, (torch.arange(n) + 1) % n


# --- values ---------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 5),
    c=st.integers(1, 3),
    h=st.integers(1, 40),
    w=st.integers(1, 40),
    shared_mask=st.booleans(),
    share=st.sampled_from([0.0, 0.1, 0.6, 0.99]),
    dtype=st.sampled_from(DTYPES),
    fill=st.sampled_from(FILLS),
    align=st.sampled_from(ALIGNS),
    seed=st.integers(0, 1000),
)
def test_equals_the_reference(n, c, h, w, shared_mask, share, dtype, fill, align, seed):
    images, masks, donors = batch(seed, n, c, h, w, dtype, 1 if shared_mask else c, share)
    result = ops.background_swap(images, masks, donors, fill, align)
    expected = ops.background_swap_reference(images, masks, donors, fill, align)
    assert (result.dtype, result.shape) == (dtype, images.shape)
    if fill == "mean":  # summed in another order, in float64
        rounding = {torch.float64: 1e-14, torch.float32: 1.2e-7, torch.bfloat16: 8e-3}[dtype]
        torch.testing.assert_close(result, expected, rtol=rounding, atol=0)
    else:
        assert torch.equal(result, expected)


@settings(max_examples=30, deadline=None)
@given(
    h=st.integers(1, 33), w=st.integers(1, 33), dtype=st.sampled_from(DTYPES), fill=st.sampled_from(FILLS),
    align=st.sampled_from(ALIGNS), seed=st.integers(0, 1000),
)  # fmt: skip
def test_gradient_equals_that_of_the_reference_in_float64(h, w, dtype, fill, align, seed):
    images, masks, donors = batch(seed, h=h, w=w, dtype=dtype, share=0.1)
    result = gradient(ops.background_swap, images, masks, donors, fill, align)
    expected = gradient(ops.background_swap_reference, images.double(), masks, donors, fill, align)
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2}[dtype]
    torch.testing.assert_close(result.double(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("swap", [ops.background_swap, ops.background_swap_reference])
@pytest.mark.parametrize("fill", ["donor", "mean"])
@pytest.mark.parametrize("make", [batch, apart])
@every_align
def test_selects_as_written_out_pixel_by_pixel(swap, fill, make, align):
    case = make()
    torch.testing.assert_close(swap(*case, fill, align), by_hand(*case, fill, align), rtol=1e-14, atol=0)


@pytest.mark.parametrize("swap", [ops.background_swap, ops.background_swap_reference])
def test_inpaint_by_hand(swap):
    # One row of eight, known at both ends. Level 1: a ? ? b, level 2: a b. Up: level 1 is
    # a, 3/4 a + 1/4 b, 1/4 a + 3/4 b, b, and between its cells lie the sixteenths below.
    a, b = 1.0, 17.0
    row = torch.tensor([a, 0, 0, 0, 0, 0, 0, b], dtype=torch.float64).view(1, 1, 1, 8)
    donor_heart = torch.tensor([0, 1, 1, 1, 1, 1, 1, 0], dtype=torch.uint8).view(1, 1, 1, 8)
    images, masks = torch.cat([row, -row]), torch.cat([donor_heart, torch.zeros_like(donor_heart)])
    result = swap(images, masks, torch.tensor([1, 0]), "inpaint")
    assert result[1].flatten().tolist() == [1, 2, 4, 7, 11, 14, 16, 17]
    assert result[0].flatten().tolist() == [-1, 0, 0, 0, 0, 0, 0, -17]  # its own heart, the other's ends


def test_inpaint_of_one_hole_is_the_mean_of_its_block():
    image = torch.tensor([[1.0, 2.0], [6.0, 100.0]]).view(1, 1, 2, 2)
    hole = torch.tensor([[0, 0], [0, 1]], dtype=torch.uint8).view(1, 1, 2, 2)
    images, masks = torch.cat([image, image]), torch.cat([hole, torch.zeros_like(hole)])
    assert ops.background_swap(images, masks, torch.tensor([0, 0]))[1, 0, 1, 1] == 3


def without_heart(images, masks, fill):
    """Returns each background alone: the case given to a recipient whose mask is empty."""
    n = len(images)
    both = torch.cat([images, torch.full_like(images, 9)]), torch.cat([masks, torch.zeros_like(masks)])
    return ops.background_swap(*both, torch.arange(n).repeat(2), fill)[n:]


def test_inpaint_stays_between_the_background_extremes_and_keeps_a_constant():
    images, masks, _ = batch(4, h=31, w=18)
    images, masks = images[2:], masks[2:]
    filled = without_heart(images, masks, "inpaint")
    background = torch.where(masks, torch.nan, images).flatten(2)
    assert (filled.flatten(2).amax(2) <= background.nan_to_num(-1).amax(2)).all()
    assert (filled.flatten(2).amin(2) >= background.nan_to_num(2).amin(2)).all()
    constant = torch.full_like(images, 0.7)
    torch.testing.assert_close(without_heart(constant, masks, "inpaint"), constant, rtol=1e-14, atol=0)


def test_inpaint_is_smoother_than_the_mean():
    ramp = torch.linspace(0, 1, 64, dtype=torch.float64).expand(1, 1, 64, 64)
    disc = ((torch.arange(64)[:, None] - 40) ** 2 + (torch.arange(64) - 40) ** 2 < 15**2).view(1, 1, 64, 64)
    steps = {fill: without_heart(ramp, disc, fill).diff(dim=3).abs().max() for fill in FILLS}
    assert steps["inpaint"] < 0.1 < 0.4 < steps["mean"]


@every_fill
@every_align
def test_swap_with_itself_leaves_a_case_as_it_is(fill, align):
    images, masks, _ = batch()
    assert torch.equal(ops.background_swap(images, masks, torch.arange(5), fill, align), images)


@every_fill
@every_align
def test_several_frames_a_case_are_swapped_as_if_each_stood_alone(fill, align):
    images, masks, donors = apart(c=3)
    result = ops.background_swap(images, masks, donors, fill, align)
    slope = gradient(ops.background_swap, images, masks, donors, fill, align)
    weights = torch.rand(images.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for frame in range(3):
        own = images[:, frame : frame + 1].detach().requires_grad_()
        alone = ops.background_swap(own, masks[:, frame : frame + 1], donors, fill, align)
        assert torch.equal(result[:, frame : frame + 1], alone)
        alone.backward(weights[:, frame : frame + 1])
        assert torch.equal(slope[:, frame : frame + 1], own.grad)


@every_fill
def test_labels_count_as_heart_and_one_mask_serves_all_frames(fill):
    images, masks, donors = batch(mask_frames=1)
    expected = ops.background_swap(images, masks.expand_as(images).contiguous(), donors, fill)
    labels = masks.to(torch.uint8) * torch.randint(1, 4, masks.shape, dtype=torch.uint8)
    assert torch.equal(ops.background_swap(images, labels, donors, fill), expected)


@every_fill
def test_non_contiguous_inputs(fill):
    images, masks, donors = batch(n=6, c=3, h=8, w=8)
    expected = ops.background_swap(images, masks, donors, fill)
    strided = images.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
    mask_view = torch.stack([masks, ~masks], -1)[..., 0]
    donor_view = torch.stack([donors, donors + 1], -1)[:, 0]
    assert not strided.is_contiguous()
    assert torch.equal(ops.background_swap(strided, mask_view, donor_view, fill), expected)


def test_a_result_large_enough_for_huge_pages():
    images, masks, donors = batch(n=40, c=2, h=224, w=225, dtype=torch.float32)  # 16 MB
    expected = ops.background_swap_reference(images, masks, donors, "donor")
    assert torch.equal(ops.background_swap(images, masks, donors, "donor"), expected)


@every_fill
@pytest.mark.parametrize("shape", [(0, 2, 4, 4), (2, 0, 4, 4), (2, 1, 0, 4), (2, 1, 4, 0)])
def test_empty(fill, shape):
    images = torch.zeros(shape, requires_grad=True)
    masks = torch.zeros(shape, dtype=torch.bool)
    result = ops.background_swap(images, masks, torch.zeros(shape[0], dtype=torch.int64), fill)
    assert result.shape == shape
    result.sum().backward()
    assert images.grad.shape == shape


@pytest.mark.parametrize("swap", [ops.background_swap, ops.background_swap_reference])
@every_fill
def test_nan_stays_where_it_is_not_looked_at(swap, fill):
    images, masks, _ = batch(n=3)
    donors = torch.tensor([2, 2, 0])
    masks[0], masks[2] = False, torch.eye(9, 7, dtype=torch.bool)
    images[0, :, 4, 4] = torch.nan  # recipient's background, and the background given to case 2
    images[2][masks[2]] = torch.nan  # heart of the donor of 0 and 1
    result = swap(images, masks, donors, fill)
    if fill == "donor":
        assert torch.equal(result[:2].isnan(), (masks[2] & ~masks[:2]))
    else:
        assert result[:2].isfinite().all()
    assert torch.equal(result[2].isnan(), masks[2])  # its own; (4, 4) is on its diagonal too


@pytest.mark.parametrize("fill", ["mean", "inpaint"])
def test_bfloat16_rounds_ties_to_even(fill):
    step = 2.0**-7  # between 1 and 2
    images = torch.tensor([[1, 1 + step, 0, 0], [1 + step, 1 + 2 * step, 0, 0]], dtype=torch.bfloat16)
    masks = torch.tensor([0, 0, 1, 1], dtype=torch.uint8).expand(2, 4)
    filled = without_heart(images.view(2, 1, 2, 2), masks.reshape(2, 1, 2, 2), fill)
    assert filled[:, 0, 1, 1].tolist() == [1, 1 + 2 * step]


# --- align=centroid -------------------------------------------------------------------------------


@pytest.mark.parametrize("swap", [ops.background_swap, ops.background_swap_reference])
def test_centroid_brings_hearts_together_and_0_in_from_beyond_the_border(swap):
    images = torch.arange(1.0, 73).view(2, 1, 6, 6)
    masks = torch.zeros(2, 1, 6, 6, dtype=torch.bool)
    masks[0, 0, 1:3, 0:2] = masks[1, 0, 2:4, 3:5] = True  # the second lies 1 down and 3 to the right
    result = swap(images, masks, torch.tensor([1, 0]), "donor", "centroid")
    expected = torch.zeros(2, 1, 6, 6)
    expected[0, 0, :5, :3] = images[1, 0, 1:, 3:]
    expected[1, 0, 1:, 3:] = images[0, 0, :5, :3]
    assert torch.equal(result, torch.where(masks, images, expected))
    assert ops.background_residual(masks, torch.tensor([1, 0]), "centroid").tolist() == [[0], [0]]


@every_fill
def test_hearts_that_coincide_are_not_moved(fill):
    images, masks, donors = batch(n=4, c=1)
    masks[:] = masks[3:]
    assert torch.equal(
        ops.background_swap(images, masks, donors, fill, "centroid"),
        ops.background_swap(images, masks, donors, fill),
    )


def test_the_background_is_filled_before_it_is_moved():
    """A heart at the border is filled from its own surroundings, not from the 0 that comes in beside it."""
    images, masks = torch.ones(2, 1, 8, 8), torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    masks[0, 0, 3:5, 6:8], masks[1, 0, 2:6, 0:2] = True, True
    for fill in ("mean", "inpaint"):
        result = ops.background_swap(images, masks, torch.tensor([1, 0]), fill, "centroid")
        assert result[0, 0, :, 6:].unique() == 1  # six columns to the right went what was filled
        assert result[0, 0, :, :6].unique() == 0


# --- as an operator -------------------------------------------------------------------------------


@every_fill
@every_align
def test_gradcheck_as_recipient_and_as_donor(fill, align):
    images, masks, donors = apart(n=3, c=1, h=6, w=6)
    donors[0] = 2  # gives to two
    images.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: ops.background_swap(x, masks, donors, fill, align), images)
    assert torch.autograd.gradgradcheck(lambda x: ops.background_swap(x, masks, donors, fill, align), images)


@needs_extension
@every_fill
@pytest.mark.parametrize("name", ["background_swap", "background_swap_backward"])
def test_opcheck(name, fill):
    images, masks, donors = batch(n=3, h=4, w=5)
    operator = getattr(torch.ops.cmrbias, name).default
    torch.library.opcheck(operator, (images.requires_grad_(), masks, donors, None, fill))
    strided = images.detach().transpose(2, 3).contiguous().transpose(2, 3).requires_grad_()
    labels, shifts = masks.to(torch.uint8)[:, :1], torch.tensor([[[1, -2]], [[0, 3]], [[0, 0]]])
    torch.library.opcheck(operator, (strided, labels, donors, shifts, fill))


@needs_extension
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # inductor's own
@pytest.mark.parametrize(("fill", "align"), [*((fill, "none") for fill in FILLS), ("mean", "centroid")])
def test_compiles_as_one_graph(fill, align):
    torch._dynamo.reset()
    images, masks, donors = apart(dtype=torch.float32)
    compiled = torch.compile(ops.background_swap, fullgraph=True)
    expected = ops.background_swap(images, masks, donors, fill, align)
    assert torch.equal(compiled(images, masks, donors, fill, align), expected)
    expected = gradient(ops.background_swap, images, masks, donors, fill, align)
    assert torch.equal(gradient(compiled, images, masks, donors, fill, align), expected)


@needs_extension
@every_align
def test_one_graph_serves_all_sizes(align):
    torch._dynamo.reset()
    graphs = []
    compiled = torch.compile(
        ops.background_swap,
        fullgraph=True,
        dynamic=True,
        backend=lambda graph, _: graphs.append(graph) or graph,
    )
    for n, h in ((3, 8), (5, 11), (7, 16)):
        images, masks, donors = batch(n=n, h=h, mask_frames=1)
        expected = ops.background_swap(images, masks, donors, "inpaint", align)
        assert torch.equal(compiled(images, masks, donors, "inpaint", align), expected)
    assert len(graphs) == 1


def both_ways(fill, align, dtype=torch.float32):
    """Returns a swap and its gradient, of frames that are no whole number of vectors."""
    images, masks, donors = apart(n=9, h=40, w=75, dtype=dtype)
    masks[:, :, 10:30, 30:] |= images[:, :, 10:30, 30:] < 0.5
    arguments = (images, masks, donors, fill, align)
    return ops.background_swap(*arguments), gradient(ops.background_swap, *arguments)


@every_fill
@every_align
def test_same_bits_for_any_number_of_threads(fill, align):
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 8):
            torch.set_num_threads(threads)
            results.append(both_ways(fill, align))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(*pair) for pairs in results for pair in zip(pairs, results[0], strict=True))


@needs_extension
@every_fill
@pytest.mark.parametrize("dtype", DTYPES)
def test_same_bits_on_every_instruction_set(fill, dtype):
    names = _C.instruction_sets()
    results = []
    try:
        for name in names:
            _C.set_instruction_set(name)
            results.append(both_ways(fill, "centroid", dtype))
    finally:
        _C.set_instruction_set(names[-1])
    assert names[0] == "baseline"
    assert all(torch.equal(*pair) for pairs in results for pair in zip(pairs, results[0], strict=True))


@needs_extension
def test_an_instruction_set_that_the_machine_lacks_is_refused():
    with pytest.raises(ValueError, match="no instruction set x86-64-v9"):
        _C.set_instruction_set("x86-64-v9")


@every_fill
def test_a_nan_gradient_in_a_heart_stays_there(fill):
    images, masks, donors = batch(n=3)
    masks[0] = False
    result = ops.background_swap(images.requires_grad_(), masks, donors, fill)
    weights = torch.where(masks, torch.nan, torch.ones_like(result))
    assert torch.equal(torch.autograd.grad(result, images, weights)[0].isnan(), masks)


def test_autograd_reaches_only_the_images():
    images, masks, donors = batch()
    result = ops.background_swap(images.requires_grad_(), masks, donors)
    result.backward(torch.ones_like(result))
    # weights of one sum up: whatever a pixel of the result shows, it shows one whole pixel, or 0 where
    # the donor (case 0) is all heart
    nothing = (~masks & masks[donors] & (donors == 0)[:, None, None, None]).sum()
    assert images.grad.sum().item() == pytest.approx(images.numel() - nothing.item())


# --- wrong arguments ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fill": "donors"}, r"unknown fill 'donors': did you mean 'donor'"),
        ({"align": "centre"}, r"unknown align 'centre': did you mean 'centroid'"),
        ({"images": torch.zeros(5, 9, 7)}, r"images: expected 4 dimensions \(N, C, H, W\), got \(5, 9, 7\)"),
        ({"images": torch.zeros(5, 2, 9, 7, dtype=torch.int16)}, r"images: expected float32, .* torch.int16"),
        ({"masks": torch.zeros(5, 2, 9, 7)}, r"masks: expected bool or uint8 .*, got torch.float32"),
        ({"masks": torch.zeros(5, 2, 9, 8) > 0}, r"masks: expected \(5, 2, 9, 7\) or .*, got \(5, 2, 9, 8\)"),
        ({"masks": torch.zeros(1, 2, 9, 7) > 0}, r"masks: expected \(5, 2, 9, 7\) or .*, got \(1, 2, 9, 7\)"),
        ({"masks": torch.zeros(5, 9, 7) > 0}, r"masks: expected 4 dimensions .*, got \(5, 9, 7\)"),
        ({"masks": torch.zeros(5, 2, 9, 7, device="meta") > 0}, r"masks: expected .* device cpu, got meta"),
        ({"donors": torch.zeros(4, dtype=torch.int64)}, r"donors: expected shape \(5,\), .*, got \(4,\)"),
        ({"donors": torch.zeros(5, dtype=torch.int32)}, r"donors: expected int64, got torch.int32"),
        ({"donors": torch.tensor([0, 1, 5, 2, 7])}, r"donors\[2\]: expected a row .*, 0 to 4, got 5"),
        ({"donors": torch.tensor([0, 1, 2, 2, -1])}, r"donors\[4\]: expected .*, got -1"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(change, message):
    images, masks, donors = batch()
    arguments = {"images": images, "masks": masks, "donors": donors, "fill": "inpaint", **change}
    with pytest.raises(CmrbiasError, match=message):
        ops.background_swap(**arguments)


@needs_extension
@given(st.integers(0, 40).flatmap(lambda n: st.lists(st.integers(0, max(n - 1, 0)), min_size=n, max_size=n)))
def test_recipients_are_grouped_by_donor(donors):
    by_donor = sorted(range(len(donors)), key=donors.__getitem__)
    starts = [sum(donor < first for donor in donors) for first in range(len(donors) + 1)]
    for grouped in (grouped_by_donor, grouped_by_donor_reference):
        assert grouped(torch.tensor(donors, dtype=torch.int64)).tolist() == by_donor + starts


@needs_extension
@every_fill
def test_past_the_door_donors_are_clamped(fill):
    images, masks, _ = batch()
    wild = torch.tensor([-(2**62), 2**62, 0, 5, -1])
    result = torch.ops.cmrbias.background_swap(images, masks, wild, None, fill)
    expected = ops.background_swap(images, masks, torch.tensor([0, 4, 0, 4, 0]), fill)
    assert torch.equal(result, expected)


@needs_extension
def test_past_the_door_shifts_are_clamped():
    images, masks, donors = batch(c=1)
    wild = torch.tensor([[2**62, 0], [0, -(2**62)], [9, 7], [-9, 1], [2**31, 2**32 + 1]])[:, None]
    for name in ("background_swap", "background_swap_backward"):
        result = getattr(torch.ops.cmrbias, name)(images, masks, donors, wild, "donor")
        assert torch.equal(result, torch.where(masks, images, 0))  # every donor lies out of sight


# --- where the extension, or a GPU, is missing ----------------------------------------------------


def python(code):
    """Runs a program of its own, warnings shown, and returns what it printed."""
    result = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_without_the_extension_torch_does_the_work_after_one_warning():
    code = """
import sys, warnings
sys.modules["cmrbias._C"] = None  # as if it were not installed
import torch
from cmrbias import ops
images = torch.rand(3, 1, 6, 5, dtype=torch.float64, requires_grad=True)
masks, donors = torch.rand(3, 1, 6, 5) < 0.5, torch.tensor([1, 2, 0])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    results = [ops.background_swap(images, masks, donors) for _ in range(2)]
results[0].sum().backward()
assert torch.equal(results[0], ops.background_swap_reference(images, masks, donors))
compiled = torch.compile(ops.background_swap, fullgraph=True, backend="eager")
assert torch.equal(compiled(images, masks, donors), results[0])
print(ops._C, len(caught), caught[0].category.__name__, caught[0].message)
"""
    printed = python(code)
    assert printed.startswith("None 1 RuntimeWarning the extension cmrbias._C is missing (")
    assert "reinstall cmrbias" in printed


@needs_extension
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_shares_the_thread_pool_of_torch():
    code = """
import cmrbias._C, torch  # the order that could go wrong: cmrbias.ops imports torch first
print(len({line.split()[4] for line in open("/proc/self/maps") if "libgomp" in line}))
"""
    assert python(code).strip() == "1"


def cuda_swap():
    hearts = _C.Hearts(cases=1, mask_frames=1, height=2, width=2, masks=0, donors=0, shifts=0)
    null = dict.fromkeys(("input", "order", "starts", "output"), 0)
    return _C.Swap(hearts=hearts, type=_C.Type.float32, fill=_C.Fill.inpaint, frames=1, **null)


@needs_extension
@pytest.mark.skipif(_C is not None and not _C.has_cuda, reason="the extension was built without CUDA")
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: the launch would not fail")
@pytest.mark.parametrize(
    "kernel", ["background_swap", "background_swap_backward", "heart_sums", "heart_residual"]
)
def test_a_launch_without_a_gpu_is_a_clean_error(kernel):
    with pytest.raises(RuntimeError, match=rf"^CUDA kernel {kernel}: .*(driver|device)"):
        getattr(_C, f"{kernel}_cuda")(cuda_swap(), 0, 0)


@pytest.mark.skipif(
    not (_C and _C.has_cuda and torch.cuda.is_available()), reason="needs a GPU and the CUDA half"
)
@pytest.mark.parametrize("dtype", DTYPES)
@every_fill
@every_align
def test_the_gpu_gives_the_bits_of_the_processor(fill, align, dtype):
    images, masks, donors = apart(n=6, h=37, w=50, dtype=dtype)
    there = [tensor.cuda() for tensor in (images, masks, donors)]
    expected = ops.background_swap(images, masks, donors, fill, align)
    assert torch.equal(ops.background_swap(*there, fill, align).cpu(), expected)
    expected = gradient(ops.background_swap, images, masks, donors, fill, align)
    weights = torch.rand(images.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    moved = ops.background_swap(there[0].requires_grad_(), *there[1:], fill, align)
    assert torch.equal(torch.autograd.grad(moved, there[0], weights.to(dtype).cuda())[0].cpu(), expected)
    expected = ops.background_residual(masks, donors, align)
    assert torch.equal(ops.background_residual(*there[1:], align).cpu(), expected)
