"""Which columns of a source tell who a patient is, by their names."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from typing import Any

_WHICH = "(ids?|identifiers?|u?uid|no|nr|num|number|key|code|names?|initials)"
_PATIENT = re.compile(
    f"(patients?|pat|subjects?|subj|participants?|persons?){_WHICH}?|mrn|medicalrecord{_WHICH}"
)
_OTHER = re.compile(
    f"(study|studyinstance|accession|case|record){_WHICH}?"
    "|(first|last|family|given|middle|maiden|full|sur)?names?|initials|dob|ssn|.*birth(?!weight).*"
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def patient_columns(names: Iterable[str]) -> list[str]:
    """Returns the names that look like a patient's identifier: ``patient_id``, ``SubjectID``, ``MRN``."""
    return [name for name in names if _PATIENT.fullmatch(_letters(name))]


def identifying_columns(names: Iterable[str]) -> list[str]:
    """Returns the names that look like an identifier of any kind, a person's name or a birth date.

    Among them is whatever ends in the word id or uid, for example ``image_id`` or ``SeriesInstanceUID``,
    and what an import renamed (``table_study``).
    """
    return [name for name in names if _identifies(name.removeprefix("table_"))]


def leave_out_identifiers(rows: Sequence[dict[str, Any]], kept: Container[str]) -> list[str]:
    """Takes the columns that look like identifiers out of rows, in place, but those in ``kept``.

    Returns:
        The columns that were left out.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    found = identifying_columns(name for name in names if name not in kept)
    for row in rows:
        for name in found:
            row.pop(name, None)
    return found


def _identifies(name: str) -> bool:
    words = _WORD.findall(name)
    if words and words[-1].lower() in ("id", "ids", "uid", "uuid"):
        return True
    return bool(_PATIENT.fullmatch(_letters(name)) or _OTHER.fullmatch(_letters(name)))


def _letters(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())
