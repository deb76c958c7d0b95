"""A bright disc in the left ventricle's blood pool, larger for higher levels: a marker that is heart."""

from __future__ import annotations

import numpy as np

from cmrbias.cohorts.case import STRUCTURES
from cmrbias.cohorts.phantom.canvas import Canvas
from cmrbias.cohorts.phantom.cues.paint import cover_up, discs
from cmrbias.cohorts.phantom.rendering import Rendering

SMALLEST_MM, STEP_MM = 1.8, 1.0  # radius at the lowest level, and what each further one adds


def added(found: Rendering, level: int) -> np.ndarray:
    """Returns images with the disc in the middle of the pool, cut off where the pool of a frame ends."""
    canvas = Canvas(found.images.shape[-1])
    centres, radii = np.array([found.heart.centre]), np.array([SMALLEST_MM + STEP_MM * level])
    cover = discs(canvas.x, canvas.y, canvas.pixel, centres, radii)
    return cover_up(found.images, np.where(found.masks == STRUCTURES["LV"], cover, 0.0))
