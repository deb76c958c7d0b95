"""What scores, labels and patients must look like, told in one line where they do not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cmrbias.errors import CmrbiasError


def class_names(classes: Sequence[str] | None, count: int) -> list[str]:
    """Returns the ``count`` classes' names; their numbers where ``classes`` is None."""
    if classes is None:
        return [str(number) for number in range(count)]
    if len(classes) != count:
        raise CmrbiasError(f"expected one name for each of {count} columns of scores, found {len(classes)}")
    return list(classes)


def label_matrix(scores: np.ndarray, labels: np.ndarray, classes: Sequence[str] | None = None) -> np.ndarray:
    """Returns for each case and class whether the case has it: (N, K) bool.

    Args:
        scores: (N, K) float64, higher for cases that have the class.
        labels: (N,) integers in [0, K), or (N, K) of 0 and 1 for a multi-label target.
        classes: K names, for messages.

    Raises:
        CmrbiasError: shapes or values that do not fit, a score that is not finite.
    """
    if scores.ndim != 2:
        raise CmrbiasError(f"expected scores of shape (cases, classes), found {scores.shape}")
    names = class_names(classes, scores.shape[1])
    for row, column in np.argwhere(~np.isfinite(scores))[:1]:
        found = f"found {scores[row, column]} in row {row} for class {names[column]!r}"
        raise CmrbiasError(f"expected finite scores, {found}: did training diverge?")
    return _as_matrix(np.asarray(labels), scores.shape)


def outcome_matrix(
    scores: np.ndarray, labels: np.ndarray, classes: Sequence[str] | None = None
) -> np.ndarray:
    """Returns ``label_matrix``, in which each class has cases with and without it, as an AUC needs.

    Raises:
        CmrbiasError: as there; a class that no case has, or that every case has.
    """
    outcomes = label_matrix(scores, labels, classes)
    names = class_names(classes, scores.shape[1])
    for name, cases in zip(names, outcomes.sum(axis=0).tolist(), strict=True):
        if cases in (0, len(outcomes)):
            found = "has no case" if cases == 0 else f"has all {cases} cases"
            wanted = "an AUC needs cases of the class and of others: leave it out, or add cases"
            raise CmrbiasError(f"class {name!r} {found}; {wanted}")
    return outcomes


def patient_numbers(patients: np.ndarray, cases: int) -> np.ndarray:
    """Returns patients numbered from 0 in ascending order of their codes: (N,) int64.

    Args:
        patients: (N,) integer codes, any values.
        cases: the N that is expected.
    """
    if np.shape(patients) != (cases,):
        raise CmrbiasError(
            f"expected one patient for each of {cases} cases, found shape {np.shape(patients)}"
        )
    return np.unique(patients, return_inverse=True)[1].astype(np.int64)


def _as_matrix(labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if labels.shape == shape:
        if not np.isin(labels, (0, 1)).all():
            raise CmrbiasError("expected multi-label targets of 0 and 1 alone: leave uncertain ones out")
        return labels.astype(bool)
    if labels.shape != shape[:1]:
        raise CmrbiasError(f"expected labels of shape {shape[:1]} or {shape}, found {labels.shape}")
    if labels.size and not (labels.dtype.kind in "iu" and labels.min() >= 0 and labels.max() < shape[1]):
        found = f"found {labels.dtype} from {labels.min()} to {labels.max()}"
        raise CmrbiasError(f"expected integer labels from 0 to {shape[1] - 1}, {found}")
    outcomes: np.ndarray = labels[:, None] == np.arange(shape[1])
    return outcomes
