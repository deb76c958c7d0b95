"""Two processes compute what one does: hard negatives, and a queue whose metadata stays with its keys."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

SCRIPT = Path(__file__).with_name("two_ranks.py")
spec = importlib.util.spec_from_file_location("medaug_two_ranks", SCRIPT)
single = importlib.util.module_from_spec(spec)
spec.loader.exec_module(single)

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


@pytest.mark.parametrize("negatives", single.NEGATIVES)
def test_ranks_compute_what_one_process_does(negatives: str, ranks) -> None:
    whole = single.measure(negatives, slice(0, single.COUNT), wrap=False)
    assert 0 < whole.pop("hard") < 1
    mean = (ranks[0][negatives]["loss"] + ranks[1][negatives]["loss"]) / 2
    torch.testing.assert_close(mean, whole.pop("loss"))
    for name, value in whole.items():
        for rank in ranks:
            torch.testing.assert_close(rank[negatives][name], value, rtol=1e-4, atol=1e-6)


def test_metadata_stay_with_their_key_around_the_ring_and_across_ranks(ranks) -> None:
    ring = [None] * single.SLOTS
    for number in range(single.STEPS * single.COUNT):
        step, row = divmod(number, single.COUNT)
        known = {name: int(keys[row]) for name, (_, keys) in single.codes(step).items()}
        ring[number % single.SLOTS] = [known["patient"], known["laterality"]]
    for rank in ranks:
        for negatives in single.NEGATIVES:
            assert rank[negatives]["queue codes"].tolist() == ring
            assert int(rank[negatives]["queue filled"]) == single.SLOTS
