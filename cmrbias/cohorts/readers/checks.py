"""Checks that every reader makes of pixels and label images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cmrbias.cohorts.case import STRUCTURES, SourceError

_SAME_SPACING = 1e-3  # relative: headers round


def common_spacing(
    spacings: Mapping[str, tuple[float, float] | None], who: str
) -> tuple[float, float] | None:
    """Returns the spacing of a case of these frames: that of the first, which the others must have too.

    A cohort has one pixel size a case: with another frame's spacing an image would be resampled to a wrong
    size, and areas in mm would be wrong.

    Args:
        spacings: frame name to (row, column) in mm, or None where the file does not say.
        who: names the case in errors.

    Raises:
        SourceError: the frames differ.
    """
    (name, first), *others = spacings.items()
    for other, spacing in others:
        if spacing is first is None:
            continue
        if spacing is None or first is None or not np.allclose(spacing, first, rtol=_SAME_SPACING, atol=0):
            raise SourceError(
                f"{who}: frames differ in pixel spacing (row, column): {name} {_mm(first)}, {other} "
                f"{_mm(spacing)}; expected one: put the wrong header right, or resample one of the two"
            )
    return first


def _mm(spacing: tuple[float, float] | None) -> str:
    return "unknown" if spacing is None else f"{spacing[0]:.4g} x {spacing[1]:.4g} mm"


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
