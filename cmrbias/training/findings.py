"""Binary and multi-label targets: each column a finding that is there, is not, or is uncertain."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cmrbias.cohorts.format import TABLE, Cohort
from cmrbias.errors import CmrbiasError, unknown
from cmrbias.statistics import binary_auc

_MEANING = {"1": 1.0, "0": 0.0, "-1": np.nan}
_EXAMPLES = 3


def findings_of(cohort: Cohort, label: str | None) -> tuple[str, ...]:
    """Returns the binary targets that a label names: one column, or several divided by commas.

    None names the cohort's first binary target, if it has no target of kind ``class``. Empty where the
    label is no binary target: it is then one of kind ``class``, or none at all.

    Raises:
        CmrbiasError: of several columns one is no binary target.
    """
    kinds = {name: target["kind"] for name, target in cohort.targets.items()}
    binary = [name for name, kind in kinds.items() if kind == "binary"]
    if label is None:
        return () if len(binary) < len(kinds) else tuple(binary[:1])
    names = [label] if label in kinds else label.split(",")
    wrong = [name for name in names if name not in binary]
    if wrong and len(names) > 1:
        raise CmrbiasError(
            f"{cohort.path}: --label {label}: expected binary targets divided by commas, {wrong[0]!r} is "
            f"{kinds.get(wrong[0], 'no target')}; binary ones: {', '.join(binary) or 'none'}"
        )
    return () if wrong else tuple(names)


def outcomes(cohort: Cohort, names: tuple[str, ...], cases: np.ndarray) -> np.ndarray:
    """Returns (n, K) float32 of ``cases`` (n,): 1 there, 0 not, NaN uncertain or unknown.

    An empty cell is unknown, unless the target says what ``missing`` means (CheXpert: 0, not mentioned).

    Raises:
        CmrbiasError: the cohort has no such binary target, or cells that are none of 1, 0, -1 or empty.
    """
    columns = [_column(cohort, name)[cases] for name in names]
    return np.stack(columns, axis=1)


def masked_loss(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Returns the mean binary cross-entropy of known labels, a float32 scalar; 0 without any.

    Args:
        logits: (N, K) float32.
        labels: (N, K) float32 in {0, 1}, NaN where unknown: no part of the loss.
        weights: (2, K) float32, of absent and of present findings; None: equal.
    """
    known = ~labels.isnan()
    wanted = labels.nan_to_num(0.0)
    each = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    weight = known.float()
    if weights is not None:
        weight = weight * torch.where(wanted > 0, weights[1], weights[0])
    total = weight.sum()
    return (each * weight).sum() / torch.where(total > 0, total, 1.0)


def outcome_weights(labels: np.ndarray) -> Tensor:
    """Returns 1 / count of absent and of present findings, each finding's normalised to sum 1: (2, K)."""
    counts = np.stack([(labels == outcome).sum(0) for outcome in (0, 1)])
    inverse = 1 / torch.as_tensor(counts, dtype=torch.float64).clamp(min=1)
    return (inverse / inverse.sum(0)).float()


def mean_auc(scores: Tensor, labels: Tensor) -> float:
    """Returns the mean over findings of the AUC over known labels, ties one half; NaN if none is defined.

    Args:
        scores: (N, K).
        labels: (N, K), NaN where unknown. A finding without both outcomes takes no part.
    """
    areas = []
    for score, label in zip(scores.double().numpy().T, labels.numpy().T, strict=True):
        known = ~np.isnan(label)
        present = label[known] > 0
        if 0 < present.sum() < len(present):
            areas.append(binary_auc(score[known], present))
    return sum(areas) / len(areas) if areas else float("nan")


def _column(cohort: Cohort, name: str) -> np.ndarray:
    """Returns a target's outcomes (N,) float32 of all cases."""
    target = cohort.targets.get(name, {})
    if target.get("kind") != "binary":
        binary = [other for other, found in cohort.targets.items() if found["kind"] == "binary"]
        raise CmrbiasError(f"{cohort.path}: {unknown('binary target', name, binary)}")
    codes, vocabulary = cohort.codes(name)
    _refuse_strange(cohort, name, codes, vocabulary)
    missing = target.get("missing", np.nan)
    of_code = np.array([*(_MEANING.get(value, np.nan) for value in vocabulary), missing], dtype=np.float32)
    column: np.ndarray = of_code[codes]  # code -1 is the last: an empty cell
    return column


def _refuse_strange(cohort: Cohort, name: str, codes: np.ndarray, vocabulary: list[str]) -> None:
    """Raises where a cell is none of ``_MEANING``: taken for unknown, it would be left out silently."""
    strange = [code for code, value in enumerate(vocabulary) if value not in _MEANING]
    rows = np.flatnonzero(np.isin(codes, strange))
    if len(rows):
        # the header is row 1
        told = ", ".join(f"row {row + 2}: {vocabulary[codes[row]]!r}" for row in rows[:_EXAMPLES])
        more = ", ..." if len(rows) > _EXAMPLES else ""
        raise CmrbiasError(
            f"{cohort.path / TABLE}: column {name!r}: expected 1, 0, -1 (uncertain) or nothing, found others "
            f"in {len(rows)} of {len(codes)} rows ({told}{more}): put them right"
        )
