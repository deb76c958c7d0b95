"""One convention for how images lie, as a pure function of the directions in the patient.

Directions are 3-vectors in DICOM's patient system (LPS: x to the patient's left, y to the back, z to
the head). NIfTI's affine is RAS: negate its first two rows first. Among the eight ways to transpose
and flip an image, ``canonical`` takes the one in which columns run most to the left, else to the
back, and rows most to the back, else to the feet: axial, coronal and sagittal images then stand as a
radiologist views them, and so do short-axis ones. How a file stores its array plays no part, so a
slice comes out the same from NIfTI, DICOM or a rotated copy.

Slices are ordered along ``normal``, the cross product of the canonical column-index and row-index
directions: position along it grows with the slice number (axial: from feet to head).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# A direction's second choice counts half, so that no common oblique plane lies near a tie.
_COLUMNS = np.array([2.0, 1.0, 0.0])  # to the left, else to the back
_ROWS = np.array([0.0, 1.0, -2.0])  # to the feet, else to the back


@dataclass(frozen=True)
class Orientation:
    """How stored slices become canonical ones: first transpose, then flip.

    Attributes:
        transpose: exchange rows and columns.
        flip_rows, flip_columns: reverse the row index, the column index (after transposing).
        normal: unit vector in LPS along which slices are to be ordered.
    """

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False
    normal: tuple[float, float, float] = (0.0, 0.0, 1.0)

    def apply(self, stack: np.ndarray) -> np.ndarray:
        """Returns ``stack`` (..., H, W) with its last two axes in canonical order, as a view."""
        if self.transpose:
            stack = np.swapaxes(stack, -1, -2)
        if self.flip_rows:
            stack = stack[..., ::-1, :]
        if self.flip_columns:
            stack = stack[..., ::-1]
        return stack

    def spacing(self, row: float, column: float) -> tuple[float, float]:
        """Returns the canonical (row, column) spacing of the stored one, in mm."""
        return (column, row) if self.transpose else (row, column)

    def order(self, positions: np.ndarray) -> np.ndarray:
        """Returns indices (Z,) that sort slices at ``positions`` (Z, 3), LPS in mm, along the normal."""
        return np.argsort(np.asarray(positions, float) @ np.array(self.normal), kind="stable")

    @property
    def text(self) -> str:
        """What was done, in words, for provenance."""
        steps = {
            "rows and columns exchanged": self.transpose,
            "row order reversed": self.flip_rows,
            "column order reversed": self.flip_columns,
        }
        return ", ".join(step for step, done in steps.items() if done) or "as stored"


def canonical(row_direction: Sequence[float], column_direction: Sequence[float]) -> Orientation:
    """Returns how to turn an image into the one convention.

    Args:
        row_direction: direction in LPS along which the *column* index grows, that is the first three
            values of DICOM's ImageOrientationPatient. Any length but 0.
        column_direction: direction along which the *row* index grows, the last three values.

    Raises:
        ValueError: the directions are not two finite vectors at right angles (within 1 degree).
    """
    along = np.array([column_direction, row_direction], float)  # [direction of rows, of columns]
    lengths = np.linalg.norm(along, axis=1, keepdims=True) if along.shape == (2, 3) else np.zeros(1)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise ValueError(f"expected two directions of three numbers, got {row_direction}, {column_direction}")
    along = along / lengths
    if abs(float(along[0] @ along[1])) > np.sin(np.radians(1.0)):
        raise ValueError(f"expected directions at right angles, got {row_direction}, {column_direction}")
    kept = abs(along[0] @ _ROWS) + abs(along[1] @ _COLUMNS)
    exchanged = abs(along[1] @ _ROWS) + abs(along[0] @ _COLUMNS)
    transpose = bool(exchanged > kept)
    rows, columns = along[::-1] if transpose else along
    flip_rows, flip_columns = bool(rows @ _ROWS < 0), bool(columns @ _COLUMNS < 0)
    normal = np.cross(-columns if flip_columns else columns, -rows if flip_rows else rows)
    x, y, z = (float(v) for v in normal / np.linalg.norm(normal))
    return Orientation(transpose, flip_rows, flip_columns, (x, y, z))
