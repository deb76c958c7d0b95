"""A table as text, whatever it is then written as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Line:
    """A line of a table.

    Attributes:
        measure: AUC, AKS, ...
        row: where the models were trained and tested.
        what: what the numbers are.
        cells: text, one a column.
        numbers: a dictionary for each number, for the file of numbers.
    """

    measure: str
    row: str
    what: str
    cells: tuple[str, ...]
    numbers: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Block:
    """Lines under one heading."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Table:
    """A table with what must be said below it."""

    name: str
    title: str
    columns: tuple[str, ...]
    blocks: tuple[Block, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()
