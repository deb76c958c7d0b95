"""What a table must hold before training starts."""

from __future__ import annotations

import numpy as np

from cmrbias.api import CmrbiasError, Table

_EXAMPLES = 3


def refuse_empty(table: Table, column: str, owner: str) -> None:
    """Raises a CmrbiasError where a cell of the column is empty, with their number and some cases.

    Args:
        table: the training images.
        column: which must exist.
        owner: what needs it, for the message.
    """
    empty = np.flatnonzero(table.codes(column) < 0)
    if len(empty):
        names = table.values("case")
        cases = [names[code] for code in table.codes("case")[empty[:_EXAMPLES]]]
        more = ", ..." if len(empty) > _EXAMPLES else ""
        raise CmrbiasError(
            f"{owner}: column {column!r} is empty in {len(empty)} of {len(table)} training images (case "
            f"{', '.join(cases)}{more}): fill it in, or name another column"
        )
