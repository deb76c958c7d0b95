"""How benchmarks time and what they return."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

__all__ = ["Row", "milliseconds"]


class Row(NamedTuple):
    """One way to compute the same thing."""

    way: str
    milliseconds: float
    ratio: float  #: its time over ours


def milliseconds(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Returns each call's median time; the calls take turns, so that the machine's mood hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}
