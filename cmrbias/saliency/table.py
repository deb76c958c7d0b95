"""Scores of maps as columns, a row a case, frame and map; written as ``overlap.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from cmrbias.files import write_atomically
from cmrbias.saliency.subject import Subject

MODEL = "model"
BASELINES = ("centred-gaussian", "image-gradient", "untrained")
KNOWN = ("aks", "dsc", "normalised-aks")  # scores of baselines, and with dilated masks
MAPS = (MODEL, *BASELINES)  # whose map a row scores


@dataclass(frozen=True)
class Rows:
    """Some rows of the table, all columns (R,).

    Attributes:
        row: int64, of the subject's cases.
        draw: int64, of donors; 0 where none are drawn.
        frame, map, explained, predicted: int64 codes: of its frames, of ``MAPS``, of classes (the map's
            and the classifier's decision); ``explained`` is -1 for maps that are of no class.
        method: int64, of the methods in order.
        height, width: int64, cells of the map.
        scores: name to float64, NaN where not defined; among them ``chance`` and ``ceiling``, and where
            pixel sizes are known some with the mask dilated (see ``dilated_name``).
        constant: bool, whether the map says nothing.
    """

    row: np.ndarray
    draw: np.ndarray
    frame: np.ndarray
    method: np.ndarray
    map: np.ndarray
    explained: np.ndarray
    predicted: np.ndarray
    height: np.ndarray
    width: np.ndarray
    constant: np.ndarray
    scores: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.row)

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """Returns the rows of all parts."""
        names = [name for name in cls.__dataclass_fields__ if name != "scores"]
        scores = {name: np.concatenate([p.scores[name] for p in parts]) for name in parts[0].scores}
        return cls(
            **{name: np.concatenate([getattr(p, name) for p in parts]) for name in names}, scores=scores
        )

    def some(self, chosen: np.ndarray) -> Rows:
        """Returns those rows where ``chosen`` (R,) bool."""
        names = [name for name in self.__dataclass_fields__ if name != "scores"]
        scores = {name: values[chosen] for name, values in self.scores.items()}
        return Rows(**{name: getattr(self, name)[chosen] for name in names}, scores=scores)


def dilated_name(score: str, margin: int) -> str:
    """Returns what a score with the mask dilated by ``margin`` mm is called."""
    return f"{score}-{margin}mm"


def records(rows: Rows, subject: Subject, methods: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yields each row as plain values: ids, classes by name, scores (NaN where not defined), and why.

    ``draw`` and ``donor`` are there for inputs that draw donors alone.
    ``undefined`` is ``constant map`` or ``empty mask`` where the AKS is not defined, else empty.
    """
    cohort, cases = subject.cases.cohort, subject.cases
    case, patient = (cohort.column(name)[cases.case].tolist() for name in ("case", "patient"))
    target = subject.classifier.target
    label = cohort.column(target)[cases.case].tolist() if target in cohort.columns else [""] * len(cases)
    classes = (*subject.classifier.classes, "")  # -1 is the last
    for i in range(len(rows)):
        at, drawn = int(rows.row[i]), {}
        if (donor := subject.donors_of(rows.row[i : i + 1], int(rows.draw[i]))) is not None:
            drawn = {"draw": int(rows.draw[i]), "donor": case[donor[0]]}
        yield {
            "case": case[at],
            "patient": patient[at],
            "frame": cases.frames[rows.frame[i]],
            **drawn,
            "method": methods[rows.method[i]],
            "map": MAPS[rows.map[i]],
            "class": classes[rows.explained[i]],
            "label": label[at],
            "predicted": classes[rows.predicted[i]],
            **{name: float(values[i]) for name, values in rows.scores.items()},
            "map_height": int(rows.height[i]),
            "map_width": int(rows.width[i]),
            "undefined": _why(bool(rows.constant[i]), float(rows.scores["chance"][i])),
        }


def write_overlap(path: Path, found: Iterator[dict[str, Any]]) -> None:
    """Writes records as CSV; a score that is not defined is an empty cell."""

    def write(file: BinaryIO) -> None:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer: csv.DictWriter[str] | None = None
        for record in found:
            if writer is None:
                writer = csv.DictWriter(text, list(record), lineterminator="\n")
                writer.writeheader()
            writer.writerow({key: "" if value != value else value for key, value in record.items()})
        text.detach()

    write_atomically(path, write)


def _why(constant: bool, chance: float) -> str:
    if chance == 0:
        return "empty mask"
    return "constant map" if constant else ""
