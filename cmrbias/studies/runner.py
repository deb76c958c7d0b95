"""Runs cells in their order, several at a time if asked; one that fails stops only those that need it."""

from __future__ import annotations

import concurrent.futures as futures
import queue
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmrbias.errors import CmrbiasError
from cmrbias.studies.cells import Cell, folder, ordered
from cmrbias.studies.execute import Call, describe, execute, finished
from cmrbias.studies.worker import Worker

Say = Callable[[str], None]


@dataclass
class Outcome:
    """What became of the cells.

    Attributes:
        done: cells computed now.
        kept: those that were finished before.
        failed: with what is to be said of each.
        left: those that need a failed one.
    """

    done: list[Cell] = field(default_factory=list)
    kept: list[Cell] = field(default_factory=list)
    failed: list[tuple[Cell, str]] = field(default_factory=list)
    left: list[Cell] = field(default_factory=list)


def run_cells(cells: Iterable[Cell], study: Path, call: Call, say: Say, jobs: int = 1) -> Outcome:
    """Computes all cells, and those that they need, which are not finished.

    One job computes in this process; several in as many processes, each of which imports torch once and
    finds its plugins among those installed.

    Args:
        cells: those wanted.
        study: the study's directory.
        call: runs a command in this process.
        say: told of each cell.
        jobs: how many at a time.

    Raises:
        KeyboardInterrupt: stopped; called again, it goes on.
    """
    study = study.absolute()
    outcome, waiting = Outcome(), []
    for cell in ordered(cells):
        if finished(describe(cell, study)):
            outcome.kept.append(cell)
        else:
            waiting.append(cell)
    total = len(waiting)
    say(f"{total} cells to compute, {len(outcome.kept)} finished before")
    with _pool(jobs, call) as submit:
        running: dict[futures.Future[float], Cell] = {}
        while waiting or running:
            for cell in _ready(waiting, outcome, running, jobs):
                running[submit(folder(cell, study))] = cell
            waiting = [cell for cell in waiting if cell not in running.values()]
            ended = futures.wait(running, return_when=futures.FIRST_COMPLETED).done
            for future in ended:
                _ended(running.pop(future), future, outcome, total, say)
            waiting = _without_lost(waiting, outcome)
    return outcome


def _ready(waiting: Sequence[Cell], outcome: Outcome, running: dict[Any, Cell], jobs: int) -> list[Cell]:
    """Returns the next cells whose needs are finished, as many as there are idle workers."""
    have = {cell.digest for cell in (*outcome.done, *outcome.kept)}
    ready = [cell for cell in waiting if all(needed.digest in have for needed in cell.after)]
    return ready[: jobs - len(running)]


def _ended(cell: Cell, future: futures.Future[float], outcome: Outcome, total: int, say: Say) -> None:
    try:
        seconds = future.result()
    except CmrbiasError as error:
        outcome.failed.append((cell, str(error)))
        say(f"failed: {error}")
    else:
        outcome.done.append(cell)
        say(f"[{len(outcome.done)}/{total}] {cell.kind}: {cell.name} ({seconds:.1f} s)")


def _without_lost(waiting: Sequence[Cell], outcome: Outcome) -> list[Cell]:
    """Returns the cells that can still be computed; the others are noted as left."""
    lost = {cell.digest for cell in (*(cell for cell, _ in outcome.failed), *outcome.left)}
    kept = []
    for cell in waiting:  # in order: what a lost cell needs comes before it
        if any(needed.digest in lost for needed in cell.after):
            lost.add(cell.digest)
            outcome.left.append(cell)
        else:
            kept.append(cell)
    return kept


@contextmanager
def _pool(jobs: int, call: Call) -> Iterator[Callable[[Path], futures.Future[float]]]:
    """Yields what starts a cell: here and now for one job, else in one of several processes."""
    if jobs == 1:
        yield lambda place: _now(place, call)
        return
    workers = [Worker(jobs) for _ in range(jobs)]
    idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def one(place: Path) -> float:
        worker = idle.get()
        try:
            return worker.execute(place)
        finally:
            idle.put(worker)

    try:
        with futures.ThreadPoolExecutor(jobs) as pool:
            try:
                yield lambda place: pool.submit(one, place)
            except KeyboardInterrupt:
                for worker in workers:
                    worker.interrupt()
                raise
    finally:
        for worker in workers:
            worker.close()


def _now(place: Path, call: Call) -> futures.Future[float]:
    future: futures.Future[float] = futures.Future()
    try:
        future.set_result(execute(place, call))
    except CmrbiasError as error:
        future.set_exception(error)
    return future
