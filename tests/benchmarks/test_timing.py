"""How benchmarks measure. No time is asserted, only what is timed and how often."""

import os
import time
from itertools import groupby

import pytest

from cmrbias.benchmarks.timing import bandwidth, in_new_process, milliseconds, milliseconds_in_loops
from cmrbias.errors import CmrbiasError


def test_calls_take_turns():
    seen = []
    calls = {name: (lambda name=name: seen.append(name)) for name in "ab"}
    times = milliseconds(calls, 3)
    assert seen == ["a", "b"] * 3
    assert set(times) == {"a", "b"}
    assert all(time >= 0 for time in times.values())


def test_loops_over_one_call_take_turns_and_last():
    seen = []
    calls = {"short": lambda: seen.append("short"), "long": lambda: (seen.append("long"), time.sleep(0.11))}
    times = milliseconds_in_loops(calls, 3)
    turns = [(name, len(list(loop))) for name, loop in groupby(seen)]
    assert [name for name, _ in turns] == ["short", "long"] * 3
    assert all(count == 3 if name == "long" else count > 3 for name, count in turns)
    assert times["long"] >= 110 > times["short"] >= 0


@pytest.mark.parametrize("writing", [False, True])
def test_bandwidth_is_a_positive_number_of_bytes_a_second(writing):
    assert 1e6 < bandwidth(writing) < 1e14


def test_a_new_process_has_malloc_tuned_or_not(monkeypatch):
    monkeypatch.setenv("MALLOC_TOP_PAD_", "1")
    arguments = {"key": "MALLOC_TOP_PAD_"}
    assert int(in_new_process(os.getenv, arguments, keep_memory=True)) > 1
    assert in_new_process(os.getenv, arguments, keep_memory=False) is None


def test_a_new_process_that_fails_says_why():
    with pytest.raises(CmrbiasError, match=r"benchmark os.getenv failed: TypeError: .*'nothing'"):
        in_new_process(os.getenv, {"nothing": 1}, keep_memory=False)
