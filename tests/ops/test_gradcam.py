"""GradCAM maps, and the pass that scores them at once."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cmrbias import ops
from cmrbias.errors import CmrbiasError

DTYPES = (torch.float32, torch.float64, torch.bfloat16)
needs_extension = pytest.mark.skipif(ops._C is None, reason="the extension is not built")


def layer(n=3, k=6, h=5, w=4, targets=None, dtype=torch.float64, seed=0):
    """Returns activations and gradients of a layer."""
    generator = torch.Generator().manual_seed(seed)
    shape = (n, k, h, w) if targets is None else (n, targets, k, h, w)
    activations = torch.rand(n, k, h, w, generator=generator, dtype=torch.float64)
    gradients = torch.randn(shape, generator=generator, dtype=torch.float64)
    return activations.to(dtype), gradients.to(dtype)


@given(
    n=st.integers(1, 3), k=st.integers(1, 40), h=st.integers(1, 9), w=st.integers(1, 9),
    targets=st.sampled_from([None, 1, 3]), dtype=st.sampled_from(DTYPES), seed=st.integers(0, 1000),
)  # fmt: skip
def test_equals_the_reference_in_float64(n, k, h, w, targets, dtype, seed):
    activations, gradients = layer(n, k, h, w, targets, dtype, seed)
    maps = ops.gradcam(activations, gradients)
    expected = ops.gradcam_reference(activations.double(), gradients.double())
    assert maps.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert maps.shape == ((n, h, w) if targets is None else (n, targets, h, w))
    rounding = 1e-13 if dtype == torch.float64 else 6e-8
    torch.testing.assert_close(maps.double(), expected, rtol=rounding, atol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [1, 67, 1030])
def test_adds_channels_in_order_in_segments_of_64_whatever_the_size_of_an_image(k, dtype):
    """The order that processors and GPUs have in common: the last bits depend on it."""
    activations, gradients = layer(n=2, k=k, h=7, w=7, dtype=dtype)
    gradients = (8 * gradients).round() * 49  # the means are exact: their order is another test's
    weights, real = gradients.double().sum((2, 3)) / 49, activations.double()
    total = torch.zeros(2, 7, 7, dtype=torch.float64)
    for segment in torch.arange(k).split(64):
        part = torch.zeros_like(total)
        for channel in segment:
            part = part + weights[:, channel, None, None] * real[:, channel]
        total = total + part
    maps = ops.gradcam(activations, gradients)
    assert torch.equal(maps, total.relu().to(maps.dtype))


def test_equals_a_backward_pass_through_a_network():
    torch.manual_seed(0)
    features, head = nn.Conv2d(1, 6, 3), nn.Linear(6, 4)
    activations = features(torch.rand(2, 1, 9, 9)).relu()
    logits = head(activations.mean((2, 3)))
    gradients = torch.stack([torch.autograd.grad(logits[:, c].sum(), activations, retain_graph=True)[0]
                             for c in range(4)], 1)  # fmt: skip
    maps = ops.gradcam(activations.detach(), gradients)
    closed = torch.einsum("ck,nkyx->ncyx", head.weight, activations).relu() / 49
    torch.testing.assert_close(maps, closed.detach())


def test_by_hand():
    activations = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    gradients = torch.tensor([[[[1.0, 3.0]], [[-2.0, 0.0]]]])  # weights 2 and -1
    assert ops.gradcam(activations, gradients).tolist() == [[[0.0, 0.0]]]
    assert ops.gradcam(activations, -gradients).tolist() == [[[1.0, 0.0]]]


@pytest.mark.parametrize("shape", [(12, 3, 7), (12, 1, 1), (12, 2, 3), (1030, 7, 7)])
def test_nan_and_infinity_reach_the_map_once(shape):
    activations, gradients = layer(2, *shape)
    gradients[0, 5, -1, -1] = torch.nan
    activations[1, 3, 0, 0] = torch.inf
    gradients[1, 3] = 1
    maps = ops.gradcam(activations, gradients)
    assert maps[0].isnan().all()
    assert maps[1, 0, 0] == torch.inf
    assert maps[1].flatten()[1:].isfinite().all()


def test_without_channels_the_map_is_zero():
    assert (ops.gradcam(torch.rand(2, 0, 3, 3), torch.rand(2, 0, 3, 3)) == 0).all()


@pytest.mark.parametrize("targets", [None, 0, 2])
def test_empty_batches(targets):
    activations, gradients = layer(n=0, targets=targets)
    assert ops.gradcam(activations, gradients).shape == (*gradients.shape[:-3], 5, 4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_non_contiguous_inputs(dtype):
    activations, gradients = layer(targets=2, dtype=dtype)
    strided = activations.to(memory_format=torch.channels_last)
    turned = gradients.permute(4, 3, 2, 1, 0).contiguous().permute(4, 3, 2, 1, 0)
    assert not strided.is_contiguous()
    assert torch.equal(ops.gradcam(strided, turned), ops.gradcam(activations, gradients))


@pytest.mark.parametrize("k", [130, 1030])
def test_same_bits_for_any_number_of_threads(k, set_threads):
    activations, gradients = layer(n=7, k=k, h=7, w=7, dtype=torch.float32)
    results = []
    for threads in (1, 2, 5):
        set_threads(threads)
        results.append(ops.gradcam(activations, gradients))
    assert all(torch.equal(results[0], other) for other in results)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("k", "h", "w"), [(77, 1, 3), (77, 7, 7), (77, 8, 8), (1030, 7, 7)])
def test_same_bits_on_every_instruction_set(k, h, w, dtype, on_every_instruction_set):
    activations, gradients = layer(n=3, k=k, h=h, w=w, targets=2, dtype=dtype)
    gradients[0, 0, 0, 0, 1:3] = torch.tensor([torch.nan, -torch.nan], dtype=dtype)
    results = on_every_instruction_set(lambda: ops.gradcam(activations, gradients))
    assert results[0].isnan().any()
    assert all(torch.equal(results[0].view(torch.uint8), other.view(torch.uint8)) for other in results)


@pytest.mark.parametrize("targets", [None, 2])
def test_gradcheck(targets):
    activations, gradients = layer(n=2, k=3, h=2, w=3, targets=targets)
    arguments = activations.requires_grad_(), gradients.requires_grad_()
    assert torch.autograd.gradcheck(ops.gradcam, arguments)
    assert torch.autograd.gradgradcheck(ops.gradcam, arguments)


@needs_extension
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("targets", [None, 2])
def test_opcheck(dtype, targets):
    activations, gradients = layer(n=2, k=3, h=2, w=3, targets=targets, dtype=dtype)
    masks = torch.rand(2, 9, 9) < 0.4
    fused = torch.ops.cmrbias.gradcam_overlap.default
    torch.library.opcheck(fused, (activations, gradients, masks, 0.5))
    torch.library.opcheck(torch.ops.cmrbias.gradcam_no_grad.default, (activations, gradients))
    arguments = activations.requires_grad_(), gradients.requires_grad_()
    torch.library.opcheck(torch.ops.cmrbias.gradcam.default, arguments)


@given(
    n=st.integers(1, 3), k=st.integers(1, 20), h=st.integers(1, 8), size=st.integers(1, 50),
    targets=st.sampled_from([None, 2]), dtype=st.sampled_from(DTYPES),
)  # fmt: skip
def test_the_fused_pass_gives_the_bits_of_one_step_after_the_other(n, k, h, size, targets, dtype):
    activations, gradients = layer(n, k, h, h, targets, dtype)
    masks = torch.rand(n, size, size, generator=torch.Generator().manual_seed(size)) < 0.3
    maps, fused = ops.gradcam_overlap(activations, gradients, masks, 0.3)
    stepwise = ops.overlap(ops.gradcam(activations, gradients), masks, 0.3)
    assert torch.equal(maps, ops.gradcam(activations, gradients))
    for name in fused._fields[:-1]:
        assert torch.equal(getattr(fused, name), getattr(stepwise, name)), name


@needs_extension
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # inductor's own
def test_compiles_as_one_graph():
    torch._dynamo.reset()
    activations, gradients = layer(dtype=torch.float32)
    masks = torch.rand(3, 20, 20) < 0.4
    compiled = torch.compile(ops.gradcam_overlap, fullgraph=True)
    maps, found = compiled(activations, gradients, masks)
    assert torch.equal(found.inside, ops.gradcam_overlap(activations, gradients, masks)[1].inside)
    assert torch.equal(maps, torch.compile(ops.gradcam, fullgraph=True)(activations, gradients))


def test_the_fused_pass_refuses_to_be_differentiated():
    activations, gradients = layer()
    masks = torch.ones(3, 20, 20, dtype=torch.bool)
    activations.requires_grad_()
    with pytest.raises(CmrbiasError, match=r"gradcam_overlap: is for inference only, .*torch.no_grad"):
        ops.gradcam_overlap(activations, gradients, masks)
    with torch.no_grad():
        ops.gradcam_overlap(activations, gradients, masks)


A, G = layer()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((A[0], G), r"activations: expected 4 dimensions \(N, K, h, w\), got \(6, 5, 4\)"),
        ((A, G[:2]), r"gradients: expected \(3, 6, 5, 4\) as the activations, or .*, got \(2, 6, 5, 4\)"),
        ((A, G[:, None, 1:]), r"gradients: expected .* or \(3, M, 6, 5, 4\), got \(3, 1, 5, 5, 4\)"),
        ((A, G.float()), r"gradients: expected torch.float64 as the activations, got torch.float32"),
        ((A.half(), G.half()), r"activations: expected float32, float64 or bfloat16, got torch.float16"),
        ((A, G.to("meta")), r"gradients: expected the activations' device cpu, got meta"),
        ((A[..., :0], G[..., :0]), r"activations: expected at least one cell, got \(3, 6, 5, 0\)"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(CmrbiasError, match=message):
        ops.gradcam(*arguments)
    with pytest.raises(CmrbiasError, match=message):
        ops.gradcam_overlap(*arguments, torch.ones(3, 9, 9, dtype=torch.bool))


def test_wrong_masks_of_the_fused_pass_are_named():
    with pytest.raises(CmrbiasError, match=r"masks: expected 3 masks, .* of the activations, got 2"):
        ops.gradcam_overlap(A, G, torch.ones(2, 9, 9, dtype=torch.bool))
    with pytest.raises(CmrbiasError, match=r"threshold: expected a number inside \(0, 1\), got 2"):
        ops.gradcam_overlap(A, G, torch.ones(3, 9, 9, dtype=torch.bool), 2)
