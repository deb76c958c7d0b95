"""What may stand for a pixel size in a cohort that was edited: a positive number of mm, or nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from cmrbias.cohorts.columns import Column
from cmrbias.errors import CmrbiasError


def check_header_size(path: Path, size: Any) -> None:
    """Raises a CmrbiasError if ``pixel_size`` of the header ``path`` is neither a size nor null."""
    number = isinstance(size, int | float) and not isinstance(size, bool)
    if size is not None and not (number and _is_size(size)):
        raise _error(str(path), "null", json.dumps(size))


def check_column_sizes(path: Path, column: Column) -> None:
    """Raises a CmrbiasError if a cell of ``pixel_size`` in the table ``path`` is no size; empty ones may be.

    Rows are counted as a spreadsheet does: the header is row 1.
    """
    cells = column.vocabulary
    bad = [code for code, cell in enumerate(cells) if not _is_size(cell)]
    if bad:
        row = int(np.isin(column.codes, bad).argmax())
        raise _error(f"{path}: row {row + 2}", "an empty cell", repr(cells[column.codes[row]]))


def _is_size(value: str | float) -> bool:
    try:
        return 0 < float(value) < math.inf  # false for NaN
    except ValueError:
        return False


def _error(where: str, nothing: str, found: str) -> CmrbiasError:
    return CmrbiasError(
        f"{where}: pixel_size: expected a positive number of mm, or {nothing} where it is unknown, got "
        f"{found}; put it right, or make the cohort again"
    )
