"""From a case's identifiers and metadata to its row of ``cases.csv``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cmrbias.cohorts.case import Case, SourceError
from cmrbias.cohorts.format import AREA_COLUMNS, ROW_COLUMNS
from cmrbias.errors import CmrbiasError

Targets = Mapping[str, Mapping[str, Any]]


def row_of(case: Case, targets: Targets) -> dict[str, Any]:
    """Returns identifiers, split, targets and further columns of a case, cells as text.

    Raises:
        SourceError: an identifier is missing, the split is neither train nor test, or a target's
            value is none of its classes.
        CmrbiasError: a column has a name that the format keeps for itself.
    """
    for name in case.columns:
        if name in (*ROW_COLUMNS, *AREA_COLUMNS, "pixel_size") or name.startswith("mask_"):
            raise CmrbiasError(
                f"column {name!r} of the source: the cohort keeps this name for itself, rename it"
            )
    if not case.case or not case.patient:
        raise SourceError(f"case {case.case!r}: expected a case and a patient identifier, got an empty one")
    if case.split not in (None, "", "train", "test"):
        raise SourceError(f"case {case.case!r}: expected the split train or test, got {case.split!r}")
    row = {"case": case.case, "patient": case.patient, "study": case.study, "split": case.split or ""}
    for name, value in case.columns.items():
        row[name] = _target_cell(case, name, value, targets[name]) if name in targets else _cell(value)
    return row


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(int(value)) if isinstance(value, bool) else str(value)


def _target_cell(case: Case, name: str, value: Any, target: Mapping[str, Any]) -> str:
    """Checks a target's value; binary ones may be written as 1, 1.0 or true."""
    text = _cell(value).strip()
    allowed = [str(c) for c in target.get("classes", [])]
    if text and target["kind"] == "binary":
        text = _whole(text)
        allowed = ["0", "1"] + ([str(target["uncertain"])] if "uncertain" in target else [])
    if text and allowed and text not in allowed:
        expected = ", ".join(allowed)
        raise SourceError(f"case {case.case!r}: target {name!r}: expected one of {expected}, got {text!r}")
    return text


def _whole(text: str) -> str:
    """``1.0`` and ``true`` as ``1``; anything else as it is."""
    text = {"true": "1", "false": "0"}.get(text.lower(), text)
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else text
