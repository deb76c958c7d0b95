"""Where a file's pixels lie in the patient, and how they become canonical slices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmrbias.cohorts.orientation import Orientation


@dataclass(frozen=True)
class Grid:
    """How a file lies; by default it does not say.

    Attributes:
        orientation: turns stored slices (row, column) into canonical ones.
        reverse: the slice order is reversed.
        spacing: canonical (row, column) spacing in mm, or None where the file holds none.
        oriented: the file says how it lies in the patient.
        place: (4, 3) float64, LPS in mm: where the first stored pixel lies, then the steps to the next
            slice, row and column; None where the file does not say.
    """

    orientation: Orientation = Orientation()
    reverse: bool = False
    spacing: tuple[float, float] | None = None
    oriented: bool = False
    place: np.ndarray | None = None

    def turn(self, stored: np.ndarray) -> np.ndarray:
        """Returns a stored stack (Z, rows, columns) as a canonical one (Z, H, W), contiguous."""
        slices = stored[::-1] if self.reverse else stored
        return np.ascontiguousarray(self.orientation.apply(slices))

    def turns_like(self, other: Grid, slices: int) -> bool:
        """Tells whether ``turn`` does the same as the other's to a stack of that many slices."""
        probe = np.arange(4 * min(slices, 2)).reshape(-1, 2, 2)
        return np.array_equal(self.turn(probe), other.turn(probe))

    def corners(self, shape: tuple[int, ...]) -> np.ndarray | None:
        """Returns where the corners of a stored stack lie, in canonical order: (2, 2, 2, 3), LPS in mm.

        Args:
            shape: (Z, rows, columns) as stored.

        Returns:
            None where the file does not say.
        """
        if self.place is None:
            return None
        index = np.stack(np.meshgrid(*((0, n - 1) for n in shape), indexing="ij"), axis=-1)
        positions = (self.place[0] + index @ self.place[1:]).reshape(8, 3)
        canonical: np.ndarray = positions[self.turn(np.arange(8).reshape(2, 2, 2))]
        return canonical

    @property
    def text(self) -> str:
        """What ``turn`` does, in words."""
        return self.orientation.text + (", slice order reversed" if self.reverse else "")
