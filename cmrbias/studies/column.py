"""A model's trials on one row: their numbers, read once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cmrbias.errors import CmrbiasError
from cmrbias.statistics import Estimate
from cmrbias.studies.adjusted import adjusted_means
from cmrbias.studies.build import Study, Trial
from cmrbias.studies.cells import Cell, output
from cmrbias.studies.facts import Facts, facts
from cmrbias.studies.overlaps import (
    Maps,
    above_gaussian,
    classes_of,
    difference,
    overlap,
    patients_of,
    read_maps,
)
from cmrbias.studies.predictions import (
    Measured,
    Predictions,
    accuracy,
    aucs,
    differences,
    read_predictions,
)


@dataclass(frozen=True)
class Column:
    """A model's trials on one row, read once.

    Attributes:
        trials: one a seed.
        study: the study's directory.
        resamples: of the intervals over patients.
    """

    trials: tuple[Trial, ...]
    study: Path
    resamples: int

    @cached_property
    def facts(self) -> Facts:
        """Of the first seed; the others differ in nothing that is shown."""
        return facts(self.trials[0], self.study)

    def predictions(self, full: bool = False) -> list[Predictions]:
        """Returns the seeds' predictions under the model's own test input, or ``full``."""
        return [self._shown(t.evaluate, "full" if full else t.tested) for t in self.trials]

    def maps(self, full: bool = False) -> list[Maps]:
        """Returns the seeds' scored maps under the model's own test input, or ``full``."""
        return [read_maps(output(t.saliency["full" if full else t.tested], self.study)) for t in self.trials]

    def auc(self, kind: str, full: bool = False) -> Measured:
        """Returns the ``micro`` or ``macro`` AUC."""
        if full not in self._aucs:
            self._aucs[full] = aucs(self.predictions(full), self.resamples)
        return self._aucs[full][kind]

    def overlap(self, score: str, full: bool = False, **options: Any) -> Measured:
        """Returns a score of the maps; the options are those of ``overlaps.overlap``."""
        asked = (score, full, *sorted(options.items()))  # tables and figures ask for the same ones
        if asked not in self._overlaps:
            self._overlaps[asked] = overlap(self.maps(full), score, resamples=self.resamples, **options)
        return self._overlaps[asked]

    def above_gaussian(self) -> Estimate:
        """Returns the AKS less a centred Gaussian's."""
        return above_gaussian(self.maps(), self.resamples)

    def at_mean_area(self, label: str) -> Estimate | None:
        """Returns the AKS of a diagnosis as if its hearts were of mean size; None where it has too few."""
        return self._adjusted.get(label)

    @property
    def of_several_classes(self) -> int:
        """How many patients with maps have cases of several classes."""
        maps = self.maps()[0]
        rows = maps.chosen()
        names, labels = classes_of(maps, rows, patients_of([maps], [rows]))
        return int((labels == len(names)).sum())

    def shown(self, kind: str, input: str) -> Measured:
        """Returns the ``micro`` or ``macro`` AUC or the ``accuracy`` under a test input of the behaviour."""
        if input not in self._aucs:
            found = self._behaviour(input)
            self._aucs[input] = aucs(found, self.resamples) | {"accuracy": accuracy(found, self.resamples)}
        return self._aucs[input][kind]

    def less(self, other: Column, kind: str) -> Measured:
        """Returns by how much more than another model this one has, paired by patient.

        Args:
            other: on the same row.
            kind: ``micro`` or ``macro`` AUC or ``accuracy``, each under its own test input, or ``aks`` of
                both under ``full``, since another input has other ceilings.
        """
        if kind == "aks":
            return difference(self.maps(full=True), other.maps(full=True), "aks", self.resamples)
        asked = id(other)
        if asked not in self._less:
            self._less[asked] = differences(self.predictions(), other.predictions(), self.resamples)
        return self._less[asked][kind]

    def background_gap(self, kind: str) -> Measured:
        """Returns how much of it is lost where the background is of another class."""
        return self._gaps[kind]

    def _behaviour(self, input: str) -> list[Predictions]:
        return [self._shown(t.behaviour, input) for t in self.trials]

    def _shown(self, evaluate: Cell, input: str) -> Predictions:
        path = output(evaluate, self.study)
        if path not in self._read:
            self._read[path] = read_predictions(path)
        if input not in self._read[path]:
            raise CmrbiasError(
                f"{path / 'predictions.csv'}: expected rows of input {input!r}, found none: "
                "delete the cell's directory"
            )
        return self._read[path][input]

    @cached_property
    def _gaps(self) -> dict[str, Measured]:
        same, other = (self._behaviour(f"swap-{which}-class") for which in ("same", "other"))
        return differences(same, other, self.resamples)

    @cached_property
    def _read(self) -> dict[Path, dict[str, Predictions]]:
        return {}

    @cached_property
    def _aucs(self) -> dict[bool | str, dict[str, Measured]]:
        return {}

    @cached_property
    def _less(self) -> dict[int, dict[str, Measured]]:
        return {}

    @cached_property
    def _overlaps(self) -> dict[tuple[Any, ...], Measured]:
        return {}

    @cached_property
    def _adjusted(self) -> dict[str, Estimate]:
        return adjusted_means(self.maps())


@dataclass(frozen=True)
class Finished:
    """A study whose cells are finished, in its directory."""

    study: Study
    folder: Path

    def column(self, model: str, row: str) -> Column:
        """Returns a model on a row, read once for all tables and figures."""
        if (model, row) not in self._columns:
            resamples = int(self.study.preset.evaluate.get("resamples", 2000))
            self._columns[model, row] = Column(tuple(self.study.trials(model, row)), self.folder, resamples)
        return self._columns[model, row]

    @cached_property
    def _columns(self) -> dict[tuple[str, str], Column]:
        return {}
