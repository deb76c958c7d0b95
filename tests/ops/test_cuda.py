"""The CUDA kernels give the processor's results: on a GPU where there is one, and emulated everywhere.

Emulated they are built by g++ against ``emulation/cuda_runtime.h``. That shows their logic; not their speed,
and not all races.
"""

import functools
import importlib.util
import itertools
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from cmrbias import ops, scores

ROOT = Path(__file__).resolve().parents[2]
DTYPES = (torch.float32, torch.float64, torch.bfloat16)
PLANES = 64  # at most, of a swap

_C = ops._C
HAS_GPU = _C is not None and _C.has_cuda and torch.cuda.is_available()
pytestmark = pytest.mark.skipif(_C is None, reason="the extension is not built")
needs_gpu = pytest.mark.skipif(not HAS_GPU, reason="needs a GPU and the CUDA half")
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))

# --- two ways to run them -------------------------------------------------------------------------


@pytest.fixture(scope="session")
def emulated(tmp_path_factory):
    """The extension module with its CUDA half emulated."""
    if shutil.which("g++") is None:
        pytest.skip("no g++ on PATH to build the emulation with")
    folder = tmp_path_factory.mktemp("emulation")
    pybind11 = subprocess.check_output([sys.executable, "-m", "pybind11", "--includes"], text=True).split()
    flags = ["-std=c++17", "-O1", "-fPIC", "-fvisibility=hidden", "-fopenmp", "-ffp-contract=off", "-w"]
    flags += ["-fno-strict-aliasing", "-DCMRBIAS_CUDA", f"-I{Path(__file__).parent / 'emulation'}", *pybind11]
    flags += ['-DPYBIND11_COMPILER_TYPE="emulated"']  # keeps its types apart from the installed module's
    csrc = ROOT / "csrc"
    sources = [*csrc.glob("*.cpp"), *csrc.glob("cpu/*.cpp"), *csrc.glob("cuda/*.cu")]

    def build(source):
        built = folder / f"{source.name}.o"
        subprocess.run(["g++", *flags, "-x", "c++", "-c", source, "-o", built], check=True)
        return built

    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(build, sources))
    subprocess.run(["g++", "-shared", "-fopenmp", *objects, "-o", folder / "_C.so"], check=True)
    spec = importlib.util.spec_from_file_location("_C", folder / "_C.so")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Rerouted:
    """An extension module whose CUDA kernels run where the processor's are asked for."""

    def __init__(self, module):
        self.module = module

    def __getattr__(self, name):
        if name.endswith("_cpu"):
            return functools.partial(self.run, name.removesuffix("_cpu") + "_cuda")
        return getattr(self.module, name)

    def run(self, kernel, *arguments):
        needed = [argument.scratch_bytes for argument in arguments if hasattr(argument, "scratch_bytes")]
        scratch = torch.full((PLANES * sum(needed),), 0xA5, dtype=torch.uint8)  # whatever lay there before
        getattr(self.module, kernel)(*arguments, *([scratch.data_ptr()] if needed else []), 0)


def on_gpu(function, *arguments):
    def there(value):
        if isinstance(value, ops.Projection):
            return value._replace(cells=value.cells.cuda(), areas=value.areas.cuda())
        return value.cuda() if isinstance(value, torch.Tensor) else value

    return function(*map(there, arguments))


@pytest.fixture(params=["emulated", pytest.param("gpu", marks=needs_gpu)])
def both(request, monkeypatch):
    """Runs a function with the processor's kernels, then with those of CUDA, and returns both results."""
    if request.param == "gpu":
        return lambda function, *arguments: (function(*arguments), on_gpu(function, *arguments))
    rerouted = Rerouted(request.getfixturevalue("emulated"))
    modules = [module for name, module in sys.modules.items() if name.startswith("cmrbias.ops.")]

    def run(function, *arguments):
        expected = function(*arguments)
        with monkeypatch.context() as patch:
            for module in modules:
                if hasattr(module, "_C"):
                    patch.setattr(module, "_C", rerouted)
            return expected, function(*arguments)

    return run


def assert_same(expected, found, rtol=0.0, atol=0.0):
    """The same bits (a NaN is a NaN), or as near as said; of a tensor, or of each field of a tuple."""
    if isinstance(expected, tuple):
        for one, other in zip(expected, found, strict=True):
            assert_same(one, other)
    elif isinstance(expected, torch.Tensor):
        torch.testing.assert_close(found.cpu(), expected, rtol=rtol, atol=atol, equal_nan=True)
    else:
        assert found == expected


# --- values ---------------------------------------------------------------------------------------


def make_maps(shape, dtype=torch.float64, seed=0):
    """Returns maps (..., h, w) of all kinds: smooth, tied, flat, tiny, huge, near-constant, negative, NaN."""
    normal = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    flat = normal.flatten(0, -3)  # a view
    kinds = [
        torch.relu, lambda m: (m * 2).round().clamp(0, 4), lambda m: (m > 0.5).double(),
        lambda m: 1 + m * 1e-7, lambda m: m.abs() * 1e-60, lambda m: m.abs() * 1e60,
        lambda m: torch.full_like(m, 0.3), lambda m: m, lambda m: torch.where(m > 1, torch.nan, m.abs()),
        torch.abs,
    ]  # fmt: skip
    for image, kind in zip(flat, itertools.cycle(kinds), strict=False):
        image.copy_(kind(image))
    return normal.to(dtype)


def make_masks(n, rows, columns, seed=0):
    """Returns labels (n, rows, columns), 128 among them: noise, a block, nothing, everything."""
    generator = torch.Generator().manual_seed(seed)
    masks = torch.randint(0, 4, (n, rows, columns), generator=generator, dtype=torch.uint8) * 64
    masks[1::4], masks[2::4], masks[3::4] = 0, 0, 1
    masks[1::4, rows // 3 : rows // 3 + rows // 4 + 1, columns // 4 : columns // 2 + 1] = 2
    return masks


SIZES = [  # (h, w), (H, W)
    ((1, 1), (1, 1)), ((1, 1), (37, 5)), ((7, 7), (224, 224)), ((7, 7), (225, 223)), ((3, 5), (96, 40)),
    ((9, 8), (5, 3)), ((4, 4), (2, 64)), ((20, 35), (61, 70)), ((34, 17), (34, 17)), ((17, 16), (136, 32)),
    ((2, 3), (1, 200)), ((300, 2), (40, 16)), ((5, 2), (25, 32)), ((2, 17), (6, 544)), ((1, 1), (128, 128)),
    ((1, 2), (129, 256)), ((1, 2), (2, 512)), ((2, 2), (256, 256)), ((18, 2), (54, 32)),
]  # fmt: skip
every_size = pytest.mark.parametrize(
    ("grid", "size"), SIZES, ids=[f"{a[0]}x{a[1]}-{b[0]}x{b[1]}" for a, b in SIZES]
)


def is_whole(grid, size):
    return size[0] % grid[0] == 0 and size[1] % grid[1] == 0


@every_dtype
@pytest.mark.parametrize("channels", [0, 1, 64, 150])
@pytest.mark.parametrize("cells", [(1, 5), (2, 4), (7, 7), (14, 14), (18, 15)])
def test_gradcam(both, cells, channels, dtype):
    generator = torch.Generator().manual_seed(channels)
    activations = torch.randn(2, channels, *cells, generator=generator, dtype=torch.float64).to(dtype)
    gradients = torch.randn(2, 3, channels, *cells, generator=generator, dtype=torch.float64).to(dtype)
    assert_same(*both(ops.gradcam, activations, gradients))
    assert_same(*both(ops.gradcam, activations, gradients[:, 0]))
    if channels:
        gradients[0, 0, -1, -1, -1], activations[1, 0, 0, 0] = torch.nan, torch.inf
        assert_same(*both(ops.gradcam, activations, gradients))


@pytest.mark.parametrize(("cells", "channels"), [((7, 7), 150), ((2, 3), 300)])
def test_many_maps_share_blocks(both, cells, channels):
    """So many that a block takes several segments of a map's channels."""
    generator = torch.Generator().manual_seed(channels)
    images = 2100 // (channels // 64)
    activations = torch.randn(images, channels, *cells, generator=generator)
    gradients = torch.randn(images, channels, *cells, generator=generator)
    masks = make_masks(images, cells[0] * 2, cells[1] * 16)
    assert_same(*both(ops.gradcam, activations, gradients))
    assert_same(*both(ops.gradcam_overlap, activations, gradients, masks))


@every_size
def test_project_masks(both, grid, size):
    expected, found = both(ops.project_masks, make_masks(5, *size), grid)
    assert_same(expected.areas, found.areas)
    tolerance = 0 if is_whole(grid, size) else 1e-13 * expected.cells.sum((1, 2)).max().item()
    assert_same(expected.cells, found.cells, atol=tolerance)


@pytest.mark.parametrize("start", range(9))
def test_masks_may_begin_at_any_byte(both, start):
    masks = torch.cat([torch.zeros(start, dtype=torch.uint8), make_masks(3, 24, 48).flatten()])
    assert_same(*both(ops.project_masks, masks[start:].view(3, 24, 48), (3, 3)))


@every_dtype
@every_size
def test_overlap(both, grid, size, dtype):
    maps, masks = make_maps((5, 2, *grid), dtype, seed=sum(size)), make_masks(5, *size)
    expected, found = both(ops.overlap, maps, masks, 0.5)
    for name in ("saliency", "minimum", "maximum", "area", "hot_area", "hot_inside", "peak_inside"):
        assert_same(getattr(expected, name), getattr(found, name))
    tolerance = 0 if is_whole(grid, size) else 1e-12
    assert_same(expected.ceiling, found.ceiling, rtol=tolerance)
    share, found_share = (part.inside.cpu() / expected.saliency for part in (expected, found))
    assert_same(share, found_share, atol=tolerance)


@every_dtype
@every_size
def test_overlap_with_projections(both, grid, size, dtype):
    maps, masks = make_maps((5, 2, *grid), dtype, seed=sum(size)), make_masks(5, *size)
    assert_same(*both(ops.overlap, maps, ops.project_masks(masks, grid)))


@every_dtype
@every_size
def test_extreme_pixels(both, grid, size, dtype):
    maps = make_maps((10, *grid), dtype, seed=sum(size))
    assert_same(*both(torch.ops.cmrbias.extreme_pixels, maps, *size))


@pytest.mark.parametrize(("grid", "size"), [((5, 2), (3, 64)), ((4, 3), (3, 96))])
def test_rounding_may_put_an_extreme_beyond_the_corners_of_patches(both, grid, size):
    generator = torch.Generator().manual_seed(0)
    maps = 1 / 3 + torch.rand(100, *grid, generator=generator, dtype=torch.float64) * 2**-50
    maps[:, 1::3] = 1  # see test_overlap.py
    assert_same(*both(ops.overlap, maps, ops.project_masks(make_masks(100, *size), grid)))


@every_dtype
@pytest.mark.parametrize(("channels", "scale"), [(70, (5, 16)), (128, (3, 16)), (128, (8, 8))])
@pytest.mark.parametrize("cells", [(7, 7), (2, 3), (14, 14), (18, 15)])
def test_gradcam_overlap(both, cells, channels, scale, dtype):
    """In one kernel, or in several: where maps are large, or masks' words cross patches."""
    generator = torch.Generator().manual_seed(1)
    activations = torch.rand(3, channels, *cells, generator=generator).to(dtype)
    gradients = torch.randn(3, 2, channels, *cells, generator=generator).to(dtype)
    masks = make_masks(3, scale[0] * cells[0], scale[1] * cells[1])
    assert_same(*both(ops.gradcam_overlap, activations, gradients, masks))


@needs_gpu
def test_more_images_than_a_grid_has_blocks():
    """Emulated this would take minutes."""
    generator = torch.Generator().manual_seed(3)
    activations, gradients = torch.randn(2, 70000, 3, 1, 2, generator=generator)
    masks = make_masks(70000, 2, 32)
    expected = ops.gradcam_overlap(activations, gradients, masks)
    assert_same(expected, on_gpu(ops.gradcam_overlap, activations, gradients, masks))


def gradients(maps, masks):
    """The gradients of AKS, soft DSC and both extremes with respect to maps."""
    maps = maps.clone().requires_grad_()
    found = ops.overlap(maps, masks)
    values = [scores.aks(found), scores.dsc(found), found.minimum, found.maximum]
    return tuple(torch.autograd.grad(value.sum(), maps, retain_graph=True)[0] for value in values)


@every_dtype
@pytest.mark.parametrize("size", [(56, 56), (57, 50)])
def test_gradients_of_overlap(both, size, dtype):
    maps = torch.rand(3, 2, 7, 7, generator=torch.Generator().manual_seed(2)).to(dtype)
    for expected, found in zip(*both(gradients, maps, make_masks(3, *size)), strict=True):
        assert_same(expected, found, rtol=1e-2 if dtype is torch.bfloat16 else 1e-5, atol=1e-6)


@every_dtype
@pytest.mark.parametrize("fill", ["donor", "mean", "inpaint"])
@pytest.mark.parametrize("align", ["none", "centroid"])
@pytest.mark.parametrize("size", [(1, 1), (18, 29), (50, 42)])  # the last: whole fours of pixels
def test_background_swap(both, size, align, fill, dtype):
    images = make_maps((3, 2, *size), dtype)
    masks = make_masks(6, *size).view(3, 2, *size)
    donors = torch.tensor([1, 2, 2])
    assert_same(*both(ops.background_swap, images, masks, donors, fill, align))
    assert_same(*both(ops.background_swap, images, masks[:, :1], donors, fill, align))
    assert_same(*both(ops.background_residual, masks, donors, align))
    shifts = ops.centroid_shifts(masks, donors) if align == "centroid" else None
    assert_same(*both(torch.ops.cmrbias.background_swap_backward, images, masks, donors, shifts, fill))


# --- on a GPU, and without one --------------------------------------------------------------------


def arguments_of(kernel):
    gradcam = {"type": _C.Type.float32, "images": 1, "targets": 1, "channels": 1, "cells": 1}
    grid = {"images": 1, "height": 1, "width": 1, "rows": 1, "columns": 1}
    overlap = {"type": _C.Type.float32, "targets": 1, "threshold": 0.5, **grid}
    made = {
        "gradcam": _C.Gradcam(**gradcam, activations=0, gradients=0, maps=0),
        "project_masks": _C.Projection(**grid, masks=0, cells=0, areas=0),
        "overlap": _C.Overlap(**overlap, maps=0, masks=0, cells=0, areas=0, sums=0, counts=0, of_mask=0),
        "extreme_pixels": _C.Extremes(type=_C.Type.float32, **grid, maps=0, pixels=0),
    }
    return [made[name] for name in (("gradcam", "overlap") if kernel == "gradcam_overlap" else (kernel,))]


@pytest.mark.skipif(_C is not None and not _C.has_cuda, reason="the extension was built without CUDA")
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: the launch would not fail")
@pytest.mark.parametrize(
    "kernel", ["gradcam", "project_masks", "overlap", "gradcam_overlap", "extreme_pixels"]
)
def test_a_launch_without_a_gpu_is_a_clean_error(kernel):
    with pytest.raises(RuntimeError, match=r"^CUDA kernel (gradcam|grid): \w+: .*(driver|device)"):
        getattr(_C, f"{kernel}_cuda")(*arguments_of(kernel), 0, 0)


@needs_gpu
def test_runs_on_the_current_stream():
    maps, masks = make_maps((5, 7, 7), torch.float32), make_masks(5, 224, 224)
    expected = ops.overlap(maps, masks)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        there = torch.zeros_like(maps, device="cuda")
        torch.cuda._sleep(10**8)  # what another stream would overtake
        there.copy_(maps.pin_memory(), non_blocking=True)
        found = ops.overlap(there, masks.cuda(non_blocking=True))
    stream.synchronize()
    assert_same(tuple(expected), tuple(found))


@needs_gpu
@pytest.mark.parametrize("targets", [None, 3])
def test_opcheck(targets):
    shape = (3, 7, 7) if targets is None else (3, targets, 7, 7)
    maps, masks = make_maps(shape, torch.float64).abs().nan_to_num().cuda(), make_masks(3, 56, 56).cuda()
    activations = torch.rand(3, 8, 7, 7, device="cuda", dtype=torch.float64)
    gradients = torch.rand(*shape[:-2], 8, 7, 7, device="cuda", dtype=torch.float64)
    cells, areas = torch.ops.cmrbias.project_masks(masks, 7, 7)
    for name, arguments in {
        "gradcam": (activations.requires_grad_(), gradients.requires_grad_()),
        "project_masks": (masks, 7, 7),
        "overlap": (maps.requires_grad_(), masks, 0.5),
        "overlap_projected": (maps, cells, areas, 56, 56),
        "gradcam_overlap": (activations.detach(), gradients.detach(), masks, 0.5),
        "extreme_pixels": (maps.detach(), 56, 56),
        "gradcam_no_grad": (activations.detach(), gradients.detach()),
        "overlap_no_grad": (maps.detach(), masks, 0.5),
        "overlap_projected_no_grad": (maps.detach(), cells, areas, 56, 56),
    }.items():
        torch.library.opcheck(getattr(torch.ops.cmrbias, name).default, arguments)
