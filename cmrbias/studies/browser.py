"""The report's cases: what each model said and where it looked, case by case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cmrbias.report.html import cells, packed, picture_url
from cmrbias.studies.build import Study, Trial, all_pairs
from cmrbias.studies.cells import output
from cmrbias.studies.overlaps import Maps, read_maps
from cmrbias.studies.pictures import pictures, pseudonyms, read_cells

MOST = 150  # cases a cohort
SIZE = 112  # pixels a side, at most


def browser(study: Study, folder: Path, images: bool) -> dict[str, Any]:
    """Returns rows -> models -> cases with their scores and maps, and the pictures of each cohort.

    Of each model the first seed, under its own test input. Plain values, as JSON has them.

    Args:
        study: whose cells are finished.
        folder: the study's directory.
        images: whether there are pictures and maps.
    """
    found: dict[str, Any] = {"rows": {}, "pictures": {}, "note": ""}
    chosen: dict[str, list[str]] = {}
    names: dict[str, dict[str, str]] = {}
    shown: set[tuple[str, str]] = set()
    for model, row in all_pairs(study):
        trial = study.trials(model, row)[0]
        if not trial.saliency or (row, trial.train.digest) in shown:
            continue
        shown.add((row, trial.train.digest))
        place = output(trial.saliency[trial.tested], folder)
        cases, frames, maps = read_cells(place)
        cohort = study.definition.rows[row].cohort
        if cohort not in chosen:
            path = output(study.cohort(cohort), folder)
            names[cohort] = pseudonyms(path, cohort)
            chosen[cohort] = _some(cases)
            if len(cases) > MOST:
                found["note"] = f"{MOST} cases of each cohort, evenly chosen."
            if images:
                found["pictures"][cohort] = _pictures(path, chosen[cohort], frames, names[cohort])
        line = found["rows"].setdefault(row, {"cohort": cohort, "models": {}})
        kept = [n for n, case in enumerate(cases) if case in set(chosen[cohort])]
        scores = read_maps(place)
        line["models"][_title(study, model, trial)] = [
            _case(scores, cases[n], names[cohort][cases[n]], frames, maps[n] if images else None)
            for n in kept
        ]
    return found


def _title(study: Study, model: str, trial: Trial) -> str:
    return f"{study.title(model)}, shown {trial.tested}"


def _some(cases: list[str]) -> list[str]:
    places = np.unique(np.linspace(0, len(cases) - 1, min(MOST, len(cases))).astype(int))
    return [cases[place] for place in places]


def _pictures(cohort: Path, cases: list[str], frames: list[str], names: dict[str, str]) -> dict[str, Any]:
    found = pictures(cohort, cases, frames, SIZE)
    return {
        "size": SIZE,
        "cases": {
            names[case]: [
                {"image": picture_url(_grey(image)), "mask": packed(mask)}
                for image, mask in zip(found.images[n], found.masks[n], strict=True)
            ]
            for n, case in enumerate(cases)
        },
    }


def _grey(image: np.ndarray) -> np.ndarray:
    grey: np.ndarray = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return grey


def _case(scores: Maps, case: str, name: str, frames: list[str], maps: np.ndarray | None) -> dict[str, Any]:
    mine = scores.case == case
    rows = scores.chosen() & mine
    any_row = int(np.flatnonzero(mine)[0])
    shown = []
    for f, frame in enumerate(frames):
        at = np.flatnonzero(rows & (scores.frame == frame))
        one: dict[str, Any] = {"name": frame}
        for key, score in (("aks", "aks"), ("normalised", "normalised-aks"), ("dsc", "dsc")):
            one[key] = _number(scores.scores[score][at[0]]) if len(at) else None
        if maps is not None:
            one |= {"map": cells(maps[f]), "height": maps.shape[1], "width": maps.shape[2]}
        shown.append(one)
    known = [frame["aks"] for frame in shown if frame["aks"] is not None]
    return {
        "name": name,
        "label": str(scores.label[any_row]),
        "predicted": str(scores.predicted[any_row]),
        "aks": float(np.mean(known)) if known else None,
        "frames": shown,
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 5)
