"""The blocks of a table of behaviour: what a model is worth when its input changes, and BG-gap."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from cmrbias.studies.column import Column
from cmrbias.studies.tables.by_row import INTERVALS, Measure, seeds
from cmrbias.studies.tables.columns import Columns
from cmrbias.studies.tables.table import Block

GAP = "swap-same-class less swap-other-class, paired by patient"
_KINDS = {"macro": "AUC, macro", "micro": "AUC, micro", "accuracy": "accuracy"}


def behaviour(columns: Columns) -> Iterator[Block]:
    """Yields AUC and accuracy under each test input, the BG-gap, and both over seeds."""
    rows, shown = columns.entry.rows, columns.entry.inputs
    measures: list[Measure] = [
        (measure, f"test input {input}", rows, partial(Column.shown, kind=kind, input=input))
        for kind, measure in _KINDS.items()
        for input in shown
    ]
    gaps: list[Measure] = [
        (f"BG-gap, {measure}", GAP, rows, partial(Column.background_gap, kind=kind))
        for kind, measure in _KINDS.items()
    ]
    for title, some in ((INTERVALS, measures), ("BG-gap", gaps)):
        yield Block(
            title,
            tuple(columns.line(measure, row, what, of) for measure, what, rows, of in some for row in rows),
        )
    yield from seeds(columns, [*measures, *gaps])
