"""What must stand beside the numbers of a table: baselines, what each model is, notes, warnings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cmrbias.statistics import Estimate
from cmrbias.studies.build import Study
from cmrbias.studies.column import Column
from cmrbias.studies.facts import Facts
from cmrbias.studies.numbers import UNRELIABLE, marked, with_interval
from cmrbias.studies.overlaps import GAUSSIAN, GRADIENT, UNTRAINED
from cmrbias.studies.predictions import Measured
from cmrbias.studies.tables.columns import Columns
from cmrbias.studies.tables.table import Block, Line

FEWEST = 7  # cells a side from which a map says where


def baselines(columns: Columns) -> Block:
    """Returns what an AKS must be compared with."""
    aks = partial(Column.overlap, score="aks")
    of: list[tuple[str, Callable[[Column], Measured | Estimate], Callable[[Any], str]]] = [
        (
            "chance: the heart's share of the image, a uniform map",
            partial(Column.overlap, score="chance"),
            with_interval,
        ),
        (
            "ceiling: the best that a map of these cells can reach",
            partial(Column.overlap, score="ceiling"),
            with_interval,
        ),
        ("a centred Gaussian", partial(aks, map=GAUSSIAN), with_interval),
        ("the image's gradient", partial(aks, map=GRADIENT), with_interval),
        ("the same network untrained", partial(aks, map=UNTRAINED), with_interval),
        ("the model less a centred Gaussian, paired", Column.above_gaussian, marked),
    ]
    lines = [columns.line("AKS", row, what, f, show) for row in columns.overlap_rows for what, f, show in of]
    return Block("What AKS is compared with, own test input", tuple(lines))


def models(study: Study, rows: Sequence[str], on: Callable[[str], Sequence[Column]]) -> Block:
    """Returns what each column is: initialisation, inputs, image passes, patients, cells of its maps.

    Args:
        study: whose.
        rows: those shown.
        on: the columns on a row.
    """
    first = [column.facts for column in on(rows[0])]
    lines = [
        Line("model", "", "initialisation", tuple(_start(study, f) for f in first)),
        Line("model", "", "trained on input", tuple(f.trained_on for f in first)),
        Line("model", "", "own test input", tuple(f.tested_on for f in first)),
    ]
    for row in rows:
        each = [column.facts for column in on(row)]
        passes = (f"{f.passes}{' + linear layer' if f.frozen else ''}" for f in each)
        lines.append(Line("model", row, "image passes", tuple(passes)))
        lines.append(Line("model", row, "patients tested", tuple(str(f.patients) for f in each)))
        sizes = [f.map_size for f in each]
        if any(sizes):
            shown = ("" if s is None else f"{s[0]} x {s[1]}" for s in sizes)
            lines.append(Line("model", row, "cells of a map", tuple(shown)))
    return Block("Models", tuple(lines))


def _start(study: Study, found: Facts) -> str:
    given = study.imagenet
    imagenet = given is not None and found.initialisation == Path(given.path).name
    return f"ImageNet ({found.initialisation})" if imagenet else found.initialisation


def notes(columns: Columns) -> Iterator[str]:
    """Yields what must be said below the table."""
    study, entry = columns.study, columns.entry
    yield from entry.notes
    for model, other in columns.same.items():
        why = "" if study.imagenet else ", since no ImageNet weights were given"
        yield f"{study.title(model)} is {study.title(other)}{why}."
    yield (
        "Each plus-minus says what it is. AUC and accuracy (the share of cases) over seeds are means of the "
        "seeds'; overlap is averaged over seeds per patient, then over patients."
    )
    if len(study.seeds) == 1:
        yield "One seed: intervals are over patients alone, and say nothing of how trainings vary."
    for row in entry.rows:
        counts = {what: n for column in columns.on(row) for what, n in column.facts.left_out.items()}
        if counts:
            each = ", ".join(f"{what} {n}" for what, n in counts.items())
            yield f"{row}: left out of the test: {each}."
    for row in columns.overlap_rows if entry.by_class else ():
        if several := columns.on(row)[0].of_several_classes:
            yield (
                f"{row}: patients with cases of several diagnoses: {several}; their maps count in the lines "
                "of each, and take no part in those adjusted for mask area."
            )
    yield UNRELIABLE + "."


def warnings(study: Study, columns: Sequence[Column]) -> Iterator[str]:
    """Yields what makes the numbers of some columns worth less."""
    if study.preset.warning:
        yield study.preset.warning
    sizes = {column.facts.map_size for column in columns}
    for size in sorted(s for s in sizes if s is not None and min(s) < FEWEST):
        yield (
            f"maps of {size[0]} x {size[1]} cells are too few to say where: {FEWEST} x {FEWEST} "
            "or more are needed"
        )
