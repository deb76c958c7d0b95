"""A run: the directory that one training writes."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from cmrbias.errors import CmrbiasError
from cmrbias.files import unwritable, write_atomically, write_json

VERSION = 1


class Run:
    """``run.json`` (what was asked for, with what), ``log.jsonl`` (a line an epoch), checkpoints."""

    def __init__(self, path: Path, info: dict[str, Any], log: list[dict[str, Any]]) -> None:
        self.path = path
        self.info = info
        self.log = log

    @property
    def last(self) -> Path:
        """The checkpoint to go on from."""
        return self.path / "last.pt"

    @property
    def best(self) -> Path:
        """The checkpoint of the best epoch, for tasks that select one."""
        return self.path / "best.pt"

    @classmethod
    def create(cls, path: Path, info: dict[str, Any]) -> Run:
        """Makes the directory and ``run.json``.

        Raises:
            CmrbiasError: ``path`` exists, or cannot be made.
        """
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            raise CmrbiasError(
                f"{path}: exists already: choose another --out, or go on with it by --resume {path}"
            ) from None
        except OSError as error:
            raise unwritable(path, error) from None
        run = cls(path, {"cmrbias_run": VERSION, **info}, [])
        run.save_info()
        return run

    @classmethod
    def open(cls, path: Path) -> Run:
        """Opens a run to go on with it.

        Raises:
            CmrbiasError: ``path`` is not a run, or of another version.
        """
        try:
            info = json.loads((path / "run.json").read_text())
            version = info["cmrbias_run"]
        except OSError:
            raise CmrbiasError(f"{path}: not a run: expected a directory with a run.json") from None
        except (ValueError, KeyError, TypeError):
            raise CmrbiasError(
                f"{path}: is not a run of cmrbias: its run.json was not written by it, or is damaged"
            ) from None
        if version != VERSION:
            raise CmrbiasError(f"{path}/run.json: version {version}, this cmrbias reads {VERSION}")
        return cls(path, info, read_log(path / "log.jsonl"))

    def save_info(self) -> None:
        """Writes ``run.json``."""
        write_json(self.path / "run.json", self.info)

    def add(self, line: dict[str, Any]) -> None:
        """Appends an epoch's line to the log; the file is replaced whole, so it is never half a line."""
        self.log.append(line)
        self._save_log()

    def cut_back(self, epoch: int) -> None:
        """Drops log lines after ``epoch``: those of an epoch whose checkpoint was never written."""
        kept = [line for line in self.log if line["epoch"] <= epoch]
        if len(kept) != len(self.log):
            self.log = kept
            self._save_log()

    def _save_log(self) -> None:
        text = "".join(json.dumps(_stored(line), allow_nan=False) + "\n" for line in self.log)
        write_atomically(self.path / "log.jsonl", lambda file: file.write(text.encode()))


def run_of(weights: Path) -> Run | None:
    """Returns the run that weights come from, given as a run or a checkpoint in it; None for others."""
    folder = weights if weights.is_dir() else weights.parent
    return Run.open(folder) if (folder / "run.json").is_file() else None


def read_log(path: Path) -> list[dict[str, Any]]:
    """Returns the lines of a ``log.jsonl``, NaN where it says null; none if there is no such file."""
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return [{k: math.nan if v is None else v for k, v in line.items()} for line in lines]
    except FileNotFoundError:
        return []
    except (ValueError, AttributeError):
        raise CmrbiasError(f"{path}: damaged: expected a JSON object a line") from None


def _stored(line: dict[str, Any]) -> dict[str, Any]:
    """Returns a log line as JSON has it: null for what is not finite."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in line.items()}


def versions(packages: Iterable[str] = ("cmrbias", "torch", "numpy", "click", "pluggy")) -> dict[str, str]:
    """Returns the versions that a result depends on."""
    found = {"python": platform.python_version()}
    return found | {package: importlib.metadata.version(package) for package in packages}


def machine() -> dict[str, Any]:
    """Returns what else decides the last bits of a number."""
    return {
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "platform": platform.platform(),
    }


def patient_hash(patient: str) -> str:
    """Returns the hash by which runs remember the patients they saw (SHA-256, 16 hex digits)."""
    return hashlib.sha256(f"cmrbias patient {patient}".encode()).hexdigest()[:16]
