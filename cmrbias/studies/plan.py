"""A study as independent shell commands, for a scheduler that is not ours."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from cmrbias.studies.cells import Cell, command, ordered
from cmrbias.studies.execute import describe, finished


def plan(cells: Iterable[Cell], study: Path, stage: int | None = None) -> Iterator[str]:
    """Yields one shell command a cell that is not finished, in dependency order.

    Each may be repeated: it does nothing if the cell is finished, and goes on if it was stopped. Cells of
    one stage need only cells of earlier ones. Behind ``#`` stand stage, name and what is computed.

    Args:
        cells: those wanted; what they need comes before them.
        study: the study's directory, in which each cell gets its own with a ``cell.json``.
        stage: only this one.
    """
    study = study.absolute()
    for cell in ordered(cells):
        place = describe(cell, study)
        if (stage is None or cell.stage == stage) and not finished(place):
            words = shlex.join(["cmrbias", *command(cell, study)])
            yield f"cmrbias study cell {shlex.quote(str(place))}  # stage {cell.stage}, {cell.name}: {words}"
