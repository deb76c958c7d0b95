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


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "cut short or damaged"),
        (b"PK\x03\x04 damaged", "cut short or damaged"),
        (b"not a checkpoint", "a file of another kind: give one with weights, or a run"),
        (b"# cmrbias\n\nDoes a classifier look at the heart?", "a file of another kind"),
    ],
)
def test_a_damaged_file_is_one_line(content: bytes, found: str, tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(content)
    refused(tmp_path / "last.pt", found)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_file_that_is_cut_short_is_called_so(kept: float, legacy: bool, tmp_path: Path) -> None:
    file = tmp_path / "last.pt"
    torch.save({"w": torch.rand(200)}, file, _use_new_zipfile_serialization=not legacy)
    file.write_bytes(file.read_bytes()[: int(kept * file.stat().st_size)])
    refused(file, "cut short or damaged: copy it again, or train the run again")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_whole_model_is_refused_without_unsafe_advice(legacy: bool, tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    torch.save(torch.nn.Linear(2, 2), file, _use_new_zipfile_serialization=not legacy)
    refused(file, "holds more than tensors and plain values, which cmrbias does not run: save the")


def refused(file: Path, found: str) -> None:
    with pytest.raises(CmrbiasError, match="expected weights saved by torch, found") as caught:
        checkpoint.load(file)
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)


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
