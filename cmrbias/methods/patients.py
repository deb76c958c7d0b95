"""Negatives that show the query's own patient: counted, and left out if asked to."""

from __future__ import annotations

import torch
from torch import Tensor

from cmrbias.api import Batch, CmrbiasError


def patients_of(batch: Batch, view: int, required: bool) -> Tensor:
    """Returns the patients' codes (N,) int64 of a view, -1 where unknown.

    Raises:
        CmrbiasError: they are ``required`` and the cohort does not tell patients.
    """
    if "patient" in batch.columns:
        return batch.columns["patient"][view]
    if required:
        raise CmrbiasError("option 'exclude-own-patient' needs the column 'patient', which the cohort lacks")
    return torch.full_like(batch.index[view], -1)


def same_patient(rows: Tensor, columns: Tensor) -> Tensor:
    """Returns (R, C) bool: do row and column (codes (R,) and (C,)) show one known patient."""
    return (rows[:, None] == columns) & (rows[:, None] >= 0)


def share(part: Tensor, whole: Tensor) -> Tensor:
    """Returns how much of ``whole`` (bool) is ``part`` (bool, within it): a scalar, 0 of nothing."""
    return part.sum() / whole.sum().clamp(min=1)
