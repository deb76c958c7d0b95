"""The blocks of a table whose lines are diagnoses: overlap by each."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from cmrbias.studies.column import Column
from cmrbias.studies.numbers import in_paper_form, over_seeds
from cmrbias.studies.overlaps import SD
from cmrbias.studies.tables.by_row import INTERVALS, OTHER_DATA, PAPER_FORM, seeds_title
from cmrbias.studies.tables.columns import Columns
from cmrbias.studies.tables.table import Block, Line


def by_class(columns: Columns) -> Iterator[Block]:
    """Yields overlap by diagnosis, the published values, intervals, adjusted for mask area, over seeds."""
    ours: list[Line] = []
    theirs: list[Line] = []
    lines: list[Line] = []
    adjusted: list[Line] = []
    spread: list[Line] = []
    for row in columns.overlap_rows:
        tested = columns.on(row)[0].maps()[0].label.tolist()
        present = [label for label in columns.entry.by_class if label in tested]
        others = sorted(set(tested) - set(present))  # a cohort of other diagnoses than the definition's
        for measure in ("AKS", "DSC"):
            for label in (*columns.entry.by_class, *others):
                if label in tested:
                    of = partial(Column.overlap, score=measure.lower(), label=label, kind=SD)
                    ours.append(columns.line(measure, row, "± SD over patients", of, in_paper_form, label))
                    lines.append(columns.line(measure, row, "own test input", of, label=label))
                    spread.append(columns.line(measure, row, "own test input", of, over_seeds, label))
                printed = columns.published(measure, row, "published, ± SD", label)
                if printed is not None:
                    (theirs if columns.study.other_data(row) else ours).append(printed)
        for label in (*present, *others):
            at_mean_area = partial(Column.at_mean_area, label=label)
            adjusted.append(columns.line("AKS", row, "adjusted for mask area", at_mean_area, label=label))
    yield Block(PAPER_FORM, tuple(ours))
    yield Block(OTHER_DATA, tuple(theirs))
    yield Block(INTERVALS, tuple(lines))
    yield Block("AKS as it would be if all hearts were as large as the mean (regression)", tuple(adjusted))
    if len(columns.study.seeds) > 1:
        yield Block(seeds_title(columns), tuple(spread))
