"""Changes of the whole image, so that no background is left that a mask could separate.

``shading``: brightness rises from left to right for high levels and falls for low ones; mean brightness
is the same at all levels. ``noise``: more for higher levels. ``sharpness``: less for higher levels.
"""

from __future__ import annotations

import numpy as np

from cmrbias.cohorts.phantom.canvas import FIELD_MM
from cmrbias.cohorts.phantom.rendering import Rendering

MEAN_SHADE, STEEPEST = 0.8, 0.3  # at most 1.1 of the anatomy, which is 253 of 255
NOISE = 4.0  # stored values a level
SHARPEST_MM, STEP_MM = 1.8, 0.8  # standard deviation at the lowest level, and what each further one adds


def added(found: Rendering, form: str, level: int, levels: int, rng: np.random.Generator) -> np.ndarray:
    """Returns the images (frames, size, size) uint8, changed wherever the scanner saw something."""
    if form == "shading":
        return _shading(found.images, level, levels)
    top, left, height, width = found.area
    seen = (..., slice(top, top + height), slice(left, left + width))
    images = found.images.copy()
    before = images[seen].astype(np.float64)
    if form == "noise":
        images[seen] = _noisy(before, NOISE * (level + 1), rng)
    else:
        images[seen] = _blurred(before, (SHARPEST_MM + STEP_MM * level) * images.shape[-1] / FIELD_MM)
    return images


def _shading(images: np.ndarray, level: int, levels: int) -> np.ndarray:
    tilt = 2 * level / (levels - 1) - 1
    across = (np.arange(images.shape[-1]) + 0.5) / images.shape[-1] * 2 - 1
    return np.asarray(np.rint(images * (MEAN_SHADE + STEEPEST * tilt * across)).astype(np.uint8))


def _noisy(images: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Returns the magnitude of the images with complex white noise, as a scanner would; 255 at most."""
    real, imaginary = rng.standard_normal((2, *images.shape)) * deviation
    return np.asarray(np.rint(np.hypot(images + real, imaginary)).clip(0, 255))


def _blurred(images: np.ndarray, deviation: float) -> np.ndarray:
    """Returns the images smoothed by a Gaussian, its deviation in pixels, that ends at their edges."""
    rows, columns = (_gaussian(length, deviation) for length in images.shape[-2:])
    return np.asarray(np.rint(rows @ images @ columns.T))


def _gaussian(length: int, deviation: float) -> np.ndarray:
    """Returns the matrix (length, length) that smooths a line of so many pixels."""
    apart = np.arange(length)[:, None] - np.arange(length)
    weights = np.exp(-0.5 * (apart / deviation) ** 2)
    return np.asarray(weights / weights.sum(1, keepdims=True))
