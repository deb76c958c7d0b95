"""Overlap scores of a model's seeds on the same patients, from the ``overlap.csv`` of its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from cmrbias.files import read_columns
from cmrbias.statistics import (
    average_seeds,
    mean_estimate,
    patient_means,
    patient_strata,
    seed_spread,
    t_interval,
)
from cmrbias.statistics.interval import Estimate
from cmrbias.studies.predictions import Measured

MODEL, GAUSSIAN, GRADIENT, UNTRAINED = "model", "centred-gaussian", "image-gradient", "untrained"
SD, HALF_WIDTH = "SD over patients", "95 % half-width, t"
_SCORES = ("aks", "dsc", "normalised-aks", "chance", "ceiling")
DILATED = {"aks-5mm": "5 mm", "aks-10mm": "10 mm"}  # only where the pixel size is known


@dataclass(frozen=True)
class Maps:
    """The scored maps of one run under one test input, a row a case, frame and map; all columns (R,).

    Attributes:
        case, patient, frame, map, explained, label, predicted: names; ``explained`` is the map's class.
        scores: name to float64, NaN where undefined.
        size: cells of the maps, height and width.
    """

    case: np.ndarray
    patient: np.ndarray
    frame: np.ndarray
    map: np.ndarray
    explained: np.ndarray
    label: np.ndarray
    predicted: np.ndarray
    scores: dict[str, np.ndarray]
    size: tuple[int, int]

    def chosen(
        self,
        map: str = MODEL,
        target: str = "predicted",
        label: str | None = None,
        frame: str | None = None,
    ) -> np.ndarray:
        """Returns which rows (R,) bool are of a map, of the predicted or true class, of a class or frame."""
        rows: np.ndarray = self.map == map
        if map == MODEL:
            rows &= self.explained == (self.predicted if target == "predicted" else self.label)
        if label is not None:
            rows &= self.label == label
        if frame is not None:
            rows &= self.frame == frame
        return rows

    def by_patient(
        self, score: str, rows: np.ndarray, patients: np.ndarray, undefined: float = np.nan
    ) -> np.ndarray:
        """Returns each patient's score (P,), NaN where none of its maps has one.

        Args:
            score: its name.
            rows: (R,) bool.
            patients: (P,) names in ascending order, those of the rows among them.
            undefined: what a map without a score counts.
        """
        found = np.full(len(patients), np.nan)
        if rows.any():
            values = self.scores[score][rows]
            owners = np.searchsorted(patients, self.patient[rows])
            cases = np.unique(self.case[rows], return_inverse=True)[1]
            means = patient_means(np.where(np.isnan(values), undefined, values), cases, owners)
            found[np.unique(owners)] = means
        return found


@lru_cache(maxsize=512)
def read_maps(folder: Path) -> Maps:
    """Returns what ``saliency`` wrote into a folder."""
    read = read_columns(folder / "overlap.csv")
    scores = {
        name: np.array([float(value or "nan") for value in read[name]])
        for name in (*_SCORES, *(name for name in DILATED if name in read))
    }
    return Maps(
        case=np.array(read["case"]),
        patient=np.array(read["patient"]),
        frame=np.array(read["frame"]),
        map=np.array(read["map"]),
        explained=np.array(read["class"]),
        label=np.array(read["label"]),
        predicted=np.array(read["predicted"]),
        scores=scores,
        size=(int(read["map_height"][0]), int(read["map_width"][0])),
    )


def overlap(
    seeds: Sequence[Maps],
    score: str,
    *,
    map: str = MODEL,
    target: str = "predicted",
    label: str | None = None,
    frame: str | None = None,
    kind: str = SD,
    undefined: float = np.nan,
    resamples: int = 2000,
    seed: int = 0,
) -> Measured:
    """Returns a score's mean over patients: seeds averaged per patient, then the interval over patients.

    Args:
        seeds: one model's maps of the same cases.
        score: its name.
        map: whose maps.
        target: maps of the ``predicted`` or the ``true`` class.
        label: only cases of this class.
        frame: only this frame.
        kind: what stands behind the plus-minus; the SD is the mean of the seeds' SDs.
        undefined: what a map without a score counts; NaN leaves it out.
        resamples, seed: of the bootstrap.
    """
    rows = [one.chosen(map, target, label, frame) for one in seeds]
    patients = patients_of(seeds, rows)
    scores = np.stack(
        [one.by_patient(score, r, patients, undefined) for one, r in zip(seeds, rows, strict=True)]
    )
    means = average_seeds(scores)
    found = mean_estimate(means, classes_of(seeds[0], rows[0], patients)[1], resamples, seed)
    return Measured(
        found,
        seed_spread(np.array([_mean(each) for each in scores])),
        t_interval(means[~np.isnan(means)]).width / 2 if kind == HALF_WIDTH else _mean_sd(scores),
        kind,
        int(np.isnan(means).sum()),
    )


def above_gaussian(seeds: Sequence[Maps], resamples: int = 2000, seed: int = 0) -> Estimate:
    """Returns how far the AKS lies above a centred Gaussian's, paired by patient; vanished maps count 0."""
    ours = [one.chosen() for one in seeds]
    patients = patients_of(seeds, ours)
    differences = [
        one.by_patient("aks", rows, patients, 0.0) - one.by_patient("aks", one.chosen(GAUSSIAN), patients)
        for one, rows in zip(seeds, ours, strict=True)
    ]
    return mean_estimate(
        average_seeds(np.stack(differences)), classes_of(seeds[0], ours[0], patients)[1], resamples, seed
    )


def difference(
    first: Sequence[Maps], second: Sequence[Maps], score: str, resamples: int = 2000, seed: int = 0
) -> Measured:
    """Returns how much larger the score of the first's maps is, paired by patient; vanished maps count 0.

    Args:
        first, second: two models' maps of the same cases, a seed each.
        score: its name.
        resamples, seed: of the bootstrap.
    """
    ours, theirs = ([one.chosen() for one in seeds] for seeds in (first, second))
    patients = np.intersect1d(patients_of(first, ours), patients_of(second, theirs))
    scores = []
    for one, other, mine, its in zip(first, second, ours, theirs, strict=True):
        kept = mine & np.isin(one.patient, patients), its & np.isin(other.patient, patients)
        pair = one.by_patient(score, kept[0], patients, 0.0), other.by_patient(score, kept[1], patients, 0.0)
        scores.append(pair[0] - pair[1])
    means = average_seeds(np.stack(scores))
    return Measured(
        mean_estimate(means, classes_of(first[0], ours[0], patients)[1], resamples, seed),
        seed_spread(np.array([_mean(each) for each in scores])),
        t_interval(means[~np.isnan(means)]).width / 2,
        HALF_WIDTH,
    )


def patients_of(seeds: Sequence[Maps], rows: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the patients of the rows of all seeds, in ascending order."""
    return np.unique(np.concatenate([one.patient[r] for one, r in zip(seeds, rows, strict=True)]))


def classes_of(maps: Maps, rows: np.ndarray, patients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the names of the rows' classes (K,), and each patient's class as a number (P,) int64.

    It is K for a patient with cases of several classes, or with none of the rows; rows may come in any order.

    Args:
        maps: one seed's.
        rows: (R,) bool.
        patients: (P,) names in ascending order.
    """
    rows = rows & np.isin(maps.patient, patients)
    names, labels = np.unique(maps.label[rows], return_inverse=True)
    present, owners = np.unique(maps.patient[rows], return_inverse=True)
    found = np.full(len(patients), len(names), np.int64)
    found[np.searchsorted(patients, present)] = patient_strata(labels, owners, len(names))
    return names, found


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _mean_sd(scores: np.ndarray) -> float:
    """Returns the mean of the seeds' SDs over patients; NaN where no seed has two patients."""
    spreads = [known.std(ddof=1) for each in scores if len(known := each[~np.isnan(each)]) > 1]
    return float(np.mean(spreads)) if spreads else float("nan")
