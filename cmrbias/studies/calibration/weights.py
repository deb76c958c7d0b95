"""Weights on disk: needed until a replicate is measured, 130 MB a training, hundreds of trainings."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from cmrbias.studies.cells import TRAINING, Cell, folder, ordered
from cmrbias.studies.execute import DONE, finished


def drop_weights(cells: Iterable[Cell], study: Path) -> None:
    """Removes the checkpoints of trainings of which all that was asked for is finished."""
    for cell in _trainings(ordered(cells)):
        for checkpoint in (folder(cell, study) / "out").glob("*.pt"):
            checkpoint.unlink()


def renew_trainings(cells: Iterable[Cell], study: Path) -> None:
    """Has trainings computed again whose checkpoints are gone but needed by cells that are not finished."""
    every = ordered(cells)
    waiting = [cell for cell in every if not finished(folder(cell, study))]
    for cell in _trainings(reversed(every)):  # a classifier that is renewed wants its encoder too
        place = folder(cell, study)
        needed = any(cell in later.after for later in waiting)
        if needed and finished(place) and not list((place / "out").glob("*.pt")):
            (place / DONE).unlink()
            shutil.rmtree(place / "out")
            waiting.append(cell)


def _trainings(cells: Iterable[Cell]) -> list[Cell]:
    return [cell for cell in cells if cell.kind in TRAINING]
