"""How benchmarks measure: medians of calls that take turns, the machine's bandwidth, a tuned malloc."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch

from cmrbias.errors import CmrbiasError
from cmrbias.ops import _C

_ARRAY = 2**28  # bytes, more than caches hold
_REPEATS = 11
_LOOPS = 3
_LOOP = 0.2  # seconds of each, at least
_KEEP = {  # glibc's malloc keeps freed memory, so that a new tensor costs no page faults
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**34),
    "MALLOC_TOP_PAD_": str(2**28),
}
_CALL = """
import importlib, json, sys
module, name, arguments = sys.argv[1:]
print(json.dumps(getattr(importlib.import_module(module), name)(**json.loads(arguments))))
"""


class Row(NamedTuple):
    """One way to compute the same thing."""

    way: str
    milliseconds: float
    ratio: float  #: its time over ours


def milliseconds(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Returns each call's median time in ms; they take turns, so that the machine's mood hits all alike.

    So each finds the caches full of what the one before it has read. A GPU that is in use is waited for after
    each call.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            times[name].append(_milliseconds(call))
    return {name: statistics.median(values) for name, values in times.items()}


def milliseconds_in_loops(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Returns each call's median time in ms where it follows itself, as in a loop over much data.

    Three loops take turns, each of ``repeats`` calls or more, until it has lasted 0.2 s as those of Python's
    ``timeit`` do: caches take many short calls to settle. The second half of every loop counts.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(_LOOPS):
        for name, call in calls.items():
            loop = _loop(call, repeats)
            times[name] += loop[len(loop) // 2 :]
    return {name: statistics.median(values) for name, values in times.items()}


def _loop(call: Callable[[], object], repeats: int) -> list[float]:
    end = time.perf_counter() + _LOOP
    loop: list[float] = []
    while len(loop) < repeats or time.perf_counter() < end:
        loop.append(_milliseconds(call))
    return loop


def _milliseconds(call: Callable[[], object]) -> float:
    on_gpu = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    start = time.perf_counter()
    call()
    if on_gpu:
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start)


def bandwidth(writing: bool = False, device: str = "cpu") -> float:
    """Returns the bytes a second that torch's threads (or a GPU) move between memory and processor.

    The median of some passes over 256 MiB: ``torch.sum`` of float32, or with ``writing`` a copy past the
    caches (streaming stores; on a GPU ``Tensor.copy_``), read and written bytes counted.
    """
    source = torch.ones(_ARRAY // 4, device=device)
    target = torch.ones_like(source)

    def copy() -> None:
        if source.device.type == "cpu" and _C is not None:
            _C.stream_copy_cpu(target.data_ptr(), source.data_ptr(), _ARRAY)
        else:
            target.copy_(source)

    call = copy if writing else source.sum
    return (2 if writing else 1) * _ARRAY / milliseconds({"pass": call}, _REPEATS)["pass"] * 1000


def in_new_process(function: Callable[..., Any], arguments: Mapping[str, Any], keep_memory: bool) -> Any:
    """Returns what a module's function returns in a process of its own, through JSON.

    Args:
        function: found by its module and name.
        arguments: its keyword arguments, plain values.
        keep_memory: glibc's malloc keeps large blocks (``MALLOC_MMAP_THRESHOLD_``, ``_TRIM_THRESHOLD_``
            and ``_TOP_PAD_`` raised). By default it gives them back, and a large result costs more
            in page faults than the work on it.

    Raises:
        CmrbiasError: the process failed; with the last line that it wrote.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _KEEP}
    command = [sys.executable, "-P", "-c", _CALL, function.__module__, function.__name__]
    done = subprocess.run(
        [*command, json.dumps(dict(arguments))],
        env=environment | (_KEEP if keep_memory else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise CmrbiasError(f"benchmark {function.__module__}.{function.__name__} failed: {last}")
    return json.loads(done.stdout)
