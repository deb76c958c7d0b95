"""A cell on disk: ``cell.json`` (what to run), ``log.txt``, ``out`` (what it wrote), ``done.json`` (the end).

A cell is finished when ``done.json`` is there, which is written last and whole. One that was stopped goes
on if it is a training, and starts anew if it is not.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shlex
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import click

from cmrbias.errors import CmrbiasError
from cmrbias.files import write_json
from cmrbias.studies.cells import TRAINING, Cell, command, folder

Call = Callable[[Sequence[str]], Any]
"""Runs ``cmrbias`` with these arguments in this process; raises what click raises."""

CELL, DONE, LOG = "cell.json", "done.json", "log.txt"
_STOPPED = 130  # status of a training, which takes Ctrl-C for itself and saves
_SHOWN = 6  # last lines of a failed cell's log


def finished(place: Path) -> bool:
    """Whether the cell in a directory is complete."""
    return (place / DONE).is_file()


def describe(cell: Cell, study: Path) -> Path:
    """Writes ``cell.json``, from which ``execute`` works; returns the cell's directory."""
    place = folder(cell, study)
    place.mkdir(parents=True, exist_ok=True)
    told = {
        "name": cell.name,
        "kind": cell.kind,
        "digest": cell.digest,
        "command": command(cell, study),
        "after": [folder(needed, study).name for needed in cell.after],
    }
    if _read(place / CELL) != told:  # else a cell that runs elsewhere at this moment is left alone
        write_json(place / CELL, told)
    return place


def execute(place: Path, call: Call) -> float:
    """Computes the cell in a directory unless it is finished; returns how many seconds that took.

    Another process that computes the same cell is waited for.

    Raises:
        CmrbiasError: no cell, one that it needs is not finished, or its command failed: names the log.
        KeyboardInterrupt: it was stopped; called again, it goes on.
    """
    told = _read(place / CELL)
    if told is None:
        raise CmrbiasError(f"{place}: expected the directory of a cell; cmrbias study plan makes them")
    with _locked(place):
        if finished(place):
            return 0.0
        for needed in told["after"]:
            if not finished(place.parent / needed):
                raise CmrbiasError(
                    f"{place}: needs {place.parent / needed}, which is not finished: run it first"
                )
        started = time.perf_counter()
        _call(told, place, call)
        seconds = round(time.perf_counter() - started, 1)
        write_json(place / DONE, {"digest": told["digest"], "seconds": seconds})
        if (place / "out" / "best.pt").exists():  # what only a resume needs is three times as large
            (place / "out" / "last.pt").unlink(missing_ok=True)
        return seconds


def _call(told: dict[str, Any], place: Path, call: Call) -> None:
    """Runs the cell's command to its end."""
    words = _words(told, place / "out")
    with (place / LOG).open("a", encoding="utf-8") as log:
        status = _logged(words, log, call)
    if status == _STOPPED:
        raise KeyboardInterrupt
    if status:
        last = (place / LOG).read_text(encoding="utf-8").rstrip().splitlines()[-_SHOWN:]
        raise CmrbiasError(
            f"{told['name']} failed; {place / LOG} ends:\n" + "\n".join(f"    {line}" for line in last)
        )
    if told["kind"] in TRAINING and (_read(place / "out" / "run.json") or {}).get("status") != "finished":
        raise KeyboardInterrupt


def _logged(words: Sequence[str], log: TextIO, call: Call) -> Any:
    """Returns the command's exit status, None or 0 if it succeeded; what it prints goes to the log."""
    with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        print(f"$ cmrbias {shlex.join(words)}", flush=True)
        try:
            return call(words)
        except (click.Abort, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        except click.ClickException as error:
            print(f"Error: {error.format_message()}")
            return error.exit_code
        except (Exception, SystemExit):  # a bug, of ours or a plugin's: the other cells go on
            traceback.print_exc()
            return 1


def _words(told: dict[str, Any], out: Path) -> list[str]:
    """Returns the command that goes on with what is there, else starts anew; drops what a kill has left."""
    for half_written in (*out.glob(".*"), *out.parent.glob(f".{DONE}.*")):  # by ``write_atomically``
        half_written.unlink()
    if told["kind"] in TRAINING and (out / "run.json").exists():
        return [told["kind"], "--resume", str(out)]
    for left in (out, *out.parent.glob(f".{out.name}.*.partial")):
        if left.exists():
            shutil.rmtree(left)
    return list(told["command"])


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Holds the directory's lock, which the system releases whatever becomes of the process."""
    with (place / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
