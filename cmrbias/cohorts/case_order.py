"""Rows of a cohort's table belong to its images by position: telling that a table was sorted anew."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from cmrbias.errors import CmrbiasError


def case_digests(cases: Sequence[str]) -> dict[str, str]:
    """Returns SHA-256 of the case identifiers as they stand (``in_order``) and sorted (``sorted``)."""
    return {"in_order": _sha256(cases), "sorted": _sha256(sorted(cases))}


def check_order(path: Path, recorded: Mapping[str, str], cases: Sequence[str]) -> None:
    """Compares the case column of the table ``path`` with what ``case_digests`` gave when it was written.

    Other identifiers are no fault: they may have been renamed.

    Raises:
        CmrbiasError: it holds the same identifiers in another order.
    """
    if _sha256(cases) != recorded["in_order"] and _sha256(sorted(cases)) == recorded["sorted"]:
        raise CmrbiasError(
            f"{path}: its rows are in another order than when the cohort was made, but belong to the images "
            "by position: labels would stand on other images; restore the file, or make the cohort again"
        )


def _sha256(cases: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(cases).encode()).hexdigest()
