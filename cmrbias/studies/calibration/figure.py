"""``calibration.png``: a line of panels a cue: reliance by strength, each measure against reliance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cmrbias.errors import MissingExtra
from cmrbias.files import write_atomically
from cmrbias.studies.calibration.points import MEASURES, Figure, Point
from cmrbias.studies.calibration.report import Calibration

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

# Okabe and Ito's palette, told apart with any colour vision
COLOURS = {
    "full": "#000000",
    "heart": "#0072B2",
    "swap": "#009E73",
    "SimCLR + probe": "#E69F00",
    "SimCLR + finetune": "#D55E00",
}
MARKERS = "osD^vP*X"  # by strength, from the lowest


def draw_calibration(calibration: Calibration, path: Path) -> None:
    """Draws the points under input ``full``, whiskers being intervals over patients.

    Where there are error rates, a second line of panels a cue shows detections by strength.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib import figure as drawing
    except ImportError:
        raise MissingExtra("matplotlib", "report", "drawing a calibration") from None
    points = [p for p in calibration.points if p.shown == "full"]
    cues = list(dict.fromkeys(p.cue for p in points))
    lines = 2 if calibration.rates else 1
    count = max(1, len(cues) * lines)
    figure = drawing.Figure(
        figsize=(3.1 * (len(MEASURES) + 1), 0.8 + 3.1 * count), layout="constrained", dpi=110
    )
    grid = figure.subplots(count, len(MEASURES) + 1, squeeze=False)
    for line, cue in enumerate(cues):
        mine = [p for p in points if p.cue == cue]
        row = grid[line * lines]
        reach = max([1.5 * calibration.cut, *(1.05 * p.reliance.high for p in mine)])
        _draw_strengths(row[0], cue, mine, reach)
        for axes, measure in zip(row[1:], MEASURES, strict=True):
            _draw_measure(axes, measure, mine, calibration)
            axes.set(xlabel="reliance", xlim=(-0.02 * reach, reach))
        if lines == 2:
            below = grid[line * lines + 1]
            below[0].set_axis_off()
            for axes, measure in zip(below[1:], MEASURES, strict=True):
                _draw_rates(axes, calibration, cue, measure)
    handles, labels = _legend(sorted({p.strength for p in points}))
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=8)
    write_atomically(path, lambda file: figure.savefig(file, format="png"))


def _draw_strengths(axes: Axes, cue: str, points: Sequence[Point], reach: float) -> None:
    """Reliance of each model by strength, a line through the means over replicates."""
    strengths = sorted({p.strength for p in points})
    for model, colour in COLOURS.items():
        mine = [p for p in points if p.model == model]
        means = [_mean([p.reliance.value for p in mine if p.strength == s]) for s in strengths]
        axes.plot(strengths, means, color=colour, linewidth=1.2)
    for marker, colour, mine in _groups(points):
        values = [p.reliance.value for p in mine]
        axes.plot([p.strength for p in mine], values, marker, color=colour, markersize=4, alpha=0.7)
    axes.set(xlabel="cue strength", ylabel="reliance", ylim=(-0.02 * reach, reach))
    axes.set_title(cue, fontsize=9)


def _draw_measure(axes: Axes, measure: str, points: Sequence[Point], calibration: Calibration) -> None:
    from matplotlib.colors import to_rgba

    for marker, colour, mine in _groups(points):
        x, left, right = _ends([p.reliance for p in mine])
        y, below, above = _ends([p.measures[measure] for p in mine])
        style = {"color": colour, "markersize": 5, "elinewidth": 0.8, "ecolor": to_rgba(colour, 0.35)}
        axes.errorbar(x, y, (below, above), (left, right), marker, **style)  # type: ignore[arg-type]
    axes.axvline(calibration.cut, color="0.6", linewidth=0.8, linestyle=":")
    found = [a for a in calibration.agreements if a.measure == measure and points and a.cue == points[0].cue]
    said = "".join(f"\nSpearman {a.spearman.value:.2f}, {a.points} points" for a in found)
    axes.set_title(f"{measure}{said}", fontsize=9)


def _draw_rates(axes: Axes, calibration: Calibration, cue: str, measure: str) -> None:
    for model, colour in COLOURS.items():
        mine = [r for r in calibration.rates if (r.cue, r.measure, r.model) == (cue, measure, model)]
        x = [float(r.of.removeprefix("strength ")) for r in mine]
        shares = [Figure(r.hits / r.n, r.interval.low, r.interval.high) for r in mine]
        y, below, above = _ends(shares)
        axes.errorbar(x, y, (below, above), fmt="o-", color=colour, markersize=4, elinewidth=0.6)
    axes.axhline(0.05, color="0.6", linewidth=0.8, linestyle=":")
    axes.set(xlabel="cue strength", ylabel="share called suspicious", ylim=(-0.02, 1.02))
    axes.set_title(measure, fontsize=9)


def _groups(points: Sequence[Point]) -> Iterator[tuple[str, str, list[Point]]]:
    """Yields marker, colour and points of each model at each strength."""
    for number, strength in enumerate(sorted({p.strength for p in points})):
        for model, colour in COLOURS.items():
            mine = [p for p in points if (p.model, p.strength) == (model, strength)]
            if mine:
                yield MARKERS[number % len(MARKERS)], colour, mine


def _ends(figures: Sequence[Figure]) -> np.ndarray:
    """Returns values, and how far their intervals reach below and above: (3, n)."""
    ends = np.array([(f.value, f.value - f.low, f.high - f.value) for f in figures]).reshape(-1, 3).T
    ends[1:] = np.maximum(ends[1:], 0)  # an interval from resampling may miss its value
    return ends


def _legend(strengths: Sequence[float]) -> tuple[list[Artist], list[str]]:
    from matplotlib.lines import Line2D

    models = [Line2D([], [], color=colour, marker="o", linestyle="") for colour in COLOURS.values()]
    marks = [
        Line2D([], [], color="0.4", marker=MARKERS[i % len(MARKERS)], linestyle="")
        for i in range(len(strengths))
    ]
    return [*models, *marks], [*COLOURS, *(f"strength {s:g}" for s in strengths)]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
