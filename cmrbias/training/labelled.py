"""The labelled cases that a classifier trains on: which there are, which are left out, which validate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmrbias.cohorts.format import TABLE, Cohort
from cmrbias.cohorts.splits import draw_split
from cmrbias.errors import CmrbiasError, unknown
from cmrbias.training.cases import Cases
from cmrbias.training.findings import findings_of, outcomes


@dataclass(frozen=True)
class Labelled:
    """The cases of ``split == train``, a row each, but those that are left out.

    Attributes:
        cases: the rows.
        target: the column that holds the labels; of several findings their names with commas.
        kind: ``class``, or ``binary`` for findings.
        classes: the names of the K classes that some training patient has, or of the K findings.
        labels: (N,) int64, 0 to K - 1; of findings (N, K) float32, 1 there, 0 not, NaN uncertain or unknown.
        training, validation: row numbers (n,) int64; a patient is in one of them.
        incomplete: frame to the number of cases whose mask of it is incomplete; ``left_out`` counts
            the cases with any.
    """

    cases: Cases
    target: str
    kind: str
    classes: tuple[str, ...]
    labels: np.ndarray
    training: np.ndarray
    validation: np.ndarray
    incomplete: dict[str, int]
    left_out: int

    def counts(self, rows: np.ndarray) -> np.ndarray:
        """Returns how many of ``rows`` (n,) each class has, or how many have each finding: (K,) int64."""
        if self.kind == "binary":
            present: np.ndarray = (self.labels[rows] == 1).sum(0)
            return present
        return np.bincount(self.labels[rows], minlength=len(self.classes))

    def unscored(self, rows: np.ndarray) -> dict[str, str]:
        """Returns why, by class or finding, those that have no AUC on ``rows`` (n,) have none."""
        found = {}
        for column, (name, present) in enumerate(zip(self.classes, self.counts(rows), strict=True)):
            known = np.isfinite(self.labels[rows, column]).sum() if self.kind == "binary" else len(rows)
            if not present:
                found[name] = f"no case with {name}"
            elif present == known:
                found[name] = f"no case without {name}"
        return found

    def notes(self) -> list[str]:
        """Returns what the user should know of it, a line each."""
        parts = {"training": self.training, "validation": self.validation}
        said = [
            f"{name} cases: " + ", ".join(map("{} {}".format, self.classes, self._told(rows)))
            for name, rows in parts.items()
            if len(rows)
        ]
        if self.left_out:
            each = ", ".join(f"{name} {count}" for name, count in self.incomplete.items())
            said.append(f"left out: {self.left_out} training cases with an incomplete heart mask ({each})")
        return said

    def _told(self, rows: np.ndarray) -> list[str]:
        """Returns each class's count of ``rows`` in words."""
        if self.kind == "class":
            return [str(count) for count in self.counts(rows)]
        absent, unknown_ = (self.labels[rows] == 0).sum(0), np.isnan(self.labels[rows]).sum(0)
        each = zip(self.counts(rows), absent, unknown_, strict=True)
        return [f"{yes} yes, {no} no, {masked} masked" for yes, no, masked in each]


def labelled(
    cohort: Cohort,
    column: str | None,
    frames: Sequence[str],
    masked: bool,
    validation: float,
    fraction: float = 1.0,
    draw: int = 0,
) -> Labelled:
    """Returns the training cases of a cohort with their labels.

    Args:
        cohort: with a target of kind ``class`` or ``binary``.
        column: the target, or several binary ones divided by commas; None is the first of kind ``class``,
            else the first.
        frames: the frames that a classifier takes; none means all.
        masked: leave out cases with an incomplete mask in any of those frames.
        validation: share of the patients that validate, stratified by class. Which they are does not
            depend on the training's seed, so that seeds can be compared.
        fraction: share of the other patients whose labels are used, stratified by class.
        draw: which of the draws of that fraction; it does not depend on the training's seed either.

    Raises:
        CmrbiasError: no such target, labels missing, a class with a single patient, no masks, or a
            fraction that leaves some class no patient.
    """
    findings = findings_of(cohort, column)
    name, listed = (",".join(findings), list(findings)) if findings else class_target(cohort, column)
    cases = Cases(cohort, cohort.cases("train"), tuple(frames) or cohort.frames)
    if not findings:
        refuse_unlabelled(cases, name, "training")
    incomplete: dict[str, int] = {}
    left_out = 0
    if masked:
        refuse_maskless(cases, "training")
        incomplete = dict(zip(cases.frames, (~cases.complete).sum(0).tolist(), strict=True))
        used = np.flatnonzero(cases.complete.all(1))
        left_out = len(cases) - len(used)
        cases = cases.some(used)
    patients = cohort.column("patient")[cases.case].tolist()
    if findings:
        classes, labels = findings, outcomes(cohort, findings, cases.case)
        cells = [str(value) for value in labels[:, 0]]  # the first finding stratifies
    else:
        cells = cohort.column(name)[cases.case].tolist()
        classes = tuple(label for label in listed if label in set(cells))
        _refuse_lone_patients(cohort, name, classes, cells, patients)
        labels = np.array([classes.index(cell) for cell in cells], dtype=np.int64)
    parts = np.array(draw_split(patients, cells, 1 - validation, seed=0))
    training = _drawn(np.flatnonzero(parts == "train"), patients, cells, fraction, draw)
    kind = "binary" if findings else "class"
    validating = np.flatnonzero(parts == "test")
    data = Labelled(cases, name, kind, classes, labels, training, validating, incomplete, left_out)
    _refuse_absent(cohort, data, fraction)
    return data


def _drawn(
    rows: np.ndarray, patients: Sequence[str], cells: Sequence[str], fraction: float, draw: int
) -> np.ndarray:
    """Returns those of ``rows`` (n,) that show a ``fraction`` of their patients, stratified by cell."""
    if fraction == 1:
        return rows
    mine = [patients[row] for row in rows], [cells[row] for row in rows]
    # draws are numbered from 1: seed 0 drew the validation part
    drawn: np.ndarray = rows[np.array(draw_split(*mine, fraction, seed=1 + draw)) == "train"]
    return drawn


def _refuse_absent(cohort: Cohort, data: Labelled, fraction: float) -> None:
    """Raises where the training rows lack a class, or a finding's one outcome."""
    for number, name in enumerate(data.classes):
        column = data.labels[data.training]
        column = column[:, number] if data.kind == "binary" else (column == number).astype(np.float32)
        absent, present = int((column == 0).sum()), int((column == 1).sum())
        if not absent or not present:
            raise CmrbiasError(
                f"{cohort.path}: column {name!r}: expected training cases with and without it, found "
                f"{present} with and {absent} without in {len(column)} cases (fraction {fraction:g}): choose "
                "another target, or a larger --fraction"
            )


def class_target(cohort: Cohort, column: str | None) -> tuple[str, list[str]]:
    """Returns the column that holds the labels, the first of kind ``class`` for None, and its classes.

    Raises:
        CmrbiasError: there is no such column, or it is of another kind.
    """
    kinds = {name: target["kind"] for name, target in cohort.targets.items()}
    usable = [name for name, kind in kinds.items() if kind == "class"]
    name = column or next(iter(usable), None)
    if name is None or not kinds:
        raise CmrbiasError(
            f"{cohort.path}: holds no labels to classify: expected a target of kind 'class' in cohort.json, "
            f"found {kinds or 'none'}; import it with labels"
        )
    if name not in kinds:
        raise CmrbiasError(f"{cohort.path}: --label: {unknown('label column', name, kinds, kinds)}")
    if name not in usable:
        raise CmrbiasError(
            f"{cohort.path}: --label {name}: expected a target of kind 'class', found {kinds[name]!r}"
        )
    return name, [str(label) for label in cohort.targets[name]["classes"]]


def refuse_unlabelled(cases: Cases, column: str, part: str) -> None:
    """Raises a CmrbiasError where a case has no label; ``part`` says in words which cases they are."""
    empty = np.flatnonzero(cases.codes(column) < 0)
    if len(empty):
        named = ", ".join(cases.cohort.column("case")[cases.case[empty[:3]]])
        more = ", ..." if len(empty) > 3 else ""
        raise CmrbiasError(
            f"{cases.cohort.path / TABLE}: column {column!r} is empty in {len(empty)} of {len(cases)} "
            f"{part} rows (case {named}{more}): fill it in, or leave those cases out of the import"
        )


def refuse_maskless(cases: Cases, part: str) -> None:
    """Raises a CmrbiasError where no case's masks are all complete; ``part`` as above."""
    if not cases.cohort.has_masks:
        raise CmrbiasError(
            f"{cases.cohort.path}: this cohort has no heart masks, which the input mode needs: use "
            "--input full, or import it with contours"
        )
    if not cases.complete.all(1).any():
        raise CmrbiasError(
            f"{cases.cohort.path}: no {part} case has complete heart masks "
            f"({'+'.join(cases.cohort.structures)}) in {' and '.join(cases.frames)}: use --input full, "
            "choose --frames, or import with --mask-structures"
        )


def _refuse_lone_patients(
    cohort: Cohort, column: str, classes: Sequence[str], cells: Sequence[str], patients: Sequence[str]
) -> None:
    """Raises where there are fewer than two classes, or a class has a single patient."""
    of = {label: {p for p, cell in zip(patients, cells, strict=True) if cell == label} for label in classes}
    if len(classes) < 2:
        raise CmrbiasError(
            f"{cohort.path}: column {column!r}: expected training cases of two classes or more, found "
            f"{', '.join(classes) or 'none'}"
        )
    alone = [label for label in classes if len(of[label]) < 2]
    if alone:
        raise CmrbiasError(
            f"{cohort.path}: column {column!r}: class {alone[0]!r} has a single training patient: expected "
            "two or more; merge the class with another, or leave it out"
        )
