"""What a table's columns are as targets: ``--target NAME[=COLUMN][:KIND]``.

death:binary                 column ``death`` holds 1, 0 or -1 (uncertain); an empty cell is unknown
death=death_offset:present   1 where column ``death_offset`` holds anything, else 0
view=projection:class        each text of column ``projection`` is a class
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cmrbias.cohorts.case import SourceError
from cmrbias.errors import CmrbiasError, unknown

KINDS = ("class", "binary", "present")
MOST_CLASSES = 20  # more distinct values are taken for classes only where the user says so
_BINARY = (-1.0, 0.0, 1.0)
_PANDAS = "#N/A,#N/A N/A,#NA,-1.#IND,-1.#QNAN,-NaN,-nan,1.#IND,1.#QNAN,<NA>,N/A,NA,NULL,NaN,None,n/a,nan,null"
MISSING = frozenset(_PANDAS.split(","))
"""What tables write in an empty cell: those that pandas takes for missing, with the same case."""


@dataclass(frozen=True)
class Target:
    """A target of the cohort and the table's column that it is made from."""

    name: str
    column: str
    kind: str

    @property
    def declared(self) -> dict[str, Any]:
        """What ``cohort.json`` says of it."""
        return {"kind": "class"} if self.kind == "class" else {"kind": "binary", "uncertain": -1}

    def value(self, cell: str) -> str | int | None:
        """Returns the target of a cell, None if it is unknown: empty, or one of ``MISSING``.

        Raises:
            SourceError: the cell of a binary target is not 1, 0, -1 or empty.
        """
        cell = _filled(cell)
        if self.kind == "present":
            return int(bool(cell))
        if self.kind == "class" or not cell:
            return cell or None
        number = _number(cell)
        if number not in _BINARY:
            raise SourceError(
                f"column {self.column!r}: expected 1, 0, -1 (uncertain) or nothing, found {cell!r}"
            )
        return int(number)


def parse_targets(given: Iterable[str], columns: dict[str, list[str]]) -> list[Target]:
    """Returns the targets that ``--target`` names.

    Args:
        given: texts ``NAME[=COLUMN][:KIND]``.
        columns: the table, by column: its cells.

    Raises:
        CmrbiasError: no such column or kind, a name given twice, or a kind that cannot be told.
    """
    targets: dict[str, Target] = {}
    for text in given:
        naming, _, kind = text.partition(":")
        name, _, column = naming.partition("=")
        column = column or name
        if column not in columns:
            raise CmrbiasError(f"--target {text}: {unknown('column', column, columns)}")
        if kind and kind not in KINDS:
            raise CmrbiasError(f"--target {text}: {unknown('kind of target', kind, KINDS)}")
        if name in targets:
            raise CmrbiasError(f"--target {text}: the target {name!r} is named twice")
        targets[name] = Target(name, column, kind or _guess(text, columns[column]))
    return list(targets.values())


def _guess(text: str, cells: list[str]) -> str:
    """Binary where all values are 1, 0 or -1; class where they are few and not all numbers."""
    values = {cell for cell in map(_filled, cells) if cell}
    numbers = [_number(value) for value in values]
    if values and all(number in _BINARY for number in numbers):
        return "binary"
    if 0 < len(values) <= MOST_CLASSES and None in numbers:
        return "class"
    raise CmrbiasError(
        f"--target {text}: its column holds {len(values)} different values, from which its kind cannot be "
        f"told: say {text}:class, {text}:binary or {text}:present"
    )


def _filled(cell: str) -> str:
    return "" if cell in MISSING else cell


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
