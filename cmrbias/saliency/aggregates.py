"""From rows of scores to means over patients: by class, beside the baselines', and against the Gaussian."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cmrbias.saliency.dilation import MARGINS
from cmrbias.saliency.subject import Subject
from cmrbias.saliency.table import KNOWN, MAPS, MODEL, Rows, dilated_name
from cmrbias.statistics import Aggregate, Estimate, aggregate, mean_estimate, patient_means, patient_strata

ALL = "all"


@dataclass(frozen=True)
class Dilated:
    """Means over patients with the mask dilated, so that the pericardial border counts as heart.

    Attributes:
        margin: in mm.
        scores: as in ``Group``, of cases whose pixel size is known.
        chance, ceiling: likewise.
    """

    margin: int
    scores: dict[str, Aggregate]
    chance: float
    ceiling: float


@dataclass(frozen=True)
class Group:
    """Means over the patients of one class (or all) of one kind of map.

    Attributes:
        method: that made the maps.
        map: whose: ``model``, or a baseline's name.
        target: the explained class: ``predicted``, ``true``, a class's name; empty for maps of no class.
        label: the cases' class, or ``all``.
        frame: a frame's name, or ``all``.
        scores: name to its mean over patients with counts and interval.
        chance, ceiling: mean AKS over patients of a map that is the same everywhere (a uniform map's own
            AKS is not defined), and of the best map that the grid can hold.
        dilated: the same with the mask dilated by each of ``MARGINS``; none without a pixel size.
        above_gaussian: the paired difference in AKS from the centred Gaussian, vanished maps counting
            0; None for baselines.
    """

    method: str
    map: str
    target: str
    label: str
    frame: str
    scores: dict[str, Aggregate]
    chance: float
    ceiling: float
    dilated: list[Dilated]
    above_gaussian: Estimate | None

    @property
    def marked(self) -> bool:
        """Whether the model's maps do not lie on the heart more than a centred Gaussian does."""
        if self.above_gaussian is None:
            return False
        shown = self.above_gaussian
        interval = shown.fallback if shown.unreliable and shown.fallback else shown.interval
        return not interval.low > 0  # also without an interval


def aggregates(
    rows: Rows, subject: Subject, methods: list[str], every_class: bool, resamples: int, seed: int
) -> list[Group]:
    """Returns the groups of all methods: over all cases first, then by class of the cases.

    Args:
        rows: of the whole cohort.
        subject: what was explained.
        methods: the methods' names in order.
        every_class: whether all classes were explained, each of which is then a target.
        resamples, seed: of the bootstrap over patients.
    """
    made = _Maker(rows, subject, resamples, seed)
    found = []
    for number, method in enumerate(methods):
        mine = rows.method == number
        gaussian = mine & (rows.map == MAPS.index("centred-gaussian"))
        for name, target, chosen in _kinds(rows, subject, every_class):
            of_model = name == MODEL
            for label, in_class in made.labels():
                base = mine & chosen & in_class
                if base.any():
                    beside = gaussian & in_class if of_model else None
                    found.append(made.group(method, name, target, label, ALL, base, beside))
            for frame in range(len(subject.cases.frames) if of_model and target == "predicted" else 0):
                one = mine & chosen & (rows.frame == frame)
                if one.any() and len(subject.cases.frames) > 1:
                    beside = gaussian & (rows.frame == frame)
                    frame_name = subject.cases.frames[frame]
                    found.append(made.group(method, name, target, ALL, frame_name, one, beside))
    return found


def _kinds(rows: Rows, subject: Subject, every_class: bool) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yields whose map, of which class, and the rows (R,) bool of each kind of map."""
    model = rows.map == 0
    yield MODEL, "predicted", model & (rows.explained == rows.predicted)
    yield MODEL, "true", model & (rows.explained == subject.labels[rows.row])
    if every_class:
        for number, name in enumerate(subject.classifier.classes):
            yield MODEL, name, model & (rows.explained == number)
    for number, name in enumerate(MAPS[1:], 1):
        yield name, "predicted" if name == "untrained" else "", rows.map == number


@dataclass(frozen=True)
class _Maker:
    rows: Rows
    subject: Subject
    resamples: int
    seed: int

    def labels(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yields ``all`` and each class that has cases, with its rows (R,) bool."""
        yield ALL, np.ones(len(self.rows), dtype=bool)
        of_row = self.subject.labels[self.rows.row]
        for number, name in enumerate(self.subject.classifier.classes):
            if (of_row == number).any():
                yield name, of_row == number

    def group(
        self,
        method: str,
        map: str,
        target: str,
        label: str,
        frame: str,
        chosen: np.ndarray,
        gaussian: np.ndarray | None,
    ) -> Group:
        rows = self.rows.some(chosen)
        plain = list(rows.scores)[: list(rows.scores).index("chance")]
        shown = [name for name in plain if map == MODEL or name in KNOWN]
        return Group(
            method,
            map,
            target,
            label,
            frame,
            {name: self._aggregate(rows, name) for name in shown},
            self._mean(rows, "chance"),
            self._mean(rows, "ceiling"),
            list(self._dilated(rows, [name for name in shown if name in KNOWN])),
            None if gaussian is None else self._against(rows, self.rows.some(gaussian)),
        )

    def _dilated(self, rows: Rows, names: list[str]) -> Iterator[Dilated]:
        for margin in MARGINS:
            bounds = [dilated_name(name, margin) for name in ("chance", "ceiling")]
            if bounds[0] not in rows.scores or not (known := ~np.isnan(rows.scores[bounds[0]])).any():
                continue
            with_size = rows.some(known)
            scores = {name: self._aggregate(with_size, dilated_name(name, margin)) for name in names}
            yield Dilated(margin, scores, *(self._mean(with_size, name) for name in bounds))

    def _aggregate(self, rows: Rows, name: str) -> Aggregate:
        cases = self.subject.cases
        return aggregate(
            rows.scores[name],
            rows.row,
            self._patients(rows),
            rows.frame,
            cases.frames,
            self._strata(rows),
            self.resamples,
            self.seed,
        )

    def _against(self, rows: Rows, gaussian: Rows) -> Estimate:
        """Returns the mean over patients of AKS less the centred Gaussian's, on the same frames."""
        # a row of the model and a row of the Gaussian for the same frame of the same case and draw
        place = {
            key: i for i, key in enumerate(zip(gaussian.row, gaussian.frame, gaussian.draw, strict=True))
        }
        at = np.array([place[key] for key in zip(rows.row, rows.frame, rows.draw, strict=True)])
        ours = np.where(rows.constant, 0.0, rows.scores["aks"])
        means = self._by_patient(rows, ours - gaussian.scores["aks"][at])
        patients = np.unique(self._patients(rows), return_inverse=True)[1]
        labels = self._strata(rows)
        strata = patient_strata(labels, patients, int(labels.max(initial=0)) + 1)
        return mean_estimate(means, strata, self.resamples, self.seed)

    def _mean(self, rows: Rows, name: str) -> float:
        return float(self._by_patient(rows, rows.scores[name]).mean())

    def _by_patient(self, rows: Rows, values: np.ndarray) -> np.ndarray:
        return patient_means(values, rows.row, self._patients(rows))

    def _patients(self, rows: Rows) -> np.ndarray:
        codes: np.ndarray = self.subject.cases.codes("patient")[rows.row]
        return codes

    def _strata(self, rows: Rows) -> np.ndarray:
        """Returns each row's class, an unknown one being one more."""
        labels = self.subject.labels[rows.row]
        return np.where(labels < 0, len(self.subject.classifier.classes), labels)
