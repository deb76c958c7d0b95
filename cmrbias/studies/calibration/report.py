"""A calibration on disk and on the terminal: ``calibration.csv``, ``.json``, ``.md``."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cmrbias.evaluation.evaluation import plain
from cmrbias.evaluation.text import aligned
from cmrbias.files import write_atomically, write_json
from cmrbias.studies.calibration.points import MEASURES, Figure, Point
from cmrbias.studies.calibration.rates import (
    ENOUGH,
    Agreement,
    Rate,
    agreement,
    null_replicates,
    rates,
)

Table = tuple[str, list[tuple[str, ...]]]
"""A title and rows, the first of which is the header."""


@dataclass(frozen=True)
class Calibration:
    """What was found.

    Attributes:
        settings: what was asked for, and how it was computed, in plain values.
        points: one a classifier and test input.
        cut: reliance above which a model counts as relying on the cue.
        agreements: how measures go with reliance under input ``full``, a cue after another.
        rates: detections and false alarms; empty where there are too few replicates.
        notes: what must be said beside the numbers, a sentence each.
    """

    settings: dict[str, Any]
    points: list[Point]
    cut: float
    agreements: list[Agreement]
    rates: list[Rate]
    notes: list[str]


def calibrate(
    points: Sequence[Point], cut: float, settings: dict[str, Any], notes: Sequence[str]
) -> Calibration:
    """Returns agreements and, where replicates suffice, error rates of all measures on each cue."""
    agreements, found, said = [], [], list(notes)
    for cue in dict.fromkeys(p.cue for p in points):
        of_cue = [p for p in points if p.cue == cue]
        full = [p for p in of_cue if p.shown == "full"]
        agreements += [a for name in MEASURES if (a := agreement(full, name, cut)) is not None]
        null = null_replicates(of_cue)
        if null < ENOUGH:
            said.append(
                f"{cue}: too few replicates for error rates: {null} at strength 0, at least {ENOUGH} needed"
            )
        else:
            found += [rate for name in MEASURES for rate in rates(of_cue, name, cut)]
    return Calibration(settings, list(points), cut, agreements, found, said)


def write_calibration(calibration: Calibration, folder: Path) -> None:
    """Writes the three files into a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    table, text = _csv(calibration.points), markdown(calibration)
    write_atomically(folder / "calibration.csv", lambda file: file.write(table.encode()))
    write_json(folder / "calibration.json", plain(calibration))
    write_atomically(folder / "calibration.md", lambda file: file.write(text.encode()))


def text(calibration: Calibration) -> Iterator[str]:
    """Yields the tables as lines for a terminal."""
    for title, rows in tables(calibration):
        yield ""
        yield title
        yield from aligned(rows)
    yield ""
    yield from calibration.notes


def markdown(calibration: Calibration) -> str:
    """Returns the tables as Markdown."""
    lines = ["# Saliency measures against known reliance", ""]
    lines += [f"- {note}" for note in calibration.notes]
    for title, rows in tables(calibration):
        header, *body = rows
        lines += ["", f"## {title}", "", _line(header), _line(("---",) * len(header)), *map(_line, body)]
    return "\n".join(lines) + "\n"


def tables(calibration: Calibration) -> Iterator[Table]:
    """Yields what the models do, how measures go with it, and how often they would be wrong."""
    points, cut = calibration.points, calibration.cut
    for cue in dict.fromkeys(p.cue for p in points):
        yield (
            f"{cue}: models, means over replicates (lowest to highest)",
            [
                (
                    "model",
                    "strength",
                    "replicates",
                    "AUC",
                    "reliance",
                    "flipped",
                    "AUC less permuted",
                    *MEASURES,
                ),
                *_models([p for p in points if p.cue == cue]),
            ],
        )
        rows = [_agreement(a) for a in calibration.agreements if a.cue == cue]
        header = ("measure", "points", "replicates", "Spearman", "Pearson", "AUROC", "above the cut")
        yield f"{cue}: measures against reliance; AUROC for reliance above {cut:g}", [header, *rows]
        found = [_rate(rate) for rate in calibration.rates if rate.cue == cue]
        if found:
            header = ("measure", "model", "of", "suspicious", "rate", "95 % interval", "reliance")
            yield f"{cue}: detections and false alarms, beyond the null's 5 % quantile", [header, *found]


def _models(points: Sequence[Point]) -> Iterator[tuple[str, ...]]:
    for model, shown in dict.fromkeys((p.model, p.shown) for p in points):
        for strength in sorted({p.strength for p in points}):
            mine = [p for p in points if (p.model, p.shown) == (model, shown) and p.strength == strength]
            if mine:
                name = model if shown == "full" else f"{model}, shown {shown}"
                figures = [[f(p) for p in mine] for f in (_auc, _reliance, _flipped, _drop)]
                figures += [[p.measures[name] for p in mine] for name in MEASURES]
                yield (name, f"{strength:g}", str(len(mine)), *map(_spread, figures))


def _auc(point: Point) -> Figure:
    return point.auc


def _reliance(point: Point) -> Figure:
    return point.reliance


def _flipped(point: Point) -> Figure:
    return point.flipped


def _drop(point: Point) -> Figure:
    return point.auc_drop


def _spread(figures: Sequence[Figure]) -> str:
    """Returns mean and range over replicates; a single one has its interval over patients."""
    values = np.array([figure.value for figure in figures])
    values = values[np.isfinite(values)]
    if not len(values):
        return "undefined"
    if len(values) == 1:
        only = next(figure for figure in figures if np.isfinite(figure.value))
        return f"{only.value:.3f} [{only.low:.3f}, {only.high:.3f}]"
    return f"{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})"


def _agreement(found: Agreement) -> tuple[str, ...]:
    area = "undefined" if found.auroc is None else str(found.auroc)
    counts = (str(found.points), str(found.replicates))
    return (found.measure, *counts, str(found.spearman), str(found.pearson), area, str(found.above))


def _rate(rate: Rate) -> tuple[str, ...]:
    share = f"{rate.hits / rate.n:.3f}"
    counted = f"{rate.hits} of {rate.n}"
    return (rate.measure, rate.model, rate.of, counted, share, str(rate.interval), f"{rate.reliance:.3f}")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _csv(points: Sequence[Point]) -> str:
    """Returns a row a point: which one, then each figure with the ends of its interval over patients."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    named = ("cue", "strength", "replicate", "model", "shown", "cramers_v", "patients")
    figures = ("auc", "reliance", "flipped", "auc_drop")
    header = [f"{name}{end}" for name in (*figures, *MEASURES) for end in ("", " low", " high")]
    writer.writerow([*named, *header])
    for point in points:
        shown = [getattr(point, name) for name in figures] + [point.measures[name] for name in MEASURES]
        ends = [_cell(end) for figure in shown for end in (figure.value, figure.low, figure.high)]
        writer.writerow([*(getattr(point, name) for name in named), *ends])
    return file.getvalue()


def _cell(value: float) -> str:
    return "" if np.isnan(value) else repr(float(value))
