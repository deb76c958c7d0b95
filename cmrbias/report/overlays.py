"""Saliency maps over their images: a PNG a case, and one contact sheet of all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from cmrbias.errors import MissingExtra
from cmrbias.files import write_atomically
from cmrbias.ops.upsample import upsample
from cmrbias.saliency.explain import Explanation
from cmrbias.saliency.method import Method
from cmrbias.saliency.scoring import chooser

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = ("aks", "normalised-aks", "dsc")  # scores in a caption
OUTLINE = "#56B4E9"  # told apart from the map's colours with any colour vision
QUICK = {"compress_level": 1}  # of PNG files: a third of the time, a sixth more bytes
_DPI = 100
_PANEL, _SIDE = (3.5, 3.4), 2.95  # inches of an overlay with colour bar and titles, and of its image
_OPACITY = 0.45  # of the map where it is strongest


@dataclass(frozen=True)
class Overlay:
    """One frame of a case.

    Attributes:
        image: (H, W) float, 0 to 1.
        saliency: (h, w) float64, the map as it is scored, not upsampled.
        mask: (H, W) bool, the heart.
        title: case, frame and classes.
        caption: the scores.
        span: minimum and maximum by which the map is scaled; None: its own.
    """

    image: np.ndarray
    saliency: np.ndarray
    mask: np.ndarray
    title: str
    caption: str
    span: tuple[float, float] | None = None


def require_matplotlib(purpose: str = "drawing overlays") -> None:
    """Raises MissingExtra, which names the purpose, if matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise MissingExtra("matplotlib", "report", purpose) from None


def draw_overlays(explanation: Explanation, count: int, folder: Path) -> list[Path]:
    """Draws evenly chosen cases by each method into PNG files, and all of them on one sheet.

    Maps are computed again, for these cases alone.

    Returns:
        The files; the contact sheet is the last.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    require_matplotlib()
    folder.mkdir(parents=True, exist_ok=True)
    rows = explanation.subject.rows
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64))]
    files, sheet = [], []
    for number, method in enumerate(explanation.methods):
        for case, overlays in _overlays(explanation, method, number, chosen):
            path = folder / f"{method.name}-{case}.png"
            draw_figure([overlays], path)
            files.append(path)
            sheet.append(overlays)
    across = max(1, math.isqrt(max(len(sheet) - 1, 0)) // max(len(sheet[0]) // 2, 1) + 1)
    lines = [list(chain(*sheet[i : i + across])) for i in range(0, len(sheet), across)]
    draw_figure(lines, folder / "overlays.png")
    return [*files, folder / "overlays.png"]


def draw_figure(lines: list[list[Overlay]], path: Path) -> None:
    """Draws overlays in lines, each with its colour bar, title and scores, into a PNG file."""
    from matplotlib.figure import Figure

    across = max(map(len, lines))
    wide, high = _PANEL[0] * across, _PANEL[1] * len(lines)
    figure = Figure(figsize=(wide, high), dpi=_DPI, facecolor="white")

    def place(left: float, below: float, width: float, height: float) -> Axes:  # in inches
        return figure.add_axes((left / wide, below / high, width / wide, height / high))

    for n, line in enumerate(lines):
        below = high - (n + 1) * _PANEL[1] + 0.05
        for k, overlay in enumerate(line):
            left = k * _PANEL[0] + 0.05
            bar = place(left + _SIDE + 0.06, below, 0.1, _SIDE)
            _draw(figure, place(left, below, _SIDE, _SIDE), bar, overlay)
    write_atomically(path, lambda file: figure.savefig(file, format="png", pil_kwargs=QUICK))


def _draw(figure: Figure, axes: Axes, bar: Axes, overlay: Overlay) -> None:
    """Draws image, map and the mask's outline: row 0 above, column 0 to the left in all three."""
    axes.set_axis_off()
    whole = upsample(torch.as_tensor(overlay.saliency), *overlay.image.shape).numpy()
    low, high = overlay.span or (whole.min(), whole.max())
    scaled = (whole - low) / (high - low) if high > low else np.zeros_like(whole)
    axes.imshow(overlay.image, cmap="gray", vmin=0, vmax=1)
    drawn = axes.imshow(scaled, cmap="inferno", vmin=0, vmax=1, alpha=_OPACITY * np.sqrt(scaled))
    if overlay.mask.any():
        height, width = overlay.mask.shape
        # with a frame of zeros a heart at the image's edge is closed as well
        grid = np.arange(-1, width + 1), np.arange(-1, height + 1)
        axes.contour(*grid, np.pad(overlay.mask, 1), levels=[0.5], colors=[OUTLINE], linewidths=1.2)
        axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    axes.set_title(f"{overlay.title}\n{overlay.caption}", fontsize=7, loc="left", y=1.0)
    figure.colorbar(drawn, cax=bar, alpha=1, ticks=(0, 0.5, 1))
    bar.tick_params(labelsize=6)


def _overlays(
    explanation: Explanation, method: Method, number: int, chosen: np.ndarray
) -> list[tuple[str, list[Overlay]]]:
    """Returns the frames of each chosen case, by the case's name."""
    subject = explanation.subject
    cases, classes = subject.cases, subject.classifier.classes
    names = cases.cohort.column("case")[cases.case].tolist()
    found = []
    for shown in subject.stream(chosen):
        labels = torch.as_tensor(subject.labels[shown.rows], device=subject.device)
        choose = chooser(labels, len(classes), "predicted")
        logits, both = method.saliency.explain(subject.classifier, shown.images, choose)
        column = 1 if explanation.target == "true" else 0
        explained, maps = choose(logits)[:, column].tolist(), both[:, column].cpu().double()
        assert shown.masks is not None
        for i, row in enumerate(shown.rows.tolist()):
            span = None
            if explanation.scaling.joint:
                whole = upsample(maps[i], *shown.images.shape[-2:])
                span = float(whole.min()), float(whole.max())
            frames = [
                Overlay(
                    (shown.images[i, f, 0].cpu().numpy() + 1) / 2,
                    maps[i, f].numpy(),
                    shown.masks[i, f].cpu().numpy(),
                    f"{names[row]}, {cases.frames[f]}, {method.name} of class {classes[explained[i]]}",
                    _caption(explanation, number, row, f, explained[i]),
                    span,
                )
                for f in range(len(cases.frames))
            ]
            found.append((names[row], frames))
    return found


def _caption(explanation: Explanation, method: int, row: int, frame: int, explained: int) -> str:
    rows = explanation.rows
    at = (rows.method == method) & (rows.map == 0) & (rows.row == row) & (rows.frame == frame)
    place = np.flatnonzero(at & (rows.explained == explained))
    if not len(place):
        return "incomplete mask: no score"
    shown = {name: rows.scores[name][place[0]] for name in SHOWN if name in rows.scores}
    return "  ".join(
        f"{name} {'undefined' if np.isnan(value) else f'{value:.3f}'}" for name, value in shown.items()
    )
