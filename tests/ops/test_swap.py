"""The kernels, through their one door, against the plain torch reference and against hand-made values."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cmrbias import ops
from cmrbias.errors import CmrbiasError

FILLS = ("donor", "mean", "inpaint")
DTYPES = (torch.float32, torch.float64, torch.bfloat16)

_C = ops._C
needs_extension = pytest.mark.skipif(_C is None, reason="the extension is not built")
every_fill = pytest.mark.parametrize("fill", FILLS)


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


def by_hand(images, masks, donors, fill):
    """Returns ``donor`` and ``mean`` pixel by pixel, in numpy."""
    images, heart = images.double().numpy(), (masks != 0).expand_as(images).numpy()
    result = np.empty_like(images)
    for n, c, y, x in np.ndindex(images.shape):
        d = int(donors[n])
        known = images[d, c][~heart[d, c]]
        if heart[n, c, y, x]:
            result[n, c, y, x] = images[n, c, y, x]
        elif fill == "donor" or not heart[d, c, y, x]:
            result[n, c, y, x] = images[d, c, y, x]
        else:
            result[n, c, y, x] = known.mean() if known.size else 0
    return torch.from_numpy(result)


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
    seed=st.integers(0, 1000),
)
def test_equals_the_reference(n, c, h, w, shared_mask, share, dtype, fill, seed):
    images, masks, donors = batch(seed, n, c, h, w, dtype, 1 if shared_mask else c, share)
    result = ops.background_swap(images, masks, donors, fill)
    expected = ops.background_swap_reference(images, masks, donors, fill)
    assert (result.dtype, result.shape) == (dtype, images.shape)
    if fill == "mean":  # summed in another order, in float64
        rounding = {torch.float64: 1e-14, torch.float32: 1.2e-7, torch.bfloat16: 8e-3}[dtype]
        torch.testing.assert_close(result, expected, rtol=rounding, atol=0)
    else:
        assert torch.equal(result, expected)


@settings(max_examples=30, deadline=None)
@given(
    h=st.integers(1, 33), w=st.integers(1, 33), dtype=st.sampled_from(DTYPES), fill=st.sampled_from(FILLS),
    seed=st.integers(0, 1000),
)  # fmt: skip
def test_gradient_equals_that_of_the_reference_in_float64(h, w, dtype, fill, seed):
    images, masks, donors = batch(seed, h=h, w=w, dtype=dtype)
    result = gradient(ops.background_swap, images, masks, donors, fill)
    expected = gradient(ops.background_swap_reference, images.double(), masks, donors, fill)
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2}[dtype]
    torch.testing.assert_close(result.double(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("swap", [ops.background_swap, ops.background_swap_reference])
@pytest.mark.parametrize("fill", ["donor", "mean"])
def test_selects_as_written_out_pixel_by_pixel(swap, fill):
    images, masks, donors = batch(3)
    torch.testing.assert_close(swap(images, masks, donors, fill), by_hand(images, masks, donors, fill))


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
def test_swap_with_itself_leaves_a_case_as_it_is(fill):
    images, masks, _ = batch()
    assert torch.equal(ops.background_swap(images, masks, torch.arange(5), fill)[masks], images[masks])
    assert torch.equal(ops.background_swap(images, masks, torch.arange(5), fill), images)


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


# --- as an operator -------------------------------------------------------------------------------


@every_fill
def test_gradcheck_as_recipient_and_as_donor(fill):
    images, masks, donors = batch(n=4, h=5, w=6)
    images.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: ops.background_swap(x, masks, donors, fill), images)
    assert torch.autograd.gradgradcheck(lambda x: ops.background_swap(x, masks, donors, fill), images)


@needs_extension
@every_fill
@pytest.mark.parametrize("name", ["background_swap", "background_swap_backward"])
def test_opcheck(name, fill):
    images, masks, donors = batch(n=3, h=4, w=5)
    operator = getattr(torch.ops.cmrbias, name).default
    torch.library.opcheck(operator, (images.requires_grad_(), masks, donors, fill))
    strided = images.detach().transpose(2, 3).contiguous().transpose(2, 3).requires_grad_()
    torch.library.opcheck(operator, (strided, masks.to(torch.uint8)[:, :1], donors, fill))


@needs_extension
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # inductor's own
@every_fill
def test_compiles_as_one_graph(fill):
    torch._dynamo.reset()
    images, masks, donors = batch(dtype=torch.float32)
    compiled = torch.compile(ops.background_swap, fullgraph=True)
    expected = ops.background_swap(images, masks, donors, fill)
    assert torch.equal(compiled(images, masks, donors, fill), expected)
    expected = gradient(ops.background_swap, images, masks, donors, fill)
    assert torch.equal(gradient(compiled, images, masks, donors, fill), expected)


@needs_extension
def test_one_graph_serves_all_sizes():
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
        assert torch.equal(compiled(images, masks, donors), ops.background_swap(images, masks, donors))
    assert len(graphs) == 1


@every_fill
def test_same_bits_for_any_number_of_threads(fill):
    images, masks, donors = batch(n=9, h=40, w=33, dtype=torch.float32)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 8):
            torch.set_num_threads(threads)
            results.append(ops.background_swap(images, masks, donors, fill))
            results.append(gradient(ops.background_swap, images, masks, donors, fill))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(result, results[i % 2]) for i, result in enumerate(results))


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


# --- residual -------------------------------------------------------------------------------------


def test_residual_is_the_share_where_the_donor_heart_shows():
    masks = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    masks[0, 0, :2] = 3  # 8 pixels
    masks[1, 0, 1:4, 0] = 1  # 3 pixels, one of them in the other's heart
    residual = ops.background_residual(masks, torch.tensor([1, 0]))
    assert residual.dtype == torch.float32
    assert residual.tolist() == [[2 / 16], [7 / 16]]
    assert ops.background_residual(masks, torch.tensor([0, 1])).tolist() == [[0], [0]]
    images = torch.where(masks != 0, 1.0, 0.0)
    leaks = ops.background_swap(images, torch.where(masks == 0, masks, 1), torch.tensor([1, 0]), "donor")
    assert (leaks * (masks == 0)).mean((2, 3)).tolist() == residual.tolist()


# --- wrong arguments ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fill": "donors"}, r"unknown fill 'donors': did you mean 'donor'"),
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


def test_wrong_arguments_of_the_residual_are_named():
    with pytest.raises(CmrbiasError, match=r"masks: expected bool or uint8"):
        ops.background_residual(torch.zeros(2, 1, 4, 4), torch.tensor([0, 1]))
    with pytest.raises(CmrbiasError, match=r"donors\[1\]: expected a row of the batch, 0 to 1, got 2"):
        ops.background_residual(torch.zeros(2, 1, 4, 4) > 0, torch.tensor([0, 2]))


@needs_extension
@every_fill
def test_past_the_door_donors_are_clamped(fill):
    images, masks, _ = batch()
    wild = torch.tensor([-(2**62), 2**62, 0, 5, -1])
    result = torch.ops.cmrbias.background_swap(images, masks, wild, fill)
    expected = ops.background_swap(images, masks, torch.tensor([0, 4, 0, 4, 0]), fill)
    assert torch.equal(result, expected)


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
    null = dict.fromkeys(("input", "masks", "donors", "order", "starts", "output"), 0)
    shape = {"cases": 1, "frames": 1, "mask_frames": 1, "height": 2, "width": 2}
    return _C.Swap(type=_C.Type.float32, fill=_C.Fill.inpaint, **shape, **null)


@needs_extension
@pytest.mark.skipif(_C is not None and not _C.has_cuda, reason="the extension was built without CUDA")
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: the launch would not fail")
@pytest.mark.parametrize("kernel", ["background_swap", "background_swap_backward"])
def test_a_launch_without_a_gpu_is_a_clean_error(kernel):
    with pytest.raises(RuntimeError, match=rf"^CUDA kernel {kernel}: .*(driver|device)"):
        getattr(_C, f"{kernel}_cuda")(cuda_swap(), 0, 0)


@pytest.mark.skipif(
    not (_C and _C.has_cuda and torch.cuda.is_available()), reason="needs a GPU and the CUDA half"
)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fill", FILLS)
def test_the_gpu_gives_the_bits_of_the_processor(fill, dtype):
    images, masks, donors = batch(n=6, h=37, w=50, dtype=dtype)
    there = [tensor.cuda() for tensor in (images, masks, donors)]
    assert torch.equal(
        ops.background_swap(*there, fill).cpu(), ops.background_swap(images, masks, donors, fill)
    )
    weights = torch.randn(images.shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    transposed = torch.ops.cmrbias.background_swap_backward
    expected = transposed(weights, masks, donors, fill)
    assert torch.equal(transposed(weights.cuda(), *there[1:], fill).cpu(), expected)
