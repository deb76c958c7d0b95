"""Metadata of queries and keys; negatives that show the query's own patient are counted, or left out."""

from __future__ import annotations

import torch
from torch import Tensor

from cmrbias.api import Batch, CmrbiasError


def patients_of(batch: Batch, view: int, required: bool) -> Tensor:
    """Returns the patients' codes (N,) int64 of a view, -1 where unknown.

    Raises:
        CmrbiasError: they are ``required`` and the cohort does not tell patients.
    """
    if required and "patient" not in batch.columns:
        raise CmrbiasError("option 'exclude-own-patient' needs the column 'patient', which the cohort lacks")
    return codes_of(batch, "patient", view)


def codes_of(batch: Batch, column: str, view: int) -> Tensor:
    """Returns a column's codes (N,) int64 of a view, -1 where the cohort does not tell."""
    if column in batch.columns:
        return batch.columns[column][view]
    return torch.full_like(batch.index[view], -1)


def same_patient(rows: Tensor, columns: Tensor) -> Tensor:
    """Returns (R, C) bool: do row and column (codes (R,) and (C,)) show one known patient."""
    return (rows[:, None] == columns) & (rows[:, None] >= 0)


def share(part: Tensor, whole: Tensor) -> Tensor:
    """Returns how much of ``whole`` (bool) is ``part`` (bool, within it): a scalar, 0 of nothing."""
    return part.sum() / whole.sum().clamp(min=1)
