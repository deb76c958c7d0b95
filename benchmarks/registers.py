"""Claim: no CUDA kernel spills registers, on any architecture that is built for.

Compiles csrc/cuda/*.cu with nvcc, a GPU is not needed, and prints each kernel's registers, shared memory and
spills; exits with 1 if any kernel spills.

    python benchmarks/registers.py
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

CSRC = Path(__file__).resolve().parents[1] / "csrc"
FLAGS = ["-std=c++17", "-O3", "--fmad=false", "-Xptxas", "-v"]  # as csrc/CMakeLists.txt
REPORT = re.compile(
    r"Compiling entry function '(?P<kernel>\w+)' for 'sm_(?P<architecture>\w+)'"
    r".*?(?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads"
    r".*?Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.DOTALL,
)


class Usage(NamedTuple):
    """What a kernel needs on an architecture."""

    kernel: str  # mangled
    architecture: int
    registers: int
    shared_bytes: int
    spilled_bytes: int


def read_report(report: str) -> list[Usage]:
    """Returns what ptxas said about each kernel."""
    usages = []
    for found in REPORT.finditer(report):
        shared = re.search(r"(\d+) bytes smem", found["rest"])
        usages.append(
            Usage(
                found["kernel"],
                int(found["architecture"]),
                int(found["registers"]),
                int(shared[1]) if shared else 0,
                int(found["stores"]) + int(found["loads"]),
            )
        )
    return usages


def architectures(nvcc: str) -> list[str]:
    """Returns those of cuda_architectures.cmake that this nvcc knows."""
    words = (CSRC / "cuda_architectures.cmake").read_text()
    wanted = re.search(r"foreach\(capability ([\d ]+)\)", words)
    assert wanted, "cuda_architectures.cmake lists no capabilities"
    known = subprocess.check_output([nvcc, "--list-gpu-arch"], text=True).split()
    return [capability for capability in wanted[1].split() if f"compute_{capability}" in known]


def compile_file(nvcc: str, source: Path, capabilities: list[str]) -> list[Usage]:
    codes = [f"-gencode=arch=compute_{one},code=sm_{one}" for one in capabilities]
    with tempfile.TemporaryDirectory() as folder:
        command = [nvcc, *FLAGS, *codes, "-c", str(source), "-o", f"{folder}/out.o"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{source.name} does not compile:\n{done.stdout}{done.stderr}")
    usages = read_report(done.stdout + done.stderr)
    if not usages:
        sys.exit(f"{source.name}: ptxas reported no kernel")
    return usages


def demangle(names: list[str]) -> list[str]:
    """Returns kernels' names without namespaces and parameters."""
    program = shutil.which("c++filt") or shutil.which("cu++filt")
    if program is None:
        return names
    plain = subprocess.check_output([program], input="\n".join(names), text=True).splitlines()
    plain = [re.sub(r"cmrbias::|cuda::|\(anonymous namespace\)::|^void ", "", name) for name in plain]
    return [re.sub(r"\(.*", "", name) for name in plain]


def main() -> None:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        sys.exit("no nvcc on PATH: this needs the CUDA toolkit, though no GPU")
    capabilities = architectures(nvcc)
    sources = sorted((CSRC / "cuda").glob("*.cu"))
    with ThreadPoolExecutor() as pool:
        reports = list(pool.map(lambda source: compile_file(nvcc, source, capabilities), sources))
    spilling = 0
    print(f"{'kernel':34} {'sm':>4} {'registers':>9} {'shared':>7} {'spilled':>7}")
    for source, usages in zip(sources, reports, strict=True):
        print(source.name)
        names = demangle([usage.kernel for usage in usages])
        for name, usage in sorted(zip(names, usages, strict=True)):
            spilling += usage.spilled_bytes > 0
            print(
                f"  {name:32} {usage.architecture:4} {usage.registers:9} {usage.shared_bytes:7} "
                f"{usage.spilled_bytes:7}{' <- spills' if usage.spilled_bytes else ''}"
            )
    total = sum(map(len, reports))
    print(f"{total} kernels for {', '.join(capabilities)}: {spilling or 'none'} of them spill")
    sys.exit(1 if spilling else 0)


if __name__ == "__main__":
    main()
