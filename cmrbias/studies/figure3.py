"""Figure 3: saliency maps of the same cases, a column a model."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from cmrbias.report.overlays import Overlay, draw_figure, require_matplotlib
from cmrbias.studies.build import Study, Trial
from cmrbias.studies.cells import output
from cmrbias.studies.overlaps import read_maps
from cmrbias.studies.pictures import Pictures, pictures, pseudonyms, read_cells


@dataclasses.dataclass(frozen=True)
class _Shown:
    """A column: its heading, and its maps by case."""

    title: str
    trial: Trial
    cases: list[str]
    frames: list[str]
    maps: np.ndarray
    size: int


def figure3(study: Study, name: str, folder: Path) -> list[Path]:
    """Draws NAME.png: evenly chosen cases in lines, all frames, and the models of the definition in columns.

    The first seed's maps; a model that is another column's is left out, since no weights were given.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    require_matplotlib()
    entry = study.definition.figures[name]
    columns = _distinct(study, entry.columns, folder)
    shared = [case for case in columns[0].cases if all(case in c.cases for c in columns)]
    places = np.unique(np.linspace(0, len(shared) - 1, min(entry.cases, len(shared))).astype(int))
    chosen = [shared[place] for place in places]
    row = study.definition.rows[entry.columns[0]["row"]]
    cohort = output(study.cohort(row.cohort), folder)
    names = pseudonyms(cohort, row.cohort)
    shown = {c.size: pictures(cohort, chosen, c.frames, c.size) for c in columns}
    lines = [
        [_overlay(c, folder, case, names[case], frame, shown[c.size], place) for c in columns]
        for place, case in enumerate(chosen)
        for frame in range(len(columns[0].frames))
    ]
    draw_figure(lines, folder / f"{name}.png")
    return [folder / f"{name}.png"]


def _distinct(study: Study, wanted: tuple[dict[str, Any], ...], folder: Path) -> list[_Shown]:
    found: dict[str, _Shown] = {}
    for column in wanted:
        trial = study.trials(column["model"], column["row"])[0]
        cell = trial.saliency[trial.tested]
        if cell.digest in found:
            earlier = found[cell.digest]
            found[cell.digest] = dataclasses.replace(earlier, title=f"{earlier.title} (random init)")
            continue
        run = json.loads((output(trial.train, folder) / "run.json").read_text())
        size = int(run["settings"]["recipe"]["image_size"])
        found[cell.digest] = _Shown(column["title"], trial, *read_cells(output(cell, folder)), size)
    return list(found.values())


def _overlay(
    column: _Shown, folder: Path, case: str, name: str, frame: int, shown: Pictures, place: int
) -> Overlay:
    maps = read_maps(output(column.trial.saliency[column.trial.tested], folder))
    rows = maps.chosen() & (maps.case == case) & (maps.frame == column.frames[frame])
    at = np.flatnonzero(rows)
    label = maps.label[maps.case == case][0]
    caption = "incomplete mask: no score"
    if len(at):
        scores = (("AKS", "aks"), ("DSC", "dsc"))
        said = "  ".join(f"{text} {maps.scores[key][at[0]]:.3f}" for text, key in scores)
        caption = f"{said}  {label} called {maps.predicted[at[0]]}"
    return Overlay(
        shown.images[place, frame],
        column.maps[column.cases.index(case), frame].astype(np.float64),
        shown.masks[place, frame],
        f"{column.title}: {name}, {column.frames[frame]}",
        caption,
    )
