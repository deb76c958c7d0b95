"""What cohorts and weights that a study was given must hold, found before anything is trained.

Its cells would find the same, but one by one and after hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from cmrbias.cohorts.format import TABLE, Cohort
from cmrbias.errors import CmrbiasError
from cmrbias.evaluation.matching import match_classes, refuse_absent
from cmrbias.inputs import InputMode
from cmrbias.options import pairs
from cmrbias.studies.build import Study, all_pairs, cells_of
from cmrbias.studies.cells import Cell, Given, ordered
from cmrbias.studies.extent import PHANTOM_FRAMES, phantom_options
from cmrbias.training.cases import Cases
from cmrbias.training.initial import check_weights
from cmrbias.training.labelled import class_target, labelled, refuse_maskless, refuse_unlabelled

_OWN_MAP = "; a study of your own may give this row another label-map, or tables without it"


def check_given(study: Study) -> None:
    """Returns if every cohort and file of weights that was given can be used as the study's rows use it.

    Raises:
        CmrbiasError: one cannot; it names the cohort and what it lacks. Of several faults, the first.
    """
    parts = {name: _Part(study, name) for name in study.definition.cohorts}
    masked = {(row, InputMode(study.definition.models[m].input).needs_masks) for m, row in all_pairs(study)}
    for row, needs_masks in sorted(masked):
        where = study.definition.rows[row]
        tested, source = parts[where.cohort], parts[where.trained_on or where.cohort]
        head = source if where.label_map else tested  # whose classes the classifier tells apart
        for part in (source, head):
            part.check_training(needs_masks)
        with _named(f"row {row!r}", _OWN_MAP if where.label_map else ""):
            tested.check_tested(head, needs_masks, where.label_map)
            _refuse_seen(tested, {source.name: source, head.name: head})
    _check_weights(study)


@dataclass(frozen=True)
class _Part:
    """A cohort of the study: one that was given is read, of a phantom all is known."""

    study: Study
    name: str

    @cached_property
    def given(self) -> Cohort | None:
        found = self.study.cohorts.get(self.name)
        return None if found is None else Cohort.open(found.path)

    @property
    def label(self) -> str | None:
        return self.study.definition.cohorts[self.name].label

    @cached_property
    def frames(self) -> tuple[str, ...]:
        return PHANTOM_FRAMES if self.given is None else self.given.frames

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Those that a classifier trained here tells apart."""
        if self.given is not None:
            return labelled(self.given, self.label, (), False, 0.0).classes
        cell = self.study.cohort(self.name)
        assert isinstance(cell, Cell)
        return phantom_options(cell).class_names

    def patients(self, split: str) -> set[str]:
        if self.given is None:
            return set()
        return set(self.given.column("patient")[self.given.cases(split)].tolist())

    def check_training(self, needs_masks: bool) -> None:
        if self.given is not None:
            with _named(f"cohort {self.name}"):
                class_target(self.given, self.label)
                _refuse_without_masks(self.given)
                labelled(self.given, self.label, (), needs_masks, 0.0)

    def check_tested(self, trained: _Part, needs_masks: bool, label_map: str | None) -> None:
        """Raises where a classifier that was ``trained`` there cannot be tested here."""
        known = trained.classes
        pairs = _pairs(label_map)
        if self.given is None:
            match_classes(known, self.classes, self.classes, pairs, f"cohort {self.name}", Path(trained.name))
            return
        with _named(f"cohort {self.name}"):
            column, listed = class_target(self.given, self.label)
            _refuse_without_masks(self.given)
            cases = Cases(self.given, self.given.cases("test"), trained.frames)
            refuse_unlabelled(cases, column, "test")
            if not cases.complete.any():
                refuse_maskless(cases, "test")
            where = f"{self.given.path / TABLE}: column {column!r}"
            cells = self.given.column(column)[cases.case].tolist()
            matching = match_classes(known, cells, listed, pairs, where, Path(trained.name))
            rows = np.arange(len(cases))
            if needs_masks:
                refuse_maskless(cases, "test")
                rows = np.flatnonzero(cases.complete.all(1))
            labels = matching.labels[rows]
            refuse_absent(matching.classes, labels[labels >= 0], f"{where}: split test")


def _refuse_without_masks(cohort: Cohort) -> None:
    if not cohort.has_masks:
        raise CmrbiasError(
            f"{cohort.path}: has no heart masks, and a study scores saliency against them: import it with "
            "contours"
        )


def _refuse_seen(tested: _Part, trained: dict[str, _Part]) -> None:
    for name, part in trained.items():
        seen = sorted(part.patients("train") & tested.patients("test"))
        if seen:
            raise CmrbiasError(
                f"{len(seen)} test patients of cohort {tested.name} are among the training patients of "
                f"cohort {name} ({', '.join(seen[:3])}{', ...' if len(seen) > 3 else ''}): give cohorts of "
                "different patients, split by patient"
            )


def _check_weights(study: Study) -> None:
    """Raises where weights that were given do not fit the network that starts from them."""
    starts = [cell for cell in ordered(cells_of(study)) if isinstance(cell.weights, Given)]
    wanted = {(name, cell.weights) for cell in starts if (name := _flag(cell, "--backbone")) is not None}
    for name, weights in wanted:
        assert isinstance(weights, Given)
        check_weights(weights.path, name, study.plugins)


def _flag(cell: Cell, flag: str) -> str | None:
    return dict(zip(cell.options, cell.options[1:], strict=False)).get(flag)


def _pairs(label_map: str | None) -> dict[str, str] | None:
    return None if label_map is None else pairs(label_map.split(","), "label-map")


@contextmanager
def _named(what: str, to_do: str = "") -> Iterator[None]:
    """Puts in front of an error what it is about, and behind it what else can be done."""
    try:
        yield
    except CmrbiasError as error:
        raise CmrbiasError(f"{what}: {error}{to_do}") from None
