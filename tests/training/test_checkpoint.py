"""Checkpoints: the same state is the same bytes, damage is one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from cmrbias.errors import CmrbiasError
from cmrbias.files import write_atomically, write_json
from cmrbias.training import checkpoint


def test_a_state_saved_loaded_and_saved_again_is_the_same_bytes(tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.randn(3, 4))
    optimiser = torch.optim.Adam([{"params": [weight]}], lr=0.1)
    weight.grad = torch.ones(3, 4)
    optimiser.step()
    state = {
        "module": {"w": weight},
        "backbone": {"w": weight},
        "optimisers": {"loss": optimiser.state_dict()},
    }
    state |= {"sums": {"loss": 0.25}, "epoch": 3}
    checkpoint.save(tmp_path / "a.pt", state)
    loaded = checkpoint.load(tmp_path / "a.pt")
    assert torch.equal(loaded["module"]["w"], weight)
    loaded.pop("cmrbias_checkpoint")
    checkpoint.save(tmp_path / "other name.pt", loaded)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "other name.pt").read_bytes()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 damaged"])
def test_a_damaged_file_is_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(CmrbiasError, match="expected weights saved by torch") as caught:
        checkpoint.load(tmp_path / "last.pt")
    assert "\n" not in str(caught.value)


def test_another_torch_file_or_version_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "last.pt")
    with pytest.raises(CmrbiasError, match="expected a cmrbias checkpoint"):
        checkpoint.load(tmp_path / "last.pt")
    torch.save({"cmrbias_checkpoint": 99}, tmp_path / "last.pt")
    with pytest.raises(CmrbiasError, match="checkpoint version 99"):
        checkpoint.load(tmp_path / "last.pt")


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_behind(tmp_path: Path) -> None:
    write_json(tmp_path / "run.json", {"a": 1})

    def fail(file: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_atomically(tmp_path / "run.json", fail)
    assert os.listdir(tmp_path) == ["run.json"]
    assert (tmp_path / "run.json").read_text() == '{\n  "a": 1\n}\n'
