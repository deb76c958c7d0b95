"""The extension builds with and without CUDA, says which, and needs no torch to do so."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NVCC = shutil.which("nvcc")
needs_cmake = pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake on PATH")


def configure(folder, choice, nvcc):
    """Runs CMake's first half with ``nvcc`` (None: not to be found) and returns its status and words."""
    pybind11 = subprocess.check_output([sys.executable, "-m", "pybind11", "--cmakedir"], text=True).strip()
    folders = [f for f in os.environ["PATH"].split(os.pathsep) if not (Path(f) / "nvcc").exists()]
    command = [shutil.which("cmake"), "-S", ROOT / "csrc", "-B", folder, f"-DCMRBIAS_CUDA={choice}"]
    command += [f"-Dpybind11_DIR={pybind11}", f"-DPython_EXECUTABLE={sys.executable}"]
    environment = {**os.environ, "PATH": os.pathsep.join(folders), "CUDACXX": str(nvcc or "")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def broken_nvcc(tmp_path):
    script = tmp_path / "nvcc"
    script.write_text("#!/bin/sh\nexit 1\n")
    script.chmod(0o755)
    return script


@needs_cmake
@pytest.mark.parametrize("broken", [False, True], ids=["no nvcc", "an nvcc that fails"])
def test_without_nvcc_the_default_says_that_it_leaves_cuda_out(tmp_path, broken, broken_nvcc):
    status, words = configure(tmp_path / "build", "AUTO", broken_nvcc if broken else None)
    assert status == 0, words
    assert "*** cmrbias: no working nvcc was found, so this build runs on processors only" in words


@needs_cmake
@pytest.mark.parametrize("broken", [False, True], ids=["no nvcc", "an nvcc that fails"])
def test_without_nvcc_asking_for_cuda_is_an_error(tmp_path, broken, broken_nvcc):
    status, words = configure(tmp_path / "build", "ON", broken_nvcc if broken else None)
    assert status != 0
    assert "CMRBIAS_CUDA=ON, but no working nvcc was found" in words


@needs_cmake
def test_another_choice_is_an_error(tmp_path):
    status, words = configure(tmp_path / "build", "maybe", None)
    assert status != 0
    assert "CMRBIAS_CUDA: expected AUTO, ON or OFF, got 'MAYBE'" in words


def build(folder, choice):
    """Builds a wheel, where torch cannot be imported, and returns its file and the unpacked folder."""
    (folder / "no-torch").mkdir()
    (folder / "no-torch" / "torch.py").write_text("raise ImportError('the build must not import torch')\n")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    command += ["-C", f"cmake.define.CMRBIAS_CUDA={choice}", "-w", str(folder), str(ROOT)]
    environment = {**os.environ, "PYTHONPATH": str(folder / "no-torch"), "CUDAARCHS": "80"}  # one is enough
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("cmrbias-*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "unpacked")
    return zipfile.ZipFile(wheel).namelist(), folder / "unpacked"


def python(folder, code):
    """Runs a program that finds ``folder`` first and returns what it printed."""
    return subprocess.check_output(
        [sys.executable, "-c", code], text=True, cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}
    ).strip()


TRY = """
import torch, cmrbias
from cmrbias import _C, ops
images, masks, donors = torch.rand(4, 2, 9, 8), torch.rand(4, 2, 9, 8) < 0.4, torch.tensor([1, 2, 3, 0])
swapped = ops.background_swap(images, masks, donors)
assert torch.equal(swapped, ops.background_swap_reference(images, masks, donors))
print(cmrbias.__path__[0], _C.has_cuda, sum(name.endswith("_cuda") for name in dir(_C)))
"""


@pytest.mark.slow
def test_a_wheel_for_processors_only(tmp_path):
    names, folder = build(tmp_path, "OFF")
    assert sum(name.startswith("cmrbias/_C.") and name.endswith(".so") for name in names) == 1
    assert "cmrbias/_C.pyi" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("csrc", "tests", "plugins", "benchmarks"))]
    assert python(folder, TRY) == f"{folder}/cmrbias False 1"  # has_cuda itself is the one


@pytest.mark.slow
@pytest.mark.skipif(NVCC is None, reason="no nvcc on PATH")
def test_a_wheel_with_cuda(tmp_path):
    _, folder = build(tmp_path, "ON")
    assert python(folder, TRY) == f"{folder}/cmrbias True 10"
