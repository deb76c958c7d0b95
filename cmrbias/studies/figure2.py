"""Figure 2: overlap against accuracy, one labelled point a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cmrbias.files import write_atomically
from cmrbias.statistics import Estimate
from cmrbias.studies.association import ByCase, Panel, by_case, panel
from cmrbias.studies.build import distinct
from cmrbias.studies.column import Column, Finished
from cmrbias.studies.numbers import UNRELIABLE, with_interval
from cmrbias.studies.tables import Block, Line, Table
from cmrbias.studies.tables.beside import models as models_of
from cmrbias.studies.tables.beside import warnings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCORES = {"aks": "AKS", "normalised-aks": "normalised AKS", "dsc": "soft DSC"}
_INK = "#0072B2"
_WIDE, _HIGH = 4.0, 8.0  # of a letter, in points
_BESIDE = 4.0  # a name, right of and above its point
_PANEL = 4.2, 3.6  # width and height in inches, with labels
_LEFT, _RIGHT, _ABOVE, _BELOW = 0.6, 0.15, 0.6, 0.5  # of it, left of, right of, above and below the axes


def figure2(finished: Finished, name: str) -> tuple[list[Path], list[Table]]:
    """Draws NAME.png and NAME.svg; returns them and the tables that belong to them.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    study, column = finished.study, finished.column
    entry = study.definition.figures[name]
    rows = list(dict.fromkeys(p[axis] for p in entry.panels for axis in ("overlap", "auc")))
    models, _ = distinct(study, entry.models, rows)  # a model under two names is one point
    models, twins = _different(models, rows, column)
    titles = [study.title(model) for model in models]
    grid = [
        [
            panel(
                p["title"],
                score,
                (f"{text}, {p['overlap']}", f"AUC (micro), {p['auc']}"),
                titles,
                [column(model, p["overlap"]) for model in models],
                [column(model, p["auc"]) for model in models],
            )
            for p in entry.panels
        ]
        for score, text in SCORES.items()
    ]
    used = [column(model, row) for row in rows for model in models]
    said = tuple(warnings(study, used))
    files = _draw(grid, finished.folder / name, study.preset.warning)
    cases = {row: [by_case(column(model, row)) for model in models] for row in rows}
    beside = models_of(study, rows, lambda row: [column(model, row) for model in models])
    tables = [
        _correlations(name, entry.title, grid),
        _points(name, entry.title, grid, [f"{study.title(a)} is {study.title(b)}" for a, b in twins.items()]),
        _cases(name, tuple(titles), cases, beside),
    ]
    return files, [dataclasses.replace(table, warnings=said) for table in tables]


def _different(
    models: Sequence[str], rows: Sequence[str], column: Callable[[str, str], Column]
) -> tuple[list[str], dict[str, str]]:
    """Returns the models that predict otherwise than those before them, and which of these each other one is.

    A model that trains on from where another one ends is the same network where validation chose an
    epoch that both have.
    """
    found: dict[bytes, str] = {}
    of = {}
    for model in models:
        shown = (p for row in rows for p in column(model, row).predictions())
        of[model] = found.setdefault(b"".join(p.probabilities.tobytes() for p in shown), model)
    return list(found.values()), {model: first for model, first in of.items() if model != first}


def _draw(grid: list[list[Panel]], path: Path, warning: str | None) -> list[Path]:
    from cmrbias.report.overlays import QUICK, require_matplotlib

    require_matplotlib()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    size = (_PANEL[0] * len(grid[0]), _PANEL[1] * len(grid))
    figure = Figure(figsize=size, dpi=120, facecolor="white")
    axes: Any = figure.subplots(len(grid), len(grid[0]), squeeze=False)
    figure.subplots_adjust(**_margins(len(grid), len(grid[0])))
    if warning:
        figure.text(0.005, 0.005, warning, fontsize=7)
    for axes_line, line in zip(axes, grid, strict=True):
        for one, shown in zip(axes_line, line, strict=True):
            _draw_panel(one, shown)
    files = [path.with_suffix(suffix) for suffix in (".png", ".svg")]
    with rc_context({"svg.hashsalt": "cmrbias"}):  # the same file each time
        write_atomically(files[0], lambda file: figure.savefig(file, format="png", pil_kwargs=QUICK))
        write_atomically(files[1], lambda file: figure.savefig(file, format="svg", metadata={"Date": None}))
    return files


def _margins(down: int, across: int) -> dict[str, float]:
    """Returns where the axes of so many panels lie: matplotlib's own search for it takes seconds."""
    wide, high = _PANEL[0] * across, _PANEL[1] * down
    return {
        "left": _LEFT / wide,
        "right": 1 - _RIGHT / wide,
        "top": 1 - _ABOVE / high,
        "bottom": _BELOW / high,
        "wspace": (_LEFT + _RIGHT) / (_PANEL[0] - _LEFT - _RIGHT),
        "hspace": (_ABOVE + _BELOW) / (_PANEL[1] - _ABOVE - _BELOW),
    }


def _draw_panel(axes: Axes, shown: Panel) -> None:
    for point in shown.points:
        spread = [_sd(point.x_seeds), _sd(point.y_seeds)]
        axes.errorbar(
            point.x, point.y, xerr=spread[0], yerr=spread[1], fmt="o", color=_INK, ecolor="#999999", capsize=2
        )
    lines = [f"Pearson {with_interval(shown.pearson)}", f"Spearman {with_interval(shown.spearman)}"]
    if shown.descriptive:
        lines.append(f"descriptive: {len(shown.points)} models")
    axes.set_title(f"({shown.title}) " + "\n".join(lines), fontsize=7, loc="left", y=1.0)
    axes.set_xlabel(shown.x_label, fontsize=8)
    axes.set_ylabel(shown.y_label, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.margins(0.15)
    _label_points(axes, shown)


def _label_points(axes: Axes, shown: Panel) -> None:
    """Writes each model's name beside its point, or as near above or below as there is room, with a line."""
    axes.autoscale_view()
    points_a_pixel = 72 / axes.figure.dpi
    floor, ceiling = points_a_pixel * axes.bbox.y0, points_a_pixel * axes.bbox.y1 - _HIGH
    taken: list[tuple[float, float, float]] = []  # left and right end, height
    for point in sorted(shown.points, key=lambda p: p.y):
        x, y = points_a_pixel * axes.transData.transform((point.x, point.y))
        end = x + _WIDE * len(point.model)
        offsets = [_BESIDE + sign * _HIGH * step for step in range(len(shown.points) + 1) for sign in (1, -1)]
        free = [
            offset
            for offset in offsets
            if floor < y + offset < ceiling
            and not any(x < b and a < end and abs(y + offset - height) < _HIGH for a, b, height in taken)
        ]
        above = free[0] if free else _BESIDE
        taken.append((x, end, y + above))
        line = {"arrowstyle": "-", "color": "#999999", "linewidth": 0.5} if above != _BESIDE else None
        axes.annotate(
            point.model,
            (point.x, point.y),
            (_BESIDE, above),
            textcoords="offset points",
            fontsize=7,
            arrowprops=line,
        )


def _sd(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None


def _correlations(name: str, title: str, grid: list[list[Panel]]) -> Table:
    columns = ("Pearson", "Spearman", "Pearson, over patients", "Spearman, over patients", "models")
    lines = []
    for shown in (one for line in grid for one in line):
        over = [
            "not the same patients" if i is None else str(i)
            for i in (shown.pearson_patients, shown.spearman_patients)
        ]
        few = f"{len(shown.points)}, descriptive" if shown.descriptive else str(len(shown.points))
        cells = (with_interval(shown.pearson), with_interval(shown.spearman), *over, few)
        lines.append(Line(shown.x_label, shown.y_label, f"panel {shown.title}", cells))
    notes = (
        "Intervals over models are Fisher's; over patients, models fixed, patients are resampled, the same "
        "for both axes where both are of the same patients.",
        "Under 10 models the figure describes and proves nothing.",
    )
    return Table(
        name, f"{title} In numbers", columns, (Block("Correlation over models", tuple(lines)),), notes
    )


def _points(name: str, title: str, grid: list[list[Panel]], twins: Sequence[str]) -> Table:
    """Returns the figure's points: the mean over seeds, and the whiskers, along each axis."""
    lines = [
        Line(
            point.model,
            shown.x_label,
            f"{shown.y_label}, panel {shown.title}",
            (*_along(point.x, point.x_seeds), *_along(point.y, point.y_seeds)),
        )
        for line in grid
        for shown in line
        for point in shown.points
    ]
    columns = ("overlap", "SD of overlap", "AUC", "SD of AUC")
    notes = ["Means over seeds; the SD over seeds is what the whiskers show."]
    notes += [f"{twin} here: validation chose the same weights." for twin in twins]
    blocks = (Block("Points", tuple(lines)),)
    return Table(f"{name}-points", f"{title} Its points", columns, blocks, tuple(notes))


def _along(value: float, seeds: np.ndarray) -> tuple[str, str]:
    spread = _sd(seeds)
    return f"{value:.4f}", "" if spread is None else f"{spread:.4f}"


def _cases(name: str, models: tuple[str, ...], cases: dict[str, list[ByCase]], beside: Block) -> Table:
    figures: dict[str, Callable[[ByCase], str]] = {
        "mean AKS of right decisions": lambda case: _shown(case.right),
        "mean AKS of wrong decisions": lambda case: _shown(case.wrong),
        "AUROC of AKS for being right": lambda case: _shown(case.auroc),
        "partial correlation given mask area and class": lambda case: _shown(case.adjusted),
    }
    lines = [
        Line("per case", row, what, tuple(map(text, each)))
        for row, each in cases.items()
        for what, text in figures.items()
    ]
    notes = ("The partial correlation is that of the first seed.", UNRELIABLE + ".")
    title = "Are decisions right where the model looks at the heart?"
    return Table(f"{name}-cases", title, models, (Block("Case by case", tuple(lines)), beside), notes)


def _shown(found: Estimate | None) -> str:
    return "undefined" if found is None else with_interval(found)
