"""Two processes compute what one computes on the whole batch: losses, gradients, queues."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from cmrbias.distributed import gather, shared_permutation, world

SCRIPT = Path(__file__).with_name("two_ranks.py")
each = pytest.mark.parametrize("name", ["simclr", "moco"])

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="this torch was built without gloo"
)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp("ranks")
    outs = [folder / f"{rank}.pt" for rank in (0, 1)]
    processes = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(rank), str(folder / "rendezvous"), str(out)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank, out in enumerate(outs)
    ]
    try:
        said = [process.communicate(timeout=120)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)
    return [torch.load(out, weights_only=True) for out in outs]


@pytest.fixture(scope="module")
def whole() -> dict[str, dict[str, Any]]:
    """What one process finds on the whole batch."""
    spec = importlib.util.spec_from_file_location("two_ranks", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: module.measure(name, slice(0, module.COUNT), wrap=False) for name in ("simclr", "moco")}


@each
def test_gradients_are_those_of_one_big_batch(name: str, ranks, whole) -> None:
    keys = [key for key in whole[name] if key.startswith("grad")]
    assert len(keys) >= 6
    assert all(whole[name][key].abs().max() > 1e-4 for key in keys)
    for rank in (0, 1):
        for key in keys:
            torch.testing.assert_close(ranks[rank][name][key], whole[name][key], rtol=1e-4, atol=1e-6)


@each
def test_losses_average_to_the_big_batchs(name: str, ranks, whole) -> None:
    first, second = (ranks[rank][name]["loss"] for rank in (0, 1))
    torch.testing.assert_close((first + second) / 2, whole[name]["loss"])
    assert first != second


@each
def test_own_patients_are_counted_over_all_ranks(name: str, ranks, whole) -> None:
    first, second = (ranks[rank][name]["own"] for rank in (0, 1))
    assert 0 < whole[name]["own"] < 1
    torch.testing.assert_close((first + second) / 2, whole[name]["own"])


def test_every_ranks_queue_is_the_big_batchs(ranks, whole) -> None:
    state = {key: value for key, value in whole["moco"].items() if key.startswith("state queue")}
    assert state["state queue.codes"][:, 0].tolist() == [0, 1, 2, 3, 2, 4, 2, 4]  # 5 stored, 6 more wrap
    assert torch.equal(state["state queue.codes"][:, 1], state["state queue.codes"][:, 0] + 10)
    for rank in (0, 1):
        for key, value in state.items():
            torch.testing.assert_close(ranks[rank]["moco"][key], value)


def test_keys_are_shuffled_over_ranks(ranks) -> None:
    first, second = (ranks[rank]["groups"] for rank in (0, 1))
    assert sorted(first + second) == list(range(6))
    assert sorted(first) != [0, 1, 2]  # by rank 0's seed


def test_ranks_draw_one_permutation_from_their_own_generators(ranks) -> None:
    first, second = (ranks[rank]["order"] for rank in (0, 1))
    assert sorted(first.tolist()) == list(range(20))
    assert torch.equal(first, second)


def test_gather_is_in_rank_order_and_sums_gradients(ranks) -> None:
    own = torch.arange(48.0).reshape(2, 2, 3, 4)
    for rank in (0, 1):
        found = ranks[rank]["gather"]
        for name in ("plain", "rows", "none"):
            assert torch.equal(found[name], torch.cat((own, own + 100))), name
        weights = torch.arange(1.0, 5.0)[2 * rank : 2 * rank + 2]  # of this rank's rows,
        expected = ((1 + 2) * weights)[:, None, None, None].expand(2, 2, 3, 4)  # in both ranks' losses
        assert torch.equal(found["grad"], expected)


def test_one_process_needs_no_group() -> None:
    x = torch.randn(3, 2, requires_grad=True)
    assert world() == (0, 1)
    assert gather(x) is x
    torch.manual_seed(0)
    order = shared_permutation(7, torch.device("cpu"))
    torch.manual_seed(0)
    assert torch.equal(order, torch.randperm(7))
