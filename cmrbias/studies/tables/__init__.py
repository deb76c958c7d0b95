"""A study's tables: what each says, from the numbers of its finished cells."""

from __future__ import annotations

from cmrbias.studies.column import Finished
from cmrbias.studies.tables.behaviour import behaviour
from cmrbias.studies.tables.beside import baselines, models, notes, warnings
from cmrbias.studies.tables.by_class import by_class
from cmrbias.studies.tables.by_row import by_row
from cmrbias.studies.tables.columns import Columns
from cmrbias.studies.tables.table import Block, Line, Table

__all__ = ["Block", "Line", "Table", "make_table"]


def make_table(finished: Finished, name: str) -> Table:
    """Returns a table of a finished study."""
    study, columns = finished.study, Columns(finished, name)
    beside = models(study, columns.entry.rows, columns.on)
    if columns.entry.inputs:
        blocks = [*behaviour(columns), beside]
    else:
        main = by_class(columns) if columns.entry.by_class else by_row(columns)
        blocks = [*main, baselines(columns), beside]
    return Table(
        name,
        columns.entry.title,
        columns.headings,
        tuple(block for block in blocks if block.lines),
        tuple(notes(columns)),
        tuple(warnings(study, [column for row in columns.overlap_rows for column in columns.on(row)])),
    )
