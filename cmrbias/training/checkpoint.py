"""A checkpoint: weights and all state, the same bytes for the same training.

``torch.save`` writes what it is given, so what it is given is made canonical first: pickle notes
which objects are one and the same, and a state that was loaded shares other objects than one that
was not.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cmrbias.backbones.weights import read_checkpoint
from cmrbias.errors import CmrbiasError
from cmrbias.files import write_atomically

VERSION = 1


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes a checkpoint atomically.

    Through memory: given a path torch puts its name into the file, and given a file on a full disk
    it turns the system's error into one of its own.
    """
    buffer = io.BytesIO()
    torch.save(canonical({"cmrbias_checkpoint": VERSION, **state}), buffer)
    write_atomically(path, lambda file: file.write(buffer.getbuffer()))


def load(path: Path) -> dict[str, Any]:
    """Reads a checkpoint with ``weights_only=True``, onto the CPU.

    Raises:
        CmrbiasError: it is damaged, or it is not one of ours.
    """
    state = read_checkpoint(path)
    if not isinstance(state, dict) or "cmrbias_checkpoint" not in state:
        raise CmrbiasError(f"{path}: expected a cmrbias checkpoint, found another torch file")
    if state["cmrbias_checkpoint"] != VERSION:
        raise CmrbiasError(
            f"{path}: checkpoint version {state['cmrbias_checkpoint']}, this cmrbias reads {VERSION}: "
            "install the version that wrote it (run.json says which)"
        )
    return state


def canonical(value: Any) -> Any:
    """Returns ``value`` rebuilt so that equal values pickle to equal bytes."""
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, dict):
        return {canonical(k): canonical(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(v) for v in value]
    if isinstance(value, str):
        return sys.intern(str(value))
    return value
