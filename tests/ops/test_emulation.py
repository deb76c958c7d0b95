"""The CUDA kernels without a GPU: built by g++ against ``emulation/cuda_runtime.h``, they give the processor's
results. That shows the kernels' logic; not their speed, and not all races."""

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

from cmrbias import ops

ROOT = Path(__file__).resolve().parents[2]
DTYPES = (torch.float32, torch.float64, torch.bfloat16)
PLANES = 64  # at most, of a swap

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ on PATH to build the emulation with"),
    pytest.mark.skipif(ops._C is None, reason="the extension is not built: nothing to compare with"),
]
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))


@pytest.fixture(scope="session")
def emulated(tmp_path_factory):
    """The extension module with its CUDA half emulated."""
    folder = tmp_path_factory.mktemp("emulation")
    pybind11 = subprocess.check_output([sys.executable, "-m", "pybind11", "--includes"], text=True).split()
    flags = ["-std=c++17", "-O1", "-fPIC", "-fvisibility=hidden", "-fopenmp", "-ffp-contract=off"]
    flags += [
        "-fno-strict-aliasing",
        "-w",
        "-DCMRBIAS_CUDA",
        f"-I{Path(__file__).parent / 'emulation'}",
        *pybind11,
    ]
    flags += ['-DPYBIND11_COMPILER_TYPE="emulated"']  # keeps its types apart from the installed module's
    sources = [
        *(ROOT / "csrc").glob("*.cpp"),
        *(ROOT / "csrc/cpu").glob("*.cpp"),
        *(ROOT / "csrc/cuda").glob("*.cu"),
    ]

    def build(source):
        built = folder / f"{source.name}.o"
        command = ["g++", *flags, "-x", "c++", "-c", source, "-o", built]
        subprocess.run(command, check=True)
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


@pytest.fixture
def both(emulated, monkeypatch):
    """Runs a function with the processor's kernels, then with the emulated ones, and returns both results."""
    modules = [module for name, module in sys.modules.items() if name.startswith("cmrbias.ops.")]

    def run(function, *arguments):
        expected = function(*arguments)
        with monkeypatch.context() as patch:
            for module in modules:
                if hasattr(module, "_C"):
                    patch.setattr(module, "_C", Rerouted(emulated))
            return expected, function(*arguments)

    return run


def assert_same(expected, found, name=None):
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True, msg=name and f"{name}: {{}}")


def make_maps(shape, dtype=torch.float64, seed=0):
    """Returns maps (..., h, w) of all kinds: smooth, tied, flat, tiny, huge, near-constant, negative, NaN."""
    normal = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    flat = normal.flatten(0, -3)  # a view
    kinds = [
        torch.relu, lambda m: (m * 2).round().clamp(0, 4), lambda m: (m > 0.5).double(), lambda m: 1 + m * 1e-7,
        lambda m: m.abs() * 1e-60, lambda m: m.abs() * 1e60, lambda m: torch.full_like(m, 0.3), lambda m: m,
        lambda m: torch.where(m > 1, torch.nan, m.abs()), torch.abs,
    ]  # fmt: skip
    for image, kind in zip(flat, itertools.cycle(kinds), strict=False):
        image.copy_(kind(image))
    return normal.to(dtype)


def make_masks(n, rows, columns, seed=0):
    """Returns labels (n, rows, columns): noise, a block, nothing, everything."""
    generator = torch.Generator().manual_seed(seed)
    masks = torch.randint(0, 4, (n, rows, columns), generator=generator, dtype=torch.uint8)
    masks[1::4], masks[2::4], masks[3::4] = 0, 0, 1
    masks[1::4, rows // 3 : rows // 3 + rows // 4 + 1, columns // 4 : columns // 2 + 1] = 2
    return masks


SIZES = [  # (h, w), (H, W)
    ((1, 1), (1, 1)), ((1, 1), (37, 5)), ((7, 7), (224, 224)), ((7, 7), (225, 223)), ((3, 5), (96, 40)),
    ((9, 8), (5, 3)), ((4, 4), (2, 64)), ((20, 35), (61, 70)), ((34, 17), (34, 17)), ((17, 16), (136, 32)),
    ((2, 3), (1, 200)), ((300, 2), (40, 16)),
]  # fmt: skip
every_size = pytest.mark.parametrize(
    ("grid", "size"), SIZES, ids=[f"{a[0]}x{a[1]}-{b[0]}x{b[1]}" for a, b in SIZES]
)


def is_whole(grid, size):
    return size[0] % grid[0] == 0 and size[1] % grid[1] == 0


@every_dtype
@pytest.mark.parametrize("channels", [0, 1, 63, 64, 65, 200])
@pytest.mark.parametrize("cells", [(1, 1), (1, 7), (2, 4), (7, 7), (20, 15)])
def test_gradcam(both, cells, channels, dtype):
    generator = torch.Generator().manual_seed(channels)
    activations = torch.randn(2, channels, *cells, generator=generator, dtype=torch.float64).to(dtype)
    gradients = torch.randn(2, 3, channels, *cells, generator=generator, dtype=torch.float64).to(dtype)
    assert_same(*both(ops.gradcam, activations, gradients))
    assert_same(*both(ops.gradcam, activations, gradients[:, 0]))
    if channels:
        gradients[0, 0, -1, -1, -1], activations[1, 0, 0, 0] = torch.nan, torch.inf
        assert_same(*both(ops.gradcam, activations, gradients))


@every_size
def test_project_masks(both, grid, size):
    expected, found = both(ops.project_masks, make_masks(5, *size), grid)
    assert torch.equal(found.areas, expected.areas)
    tolerance = 0 if is_whole(grid, size) else 1e-13 * expected.cells.sum((1, 2)).max().item()
    torch.testing.assert_close(found.cells, expected.cells, rtol=0, atol=tolerance)


def test_masks_that_begin_anywhere_and_one_that_fills_no_word(both):
    for start in range(9):
        masks = torch.cat([torch.zeros(start, dtype=torch.uint8), make_masks(3, 24, 48).flatten()])[start:]
        expected, found = both(ops.project_masks, masks.view(3, 24, 48), (3, 3))
        assert torch.equal(found.areas, expected.areas)
        assert torch.equal(found.cells, expected.cells)


@every_dtype
@every_size
def test_overlap(both, grid, size, dtype):
    maps, masks = make_maps((5, 2, *grid), dtype, seed=sum(size)), make_masks(5, *size)
    for threshold in (0.5, 1 / 3):
        expected, found = both(ops.overlap, maps, masks, threshold)
        for name in ("minimum", "maximum", "area", "hot_area", "hot_inside", "peak_inside"):
            assert_same(getattr(expected, name), getattr(found, name), name)
        exact = is_whole(grid, size)
        assert_same(expected.saliency, found.saliency)
        torch.testing.assert_close(found.ceiling, expected.ceiling, rtol=0 if exact else 1e-12, atol=0)
        error = (found.inside - expected.inside).abs() / (expected.saliency + 1e-300)
        assert error.nan_to_num(0).max() <= (0 if exact else 1e-12)
    projection = ops.project_masks(masks, grid)
    expected, found = both(ops.overlap, maps, projection)
    for name, one, other in zip(expected._fields, expected, found, strict=True):
        if isinstance(one, torch.Tensor):
            assert_same(one, other, name)


@every_dtype
@every_size
def test_extreme_pixels(both, grid, size, dtype):
    maps = make_maps((10, *grid), dtype, seed=sum(size))
    assert_same(*both(torch.ops.cmrbias.extreme_pixels, maps, *size))


@every_dtype
def test_gradcam_overlap(both, dtype):
    generator = torch.Generator().manual_seed(1)
    activations = torch.rand(3, 70, 7, 7, generator=generator).to(dtype)
    gradients = torch.randn(3, 2, 70, 7, 7, generator=generator).to(dtype)
    (maps, expected), (found_maps, found) = both(
        ops.gradcam_overlap, activations, gradients, make_masks(3, 112, 112)
    )
    assert_same(maps, found_maps)
    for name, one, other in zip(expected._fields, expected, found, strict=True):
        if isinstance(one, torch.Tensor):
            assert_same(one, other, name)


@every_dtype
@pytest.mark.parametrize("fill", ["donor", "mean", "inpaint"])
@pytest.mark.parametrize("size", [(1, 1), (17, 30), (33, 8)])
def test_background_swap(both, size, fill, dtype):
    images = make_maps((4, 2, *size), dtype)
    masks = make_masks(8, *size).view(4, 2, *size)
    donors = torch.tensor([1, 2, 2, 0])
    assert_same(*both(ops.background_swap, images, masks, donors, fill))
    assert_same(*both(ops.background_swap, images, masks[:, :1].contiguous(), donors, fill))
    assert_same(*both(torch.ops.cmrbias.background_swap_backward, images, masks, donors, fill))
