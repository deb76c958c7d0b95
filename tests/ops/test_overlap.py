"""Overlap of maps with masks: the kernel against the plain float64 reference and against other libraries."""

import subprocess
import sys

import pytest
import scipy.ndimage
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cmrbias import ops
from cmrbias.errors import CmrbiasError
from cmrbias.ops.upsample import upsample

DTYPES = (torch.float32, torch.float64, torch.bfloat16)
KINDS = ("random", "relu", "few", "plateaus", "constant", "tiny", "huge", "near-constant")
EXACT = ("minimum", "maximum", "area", "hot_area", "hot_inside", "peak_inside")

needs_extension = pytest.mark.skipif(ops._C is None, reason="the extension is not built")


def make_maps(kind, shape, dtype=torch.float64, seed=0):
    """Returns non-negative maps: what networks give, and what is hard to decide."""
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(shape, generator=generator, dtype=torch.float64)
    maps = {
        "random": normal.abs(),
        "relu": normal.relu(),
        "few": (normal * 2).round().clamp(0, 4),  # ties everywhere, pixels at the threshold
        "plateaus": (normal > 0.5).double(),
        "constant": torch.full(shape, 0.3, dtype=torch.float64),
        "tiny": normal.abs() * 1e-30,
        "huge": normal.abs() * 1e30,
        "near-constant": 1 + normal * 1e-7,
    }[kind]
    return maps.to(dtype)


def make_masks(kind, shape, seed=0):
    """Returns masks (N, H, W) uint8: labels 0 to 3."""
    generator = torch.Generator().manual_seed(seed)
    n, rows, columns = shape
    masks = torch.zeros(shape, dtype=torch.uint8)
    if kind == "noise":
        masks = torch.randint(0, 4, shape, generator=generator, dtype=torch.uint8)
    elif kind == "all":
        masks += 1
    elif kind == "pixel":
        at = torch.randint(0, rows * columns, (n,), generator=generator)
        masks.view(n, -1)[torch.arange(n), at] = 3
    elif kind == "disc":
        centre = torch.rand(n, 2, 1, 1, generator=generator)
        y = torch.arange(rows)[:, None] / rows - centre[:, 0]
        x = torch.arange(columns) / columns - centre[:, 1]
        masks[y**2 + x**2 < 0.03] = 2
    return masks


@st.composite
def problems(draw, kinds=KINDS, dtypes=DTYPES, masks=("noise", "disc", "pixel", "all", "none")):
    """Draws maps (N, h, w) or (N, M, h, w) and masks (N, H, W) of any sizes, more cells than pixels too."""
    n, h, w = draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(1, 9))
    if draw(st.booleans()):  # a whole scale
        rows, columns = h * draw(st.integers(1, 8)), w * draw(st.integers(1, 8))
    else:
        rows, columns = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    targets = draw(st.sampled_from([None, 1, 3]))
    shape = (n, h, w) if targets is None else (n, targets, h, w)
    seed = draw(st.integers(0, 10_000))
    maps = make_maps(draw(st.sampled_from(kinds)), shape, draw(st.sampled_from(dtypes)), seed)
    return maps, make_masks(draw(st.sampled_from(masks)), (n, rows, columns), seed + 1)


def typical(n=4, h=7, size=224, dtype=torch.float32, targets=None, seed=0):
    shape = (n, h, h) if targets is None else (n, targets, h, h)
    return make_maps("relu", shape, dtype, seed), make_masks("disc", (n, size, size), seed)


def same_bits(one, other):
    return all(
        a == b if isinstance(a, int) else a is b is None or torch.equal(a.nan_to_num(-1), b.nan_to_num(-1))
        for a, b in zip(one, other, strict=True)
    )


def aks(found):
    return found.inside / found.saliency


def dsc(found):
    return 2 * found.inside / (found.saliency + found.area * (found.maximum - found.minimum))


# --- values ---------------------------------------------------------------------------------------


@settings(max_examples=80)
@given(problems(), st.sampled_from([0.5, 0.25, 0.1, 0.9, 1 / 3]))
def test_equals_the_reference_and_decides_exactly_alike(problem, threshold):
    maps, masks = problem
    found = ops.overlap(maps, masks, threshold)
    expected = ops.overlap_reference(maps, masks, threshold)
    for name in EXACT:
        assert torch.equal(getattr(found, name), getattr(expected, name)), name
    scale = (expected.maximum * found.pixels).clamp(min=1e-300)
    for name in ("saliency", "inside"):
        error = (getattr(found, name) - getattr(expected, name)).abs() / scale
        assert error.max() < 1e-13, name
    torch.testing.assert_close(found.ceiling, expected.ceiling, rtol=1e-12, atol=0)
    assert found.pixels == masks[0].numel()


@pytest.mark.parametrize(("h", "size"), [(7, 224), (7, 225), (3, 96), (14, 512), (8, 5), (1, 33), (2, 600)])
@pytest.mark.parametrize("kind", ["relu", "few", "plateaus", "near-constant"])
def test_decisions_at_sizes_that_are_used(kind, h, size):
    maps = make_maps(kind, (3, 2, h, h), torch.float32, seed=size)
    masks = make_masks("disc", (3, size, size), seed=h)
    found, expected = ops.overlap(maps, masks), ops.overlap_reference(maps, masks)
    for name in EXACT:
        assert torch.equal(getattr(found, name), getattr(expected, name)), name


@pytest.mark.parametrize("scale", [1e-60, 1e60, 1e300])
def test_decisions_beyond_what_float_holds(scale):
    maps, masks = make_maps("random", (3, 2, 7, 7)) * scale, make_masks("noise", (3, 96, 96))
    found, expected = ops.overlap(maps, masks), ops.overlap_reference(maps, masks)
    for name in EXACT:
        assert torch.equal(getattr(found, name), getattr(expected, name)), name


def test_decisions_where_pixels_vary_far_less_than_cells():
    maps = 1e-7 * torch.rand(6, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    maps[:, 1:3] = 1  # both rows of pixels lie halfway between a row of almost 0 and one of 1
    masks = make_masks("noise", (6, 2, 64))
    found, expected = ops.overlap(maps, masks), ops.overlap_reference(maps, masks)
    for name in EXACT:
        assert torch.equal(getattr(found, name), getattr(expected, name)), name


@pytest.mark.parametrize(("grid", "size"), [((5, 2), (3, 64)), ((4, 3), (3, 96))])
def test_rounding_may_put_an_extreme_beyond_the_corners_of_patches(grid, size):
    generator = torch.Generator().manual_seed(0)
    maps = 1 / 3 + torch.rand(100, *grid, generator=generator, dtype=torch.float64) * 2**-50
    maps[:, 1::3] = 1
    whole = upsample(maps, *size)
    found = ops.overlap(maps, make_masks("noise", (100, *size)))
    low, high = whole.flatten(1).amin(1), whole.flatten(1).amax(1)
    assert torch.equal(found.minimum, low)
    assert torch.equal(found.maximum, high)
    scale = size[1] // grid[1]
    columns = [x for x in range(size[1]) if x % scale in (scale // 2 - 1, scale // 2)]
    corners = whole[:, :, [0, *columns, -1]].flatten(1)
    assert ((corners.amin(1) > low) | (corners.amax(1) < high)).any()  # else this tests nothing


def test_upsampling_agrees_with_torch_and_scipy():
    maps = make_maps("random", (2, 7, 5))
    ours = upsample(maps, 33, 40)
    theirs = F.interpolate(maps[:, None], (33, 40), mode="bilinear", align_corners=False)[:, 0]
    torch.testing.assert_close(ours, theirs, rtol=1e-14, atol=1e-14)
    zoomed = scipy.ndimage.zoom(maps[0].numpy(), (33 / 7, 40 / 5), order=1, grid_mode=True, mode="nearest")
    torch.testing.assert_close(ours[0], torch.from_numpy(zoomed), rtol=1e-12, atol=1e-12)


def test_a_lone_interior_peak_upsamples_to_less_than_itself():
    maps = torch.zeros(1, 7, 7)
    maps[0, 3, 3] = 1
    found = ops.overlap(maps, torch.ones(1, 224, 224, dtype=torch.bool))
    assert found.maximum.item() == pytest.approx((63 / 64) ** 2)
    assert found.minimum.item() == 0


@given(problems(kinds=["random", "relu", "few"], dtypes=[torch.float64]), st.floats(0.1, 0.9))
def test_agrees_with_a_plain_computation_through_interpolate(problem, threshold):
    maps, masks = problem
    rows, columns = masks.shape[1:]
    flat = maps.reshape(-1, 1, *maps.shape[-2:])
    x = F.interpolate(flat, (rows, columns), mode="bilinear", align_corners=False)
    x = x.reshape(*maps.shape[:-2], rows, columns)
    y = (masks != 0) if maps.ndim == 3 else (masks != 0)[:, None]
    low, high = x.amin((-2, -1), keepdim=True), x.amax((-2, -1), keepdim=True)
    found = ops.overlap(maps, masks, threshold)
    torch.testing.assert_close(found.saliency, (x - low).sum((-2, -1)), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.inside, ((x - low) * y).sum((-2, -1)), rtol=1e-9, atol=1e-9)
    doubtful = ((x - low - threshold * (high - low)).abs() < 1e-9).any() | (high - low < 1e-6).any()
    if not doubtful:  # interpolate rounds in another order
        hot = x - low >= threshold * (high - low)
        assert torch.equal(found.hot_area, hot.sum((-2, -1)))
        assert torch.equal(found.hot_inside, (hot & y).sum((-2, -1)))


def test_by_hand():
    # one row of two cells, 0 and 1, on four pixels: 0, 1/4, 3/4, 1; the heart is the last two
    found = ops.overlap(torch.tensor([[[0.0, 1.0]]]), torch.tensor([[[0, 0, 1, 1]]], dtype=torch.uint8))
    assert (found.saliency.item(), found.inside.item()) == (2.0, 1.75)
    assert (found.minimum.item(), found.maximum.item(), found.area.item()) == (0, 1, 2)
    assert (found.hot_area.item(), found.hot_inside.item(), found.peak_inside.item()) == (2, 2, 1)
    assert found.ceiling.item() == 1.75 / 2  # the right cell's share inside
    assert found.pixels == 4


def test_a_pixel_at_the_threshold_is_inside_it():
    maps, masks = torch.tensor([[[0.0, 1.0]]]), torch.ones(1, 1, 4, dtype=torch.bool)
    assert ops.overlap(maps, masks, 0.75).hot_area.item() == 2
    assert ops.overlap(maps, masks, 0.75 + 1e-15).hot_area.item() == 1


def test_the_ceiling_is_what_the_best_lone_cell_reaches():
    masks = make_masks("disc", (3, 60, 60))
    cells = torch.eye(49, dtype=torch.float64).reshape(1, 49, 7, 7).expand(3, 49, 7, 7)
    found = ops.overlap(cells, masks)
    torch.testing.assert_close(found.ceiling[:, 0], aks(found).amax(1))


def test_a_map_that_touches_the_heart_nowhere_has_nothing_inside():
    maps, masks = torch.zeros(1, 7, 7), torch.zeros(1, 224, 224, dtype=torch.bool)
    maps[0, :3], masks[0, 150:, 30:90] = torch.rand(3, 7), True
    assert ops.overlap(maps, masks).inside.item() == 0


# --- properties (metrics.md) ----------------------------------------------------------------------


@given(problems(masks=["all"]))
def test_all_saliency_is_inside_everything(problem):
    maps, masks = problem
    found = ops.overlap(maps, masks)
    assert torch.equal(found.inside, found.saliency)


@given(problems(kinds=["random", "relu", "few"]))
def test_aks_of_a_mask_and_of_its_complement_are_one(problem):
    maps, masks = problem
    inside, outside = ops.overlap(maps, masks), ops.overlap(maps, masks == 0)
    varies = inside.saliency > 0
    torch.testing.assert_close((aks(inside) + aks(outside))[varies], torch.ones_like(inside.saliency)[varies])


@given(problems(kinds=["random", "relu", "few"]), st.integers(-20, 20))
def test_scaling_by_a_power_of_two_scales_the_sums_exactly(problem, exponent):
    maps, masks = problem
    found, scaled = ops.overlap(maps, masks), ops.overlap(maps * 2.0**exponent, masks)
    for name in ("saliency", "inside", "minimum", "maximum"):
        assert torch.equal(getattr(found, name) * 2.0**exponent, getattr(scaled, name))
    for name in ("hot_area", "hot_inside", "peak_inside", "ceiling"):
        assert torch.equal(getattr(found, name), getattr(scaled, name))


@given(problems(kinds=["random", "relu"], dtypes=[torch.float64]), st.floats(1e-3, 1e3))
def test_aks_and_dsc_do_not_feel_a_positive_scale(problem, factor):
    maps, masks = problem
    found, scaled = ops.overlap(maps, masks), ops.overlap(maps * factor, masks)
    torch.testing.assert_close(aks(found), aks(scaled), rtol=1e-6, atol=1e-9, equal_nan=True)
    torch.testing.assert_close(dsc(found), dsc(scaled), rtol=1e-6, atol=1e-9, equal_nan=True)


@given(problems(kinds=["random", "relu"]), st.sampled_from(["flip", "turn", "transpose"]))
def test_moving_map_and_mask_together_changes_nothing(problem, move):
    maps, masks = problem
    moved = {
        "flip": lambda x: x.flip(-1),
        "turn": lambda x: x.flip(-1, -2),
        "transpose": lambda x: x.transpose(-1, -2),
    }[move]
    found, other = ops.overlap(maps, masks), ops.overlap(moved(maps), moved(masks))
    torch.testing.assert_close(aks(found), aks(other), rtol=1e-6, atol=1e-9, equal_nan=True)
    torch.testing.assert_close(dsc(found), dsc(other), rtol=1e-6, atol=1e-9, equal_nan=True)


@given(problems(kinds=["random", "relu"], masks=["noise"]))
def test_aks_grows_with_the_mask(problem):
    maps, masks = problem
    smaller, larger = ops.overlap(maps, masks == 2), ops.overlap(maps, masks >= 2)
    assert (smaller.inside <= larger.inside * (1 + 1e-12)).all()


@given(problems(), st.randoms(use_true_random=False))
def test_a_row_is_the_same_alone_and_anywhere_in_a_batch(problem, random):
    maps, masks = problem
    order = list(range(len(maps)))
    random.shuffle(order)
    found, shuffled = ops.overlap(maps, masks), ops.overlap(maps[order], masks[order])
    for name in found._fields[:-1]:
        assert torch.equal(getattr(found, name)[order].nan_to_num(-1), getattr(shuffled, name).nan_to_num(-1))
    assert same_bits(ops.overlap(maps[:1], masks[:1]), [f if isinstance(f, int) else f[:1] for f in found])


def test_same_bits_for_any_number_of_threads(set_threads):
    maps, masks = typical(n=300, targets=2, size=100)  # so many that threads are woken for maps alone
    projected = ops.project_masks(masks, (maps.shape[-2], maps.shape[-1]))
    for against in (masks, projected):
        results = []
        for threads in (1, 2, 3, 8):
            set_threads(threads)
            results.append(ops.overlap(maps, against))
        assert all(same_bits(results[0], other) for other in results)


@pytest.mark.parametrize("dtype", DTYPES)
def test_same_bits_on_every_instruction_set(dtype, on_every_instruction_set):
    maps, masks = typical(n=5, targets=2, size=101, dtype=dtype)
    results = on_every_instruction_set(lambda: ops.overlap(maps, masks))
    assert all(same_bits(results[0], other) for other in results)
    results = on_every_instruction_set(lambda: ops.project_masks(masks, (7, 7)).cells)
    assert all(torch.equal(results[0], other) for other in results)


# --- edge cases -----------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [ops.overlap, ops.overlap_reference])
@pytest.mark.parametrize("wrong", [-1e-30, torch.nan, torch.inf, -torch.inf])
def test_a_negative_or_not_finite_map_gives_nan_and_leaves_the_others_alone(function, wrong):
    maps, masks = typical(n=3, dtype=torch.float64, size=30)
    expected = function(maps, masks)
    maps[1, 2, 3] = wrong
    found = function(maps, masks)
    for name in ("saliency", "inside", "minimum", "maximum"):
        assert getattr(found, name).isnan().tolist() == [False, True, False]
        assert getattr(found, name)[[0, 2]].tolist() == getattr(expected, name)[[0, 2]].tolist()
    assert (found.hot_area[1], found.hot_inside[1], found.peak_inside[1]) == (0, 0, 0)


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1e-40])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_constant_map_is_zero_after_normalising(value, dtype):
    found = ops.overlap(torch.full((1, 5, 6), value, dtype=dtype), torch.ones(1, 33, 35, dtype=torch.bool))
    assert (found.saliency.item(), found.inside.item()) == (0, 0)
    assert found.minimum == found.maximum
    assert (found.hot_area.item(), found.peak_inside.item()) == (0, 0)


@pytest.mark.parametrize("shape", [(0, 7, 7), (0, 2, 7, 7), (3, 0, 7, 7)])
def test_empty_batches(shape):
    maps = torch.zeros(shape, requires_grad=True)
    found = ops.overlap(maps, torch.zeros(shape[0], 20, 20, dtype=torch.bool))
    assert found.saliency.shape == shape[:-2]
    found.saliency.sum().backward()
    assert maps.grad.shape == shape


@pytest.mark.parametrize("dtype", DTYPES)
def test_non_contiguous_inputs(dtype):
    maps, masks = typical(targets=3, size=40, dtype=dtype)
    expected = ops.overlap(maps, masks)
    strided = maps.permute(3, 1, 0, 2).contiguous().permute(2, 1, 3, 0)
    mask_view = torch.stack([masks, 1 - masks.clamp(max=1)], -1)[..., 0]
    assert not strided.is_contiguous()
    assert same_bits(ops.overlap(strided, mask_view), expected)


def test_labels_and_bools_are_the_same_mask():
    maps, masks = typical(size=50)
    assert same_bits(ops.overlap(maps, masks), ops.overlap(maps, masks != 0))


def test_memory_does_not_grow_with_the_image():
    code = """
import resource, sys, torch
from cmrbias import ops
size = int(sys.argv[1])
maps, masks = torch.rand(2, 40, 7, 7), torch.zeros(2, size, size, dtype=torch.bool)
ops.overlap(maps[:, :1, :, :], masks[:, :32, :32])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ops.overlap(maps, masks)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    run = [sys.executable, "-P", "-c", code, "2048"]
    grown = int(subprocess.run(run, capture_output=True, text=True, check=True).stdout)
    assert grown < 4096  # KiB; one upsampled map alone would take 16 MiB, all of them 1.3 GiB


# --- sums alone -----------------------------------------------------------------------------------


@given(problems())
def test_without_counts_the_sums_are_the_same(problem):
    maps, masks = problem
    found = ops.overlap(maps, masks)
    sums = found._replace(hot_area=None, hot_inside=None, peak_inside=None)
    assert same_bits(sums, ops.overlap(maps, ops.project_masks(masks, tuple(maps.shape[-2:]))))
    assert same_bits(sums, ops.overlap(maps, masks, threshold=None))
    reference = ops.overlap_reference(maps, masks)._replace(hot_area=None, hot_inside=None, peak_inside=None)
    assert same_bits(reference, ops.overlap_reference(maps, masks, threshold=None))


def test_fused_without_counts():
    a, masks = make_maps("random", (3, 5, 7, 7), torch.float32), make_masks("disc", (3, 56, 56), seed=1)
    maps, found = ops.gradcam_overlap(a, a, masks, threshold=None)
    assert same_bits(found, ops.overlap(maps, masks, threshold=None))


# --- gradients ------------------------------------------------------------------------------------


def scores_of(found):
    return aks(found), dsc(found), found.saliency, found.inside, found.minimum, found.maximum


@pytest.mark.parametrize("way", ["counts", "sums", "projected"])
@pytest.mark.parametrize("shape", [(3, 3, 4), (2, 2, 3, 4), (2, 1, 5)])
@pytest.mark.parametrize("size", [(13, 11), (12, 20), (2, 3)])
def test_gradcheck(shape, size, way):
    maps = make_maps("random", shape, seed=sum(size)).requires_grad_()  # unique extremes
    masks = make_masks("noise", (shape[0], *size))
    if way == "projected":
        masks = ops.project_masks(masks, shape[-2:])
    threshold = None if way == "sums" else 0.5
    assert torch.autograd.gradcheck(lambda m: scores_of(ops.overlap(m, masks, threshold)), maps)
    assert torch.autograd.gradgradcheck(lambda m: scores_of(ops.overlap(m, masks, threshold)), maps)


@given(problems(kinds=["random", "relu", "few", "plateaus"]))
def test_gradient_equals_that_of_the_reference(problem):
    """Ties too: an extreme's gradient goes to its first pixel in row-major order."""
    maps, masks = problem
    gradients = []
    for function, x in ((ops.overlap, maps), (ops.overlap_reference, maps.double())):
        x = x.detach().requires_grad_()
        found = function(x, masks)
        total = (found.saliency + 2 * found.inside).sum() / found.pixels
        (total + (3 * found.minimum + 5 * found.maximum).sum()).backward()
        gradients.append(x.grad.double())
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 3e-2}[maps.dtype]
    torch.testing.assert_close(*gradients, rtol=tolerance, atol=tolerance)


def test_saliency_can_be_trained_towards_the_heart():
    generator = torch.Generator().manual_seed(0)
    activations = torch.rand(4, 8, 7, 7, generator=generator)
    gradients = torch.rand(4, 8, 7, 7, generator=generator).requires_grad_()
    masks = make_masks("disc", (4, 56, 56), seed=3)
    optimiser = torch.optim.Adam([gradients], lr=0.2)
    scores = []
    for _ in range(40):
        found = ops.overlap(ops.gradcam(activations, F.softplus(gradients)), masks)
        loss = 1 - aks(found).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        scores.append(1 - loss.item())
    assert scores[-1] > 1.3 * scores[0]


# --- as an operator -------------------------------------------------------------------------------


@needs_extension
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("targets", [None, 2])
def test_opcheck(dtype, targets):
    maps, masks = typical(n=2, h=3, size=10, dtype=dtype, targets=targets)
    maps.requires_grad_()
    torch.library.opcheck(torch.ops.cmrbias.overlap.default, (maps, masks, 0.5))
    torch.library.opcheck(torch.ops.cmrbias.overlap.default, (maps, masks, None))
    cells, areas, *_ = ops.project_masks(masks, (3, 3))
    torch.library.opcheck(torch.ops.cmrbias.overlap_projected.default, (maps, cells, areas, 10, 10))
    torch.library.opcheck(torch.ops.cmrbias.extreme_pixels.default, (maps.detach(), 10, 10))
    torch.library.opcheck(torch.ops.cmrbias.overlap_no_grad.default, (maps.detach(), masks, 0.5))
    projected = torch.ops.cmrbias.overlap_projected_no_grad.default
    torch.library.opcheck(projected, (maps.detach(), cells, areas, 10, 10))


@needs_extension
@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")  # vmap's own
def test_a_gradient_that_torch_func_cannot_take_is_refused_and_not_zero():
    """Inside vmap a tensor says that it requires no gradient, also where grad is taken around it."""
    maps, masks = typical(n=2)

    def loss(maps):
        return torch.func.vmap(lambda x, y: ops.overlap(x, y).inside)(maps[:, None], masks[:, None]).sum()

    with pytest.raises(RuntimeError, match="setup_context"):
        torch.func.grad(loss)(maps)


@needs_extension
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # inductor's own
def test_compiles_as_one_graph():
    torch._dynamo.reset()
    maps, masks = typical(n=3, size=40)

    def loss(maps, masks):
        return aks(ops.overlap(maps, masks)).sum()

    compiled = torch.compile(loss, fullgraph=True)
    results = []
    for function in (loss, compiled):
        x = maps.clone().requires_grad_()
        value = function(x, masks)
        value.backward()
        results.append((value.detach(), x.grad))
    torch.testing.assert_close(results[0], results[1])


@needs_extension
def test_one_graph_serves_all_sizes():
    torch._dynamo.reset()
    graphs = []
    compiled = torch.compile(
        ops.overlap, fullgraph=True, dynamic=True, backend=lambda graph, _: graphs.append(graph) or graph
    )
    for n, h, size in ((3, 7, 64), (5, 6, 50), (4, 9, 33)):
        maps, masks = typical(n, h, size)
        assert same_bits(compiled(maps, masks), ops.overlap(maps, masks))
    assert len(graphs) == 1


# --- wrong arguments ------------------------------------------------------------------------------

MAPS, MASKS = torch.rand(3, 7, 7), torch.ones(3, 20, 30, dtype=torch.bool)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"maps": MAPS[0]}, r"maps: expected 3 or 4 dimensions .*, got \(7, 7\)"),
        ({"maps": MAPS.long()}, r"maps: expected float32, float64 or bfloat16, got torch.int64"),
        ({"maps": MAPS.half()}, r"maps: expected float32, float64 or bfloat16, got torch.float16"),
        ({"maps": MAPS[:, :0]}, r"maps: expected h and w of 1 to 32767, got \(3, 0, 7\)"),
        ({"masks": MASKS[:2]}, r"masks: expected 3 masks, one for each row of the maps, got 2"),
        ({"masks": MASKS[0]}, r"masks: expected 3 dimensions \(N, H, W\), got \(20, 30\)"),
        ({"masks": MASKS.float()}, r"masks: expected bool or uint8 .*, got torch.float32"),
        ({"masks": MASKS[:, :0]}, r"masks: expected H \* W of 1 to 2\^30 - 1, got \(3, 0, 30\)"),
        ({"masks": MASKS.to("meta")}, r"masks: expected the maps' device cpu, got meta"),
        ({"masks": ops.project_masks(MASKS, (6, 7))}, r"masks: expected a projection of shape \(3, 7, 7\)"),
        ({"threshold": 0.0}, r"threshold: expected a number inside \(0, 1\), got 0.0"),
        ({"threshold": 1.0}, r"threshold: expected a number inside \(0, 1\), got 1.0"),
        ({"threshold": float("nan")}, r"threshold: expected a number inside \(0, 1\), got nan"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    arguments = {"maps": MAPS, "masks": MASKS, "threshold": 0.5, **change}
    with pytest.raises(CmrbiasError, match=message):
        ops.overlap(**arguments)


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 4), max_size=5),
    st.lists(st.integers(0, 5), max_size=4),
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.bool]),
    st.sampled_from([torch.bool, torch.uint8, torch.int8, torch.float32]),
    st.floats(),
)
@example([2, 3, 3], [2, 4, 4], torch.float32, torch.bool, 0.5)
def test_nothing_crashes(map_shape, mask_shape, map_dtype, mask_dtype, threshold):
    maps, masks = torch.ones(map_shape).to(map_dtype), torch.ones(mask_shape).to(mask_dtype)
    try:
        found = ops.overlap(maps, masks, threshold)
    except CmrbiasError:
        return
    assert found.saliency.shape == maps.shape[:-2]


# --- where the extension is missing ---------------------------------------------------------------


def test_without_the_extension_torch_does_the_work_after_one_warning():
    code = """
import sys, warnings
sys.modules["cmrbias._C"] = None  # as if it were not installed
import torch
from cmrbias import ops
maps, masks = torch.rand(2, 5, 5, dtype=torch.float64, requires_grad=True), torch.rand(2, 20, 20) < 0.3
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    found = ops.overlap(maps, masks)
    projected = ops.overlap(maps, ops.project_masks(masks, (5, 5)))
    cam, fused = ops.gradcam_overlap(maps[:, None].detach(), maps[:, None].detach(), masks)
(found.inside / found.saliency).sum().backward()
torch.testing.assert_close(found.inside, projected.inside)
torch.testing.assert_close(fused.inside, ops.overlap(cam, masks).inside)
print(len(caught), maps.grad.abs().sum() > 0)
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", "tensor(True)"]
