"""The blocks of a table whose lines are rows of the study: the paper's form, and intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from cmrbias.studies.column import Column
from cmrbias.studies.numbers import in_paper_form, over_seeds
from cmrbias.studies.overlaps import DILATED, HALF_WIDTH, SD
from cmrbias.studies.predictions import Measured
from cmrbias.studies.tables.columns import Columns
from cmrbias.studies.tables.table import Block, Line

PAPER_FORM = "In the paper's form: own test input; maps of the predicted class"
INTERVALS = "With 95 % intervals over patients"
OTHER_DATA = "Other data: as published, on the paper's patients, every model from ImageNet weights"
"""Of published values beside results on other cohorts, whatever a column's heading says of ours."""

_OWN = "own test input"

Measure = tuple[str, str, Sequence[str], Callable[[Column], Measured]]
"""What is measured, what the number is, on which rows, and how a column gives it."""


def by_row(columns: Columns) -> Iterator[Block]:
    """Yields the paper's rows, the published ones, the same with intervals, and over seeds."""
    ours: list[Line] = []
    theirs: list[Line] = []
    for measure, what, rows, of in _main(columns):
        for row in rows:
            ours.append(columns.line(measure, row, what, of, in_paper_form))
            printed = columns.published(measure, row, f"published, {_printed_kind(measure)}")
            if printed is not None:
                (theirs if columns.study.other_data(row) else ours).append(printed)
    yield Block(PAPER_FORM, tuple(ours))
    yield Block(OTHER_DATA, tuple(theirs))
    measures = _measures(columns)
    lines = [columns.line(measure, row, what, of) for measure, what, rows, of in measures for row in rows]
    yield Block(INTERVALS, tuple(lines))
    yield from _against(columns)
    yield from seeds(columns, [m for m in measures if m[0] != "normalised AKS" and m[1].endswith(_OWN)])


def _against(columns: Columns) -> Iterator[Block]:
    """Yields what each model has more than another, paired by patient."""
    for given in columns.entry.against:
        other = columns.same.get(given, given)
        lines = []
        for measure, what, kind, rows in (
            ("AUC", f"macro, {_OWN}", "macro", columns.entry.rows),
            ("AUC", f"micro, {_OWN}", "micro", columns.entry.rows),
            ("AKS", "test input full, vanished maps count 0", "aks", columns.overlap_rows),
        ):
            for row in rows:
                theirs = columns.of(other, row)
                of = partial(_less, theirs, kind)
                lines.append(columns.line(measure, row, what, of, none=""))
        title = (
            f"Less {columns.study.title(given)}, paired by patient; intervals not adjusted for their number"
        )
        yield Block(title, tuple(lines))


def _less(other: Column, kind: str, column: Column) -> Measured | None:
    return None if column is other else column.less(other, kind)


def seeds(columns: Columns, measures: Sequence[Measure]) -> Iterator[Block]:
    """Yields how the measures vary over the seeds, if there are several."""
    if len(columns.study.seeds) > 1:
        lines = [
            columns.line(measure, row, what, of, over_seeds)
            for measure, what, rows, of in measures
            for row in rows
        ]
        yield Block(seeds_title(columns), tuple(lines))


def seeds_title(columns: Columns) -> str:
    """Returns the heading of numbers over seeds."""
    return f"Over {len(columns.study.seeds)} seeds: mean, SD, 95 % t interval"


def _main(columns: Columns) -> list[Measure]:
    rows, overlaps = columns.entry.rows, columns.overlap_rows
    return [
        ("AUC", "macro, ± 95 % half-width (Hanley-McNeil)", rows, lambda c: c.auc("macro")),
        ("AKS", "± SD over patients", overlaps, lambda c: c.overlap("aks", kind=SD)),
        ("DSC", "± 95 % half-width (t)", overlaps, lambda c: c.overlap("dsc", kind=HALF_WIDTH)),
    ]


def _measures(columns: Columns) -> list[Measure]:
    rows, overlaps = columns.entry.rows, columns.overlap_rows
    aks = partial(Column.overlap, score="aks")
    dsc = partial(Column.overlap, score="dsc")
    return [
        ("AUC", f"micro, {_OWN}", rows, lambda c: c.auc("micro")),
        ("AUC", f"macro, {_OWN}", rows, lambda c: c.auc("macro")),
        ("AUC", "micro, test input full", rows, lambda c: c.auc("micro", full=True)),
        ("AKS", _OWN, overlaps, aks),
        ("AKS", "test input full", overlaps, partial(aks, full=True)),
        ("AKS", f"{_OWN}, maps of the true class", overlaps, partial(aks, target="true")),
        ("AKS", f"{_OWN}, vanished maps count 0", overlaps, partial(aks, undefined=0.0)),
        *_frames(columns),
        ("normalised AKS", _OWN, overlaps, partial(Column.overlap, score="normalised-aks")),
        *_dilated(columns),
        ("DSC", _OWN, overlaps, dsc),
        ("DSC", "test input full", overlaps, partial(dsc, full=True)),
    ]


def _frames(columns: Columns) -> list[Measure]:
    """AKS of each frame apart, where there are several."""
    every = [m for row in columns.overlap_rows for column in columns.on(row) for m in column.maps()]
    frames = list(dict.fromkeys(frame for maps in every for frame in dict.fromkeys(maps.frame.tolist())))
    return [
        (
            "AKS",
            f"{_OWN}, {frame} alone",
            columns.overlap_rows,
            partial(Column.overlap, score="aks", frame=frame),
        )
        for frame in (frames if len(frames) > 1 else ())
    ]


def _dilated(columns: Columns) -> list[Measure]:
    """AKS on wider masks, as far as the maps of all columns were scored so: the border is no shortcut."""
    every = [m for row in columns.overlap_rows for column in columns.on(row) for m in column.maps()]
    return [
        (
            "AKS",
            f"{_OWN}, mask dilated by {margin}",
            columns.overlap_rows,
            partial(Column.overlap, score=name),
        )
        for name, margin in DILATED.items()
        if all(name in maps.scores for maps in every)
    ]


def _printed_kind(measure: str) -> str:
    return "± SD" if measure == "AKS" else "± 95 % half-width"
