"""Checks that every reader makes of pixels and label images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cmrbias.cohorts.case import STRUCTURES, SourceError


def check_finite(pixels: np.ndarray, path: Path) -> None:
    """Raises SourceError if ``pixels`` (any shape) hold a NaN or an infinity; names the first by index."""
    if pixels.dtype.kind != "f":
        return
    bad = ~np.isfinite(pixels)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise SourceError(
            f"{path}: {int(bad.sum())} of {bad.size} pixels are NaN or infinite (the first at {first}); "
            "expected finite values"
        )


def checked_labels(labels: np.ndarray, shape: tuple[int, ...], path: Path) -> np.ndarray:
    """Returns a label image as uint8 with the values of ``STRUCTURES`` and 0.

    Args:
        labels: (Z, H, W) of any real dtype.
        shape: that of the image which it belongs to.
        path: who is named in errors.

    Raises:
        SourceError: another shape, or a value that is no label.
    """
    if labels.shape != shape:
        raise SourceError(
            f"{path}: the mask's shape (slices, rows, columns) is {labels.shape}, its image's {shape}"
        )
    found = np.unique(labels)
    strange = [float(value) for value in found if value not in (0, *STRUCTURES.values())]
    if strange:
        known = ", ".join(f"{label} {name}" for name, label in STRUCTURES.items())
        listed = ", ".join(f"{value:g}" for value in strange[:5])
        raise SourceError(f"{path}: unknown mask label {listed}; expected 0 background, {known}")
    return labels.astype(np.uint8)
