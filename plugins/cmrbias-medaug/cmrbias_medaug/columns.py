"""What a table must hold before training starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from cmrbias.api import CmrbiasError, Table

LATERALITIES = ("frontal", "lateral", "ap", "pa")
_EXAMPLES = 3


def refuse_empty(table: Table, column: str, owner: str, option: str | None = None) -> None:
    """Raises a CmrbiasError where the column is missing or a cell is empty, with counts and some cases.

    Args:
        table: the training images.
        column: which must exist.
        owner: what needs it, for the message.
        option: which names another column, such as ``--pair-option study-column=NAME``; None: no option.
    """
    other = f"name another column by {option}" if option else "the cohort must tell it"
    try:
        empty = np.flatnonzero(table.codes(column) < 0)
    except CmrbiasError as error:
        raise CmrbiasError(f"{owner} needs the column {column!r}; {other}: {error}") from None
    if len(empty):
        raise CmrbiasError(
            f"{owner}: column {column!r} is empty in {len(empty)} of {len(table)} training images (case "
            f"{_cases(table, empty)}): fill it in, or {other}"
        )


def refuse_unknown(table: Table, column: str, known: Sequence[str], owner: str, option: str) -> None:
    """Raises a CmrbiasError where a laterality is none of the ``known`` ones, or is spelled in two ways.

    Args:
        table: the training images.
        column: of the laterality, without empty cells.
        known: the values that it may have, in any case.
        owner: what needs it, for the message.
        option: which names other values, such as ``--pair-option lateralities=A,B``.
    """
    codes, values = table.codes(column), table.values(column)
    found = [values[code] for code in np.flatnonzero(np.bincount(codes))]
    strange = [value for value in found if value.casefold() not in {name.casefold() for name in known}]
    if strange:
        rows = np.flatnonzero(np.isin(codes, [values.index(value) for value in strange]))
        told = ", ".join(repr(value) for value in strange[:_EXAMPLES])
        raise CmrbiasError(
            f"{owner}: column {column!r}: expected {', '.join(known)}, found others in {len(rows)} of "
            f"{len(table)} training images ({told}{_more(strange)}; case {_cases(table, rows)}): put them "
            f"right, or name all by {option}"
        )
    twice = [value for value in found if Counter(map(str.casefold, found))[value.casefold()] > 1]
    if twice:
        counts = ", ".join(f"{value!r} in {(codes == values.index(value)).sum()}" for value in twice)
        raise CmrbiasError(
            f"{owner}: column {column!r} spells one laterality in several ways ({counts} of {len(table)} "
            "training images): write it in one"
        )


def _cases(table: Table, rows: np.ndarray) -> str:
    names = table.values("case")
    return ", ".join(names[code] for code in table.codes("case")[rows[:_EXAMPLES]]) + _more(rows)


def _more(listed: Sequence[str] | np.ndarray) -> str:
    return ", ..." if len(listed) > _EXAMPLES else ""
