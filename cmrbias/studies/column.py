"""A model's trials on one row: their numbers, read once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cmrbias.statistics import Estimate
from cmrbias.studies.build import Trial
from cmrbias.studies.cells import output
from cmrbias.studies.facts import Facts, facts
from cmrbias.studies.overlaps import Maps, above_gaussian, overlap, read_maps
from cmrbias.studies.predictions import Measured, Predictions, aucs, read_predictions


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
        return [
            read_predictions(output(t.evaluate, self.study), "full" if full else t.tested)
            for t in self.trials
        ]

    def maps(self, full: bool = False) -> list[Maps]:
        """Returns the seeds' scored maps under the model's own test input, or ``full``."""
        return [read_maps(output(t.saliency["full" if full else t.tested], self.study)) for t in self.trials]

    @cached_property
    def _aucs(self) -> dict[bool, dict[str, Measured]]:
        return {}

    def auc(self, kind: str, full: bool = False) -> Measured:
        """Returns the ``micro`` or ``macro`` AUC."""
        if full not in self._aucs:
            self._aucs[full] = aucs(self.predictions(full), self.resamples)
        return self._aucs[full][kind]

    def overlap(self, score: str, full: bool = False, **options: Any) -> Measured:
        """Returns a score of the maps; the options are those of ``overlaps.overlap``."""
        return overlap(self.maps(full), score, resamples=self.resamples, **options)

    def above_gaussian(self) -> Estimate:
        """Returns the AKS less a centred Gaussian's."""
        return above_gaussian(self.maps(), self.resamples)
