"""What the operators' tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from cmrbias import ops


@pytest.fixture
def on_every_instruction_set() -> Iterator[Callable[[Callable[[], object]], list[object]]]:
    """Returns what a call returns on each instruction set of this machine, from the least to the best."""
    if ops._C is None:
        pytest.skip("the extension is not built")
    names = ops._C.instruction_sets()

    def call_on_all(call: Callable[[], object]) -> list[object]:
        results = []
        for name in names:
            ops._C.set_instruction_set(name)
            results.append(call())
        return results

    yield call_on_all
    ops._C.set_instruction_set(names[-1])


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    """Sets torch's thread count, and puts it back afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
