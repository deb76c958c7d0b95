"""Painting on finished images, brighter than any anatomy."""

from __future__ import annotations

import numpy as np

VALUE = 250
"""Stored value of what lies on or in the body as a cue; anatomy is at most 230."""


def cover_up(images: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Returns images (frames, size, size) uint8 with ``VALUE`` where ``cover`` is 1, blended below."""
    return np.rint(images + cover * (VALUE - images.astype(np.float64))).astype(np.uint8)


def discs(x: np.ndarray, y: np.ndarray, pixel: float, centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Returns the share of each pixel (rows, columns) that a union of discs covers.

    Args:
        x, y: pixel centres in mm, (1, columns) and (rows, 1).
        pixel: side of a pixel in mm.
        centres: (n, 2) in mm.
        radii: (n,) in mm.
    """
    nearest = np.full((y.shape[0], x.shape[1]), np.inf)
    for (across, down), radius in zip(centres, radii, strict=True):
        np.minimum(nearest, np.hypot(x - across, y - down) - radius, out=nearest)
    return np.clip(0.5 - nearest / pixel, 0, 1)
