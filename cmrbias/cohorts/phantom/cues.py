"""Contextual cues: what is added to a finished image, in the headroom that its anatomy leaves.

A cue has as many levels as there are diagnoses, and each level is visible, so that a case without a
cue (condition ``absent``) looks like none of them.

``local-far``: oil-filled capsules taped to the skin, as technologists mark a site; level k shows
k + 1 in a row. They start ``FAR_MM`` from where hearts lie and run away from it, at the same place for
every diagnosis. No pixel nearer than two cells of a 7 x 7 map (64 of 224 pixels) to the heart mask
changes.

``global``: shading, brightness rising from left to right for high levels and falling for low ones.
Mean brightness is the same at all levels. No background is left that a mask could separate.
"""

from __future__ import annotations

import numpy as np

from cmrbias.cohorts.phantom.canvas import Canvas, ellipse_distance
from cmrbias.cohorts.phantom.torso import CENTRE, Wall

CAPSULE_MM = (4.6, 3.2)  # half-axes
SPACING_MM = 12.0
CAPSULE_VALUE = 250
FAR_MM = 162.0  # from the middle of hearts; the largest reaches 60 mm towards the chest
HEART_AT = (-2.0, 6.0)
MEAN_SHADE, STEEPEST = 0.8, 0.3  # at most 1.1 of the anatomy, which is 253 of 255


def add_cue(kind: str, images: np.ndarray, level: int, levels: int, wall: Wall) -> np.ndarray:
    """Returns images (frames, size, size) uint8 with a cue added, the same in all frames.

    Args:
        kind: ``none``, ``local-far`` or ``global``.
        images: the scaled images, at most ``ANATOMY_MAXIMUM``.
        level: 0 to ``levels - 1``, or -1 for no cue.
        levels: how many levels the cue has.
        wall: the body's outline, where markers lie.
    """
    if kind == "none" or level < 0:
        return images
    return _capsules(images, level + 1, wall) if kind == "local-far" else _shading(images, level, levels)


def cue_region(kind: str, size: int, levels: int, wall: Wall) -> np.ndarray:
    """Returns the pixels (size, size) bool that any level of a cue may change."""
    if kind == "none":
        return np.zeros((size, size), bool)
    if kind == "global":
        return np.ones((size, size), bool)
    return _cover(size, levels, wall) > 0


def _capsules(images: np.ndarray, count: int, wall: Wall) -> np.ndarray:
    cover = _cover(images.shape[-1], count, wall)
    return np.rint(images + cover * (CAPSULE_VALUE - images.astype(np.float64))).astype(np.uint8)


def _cover(size: int, count: int, wall: Wall) -> np.ndarray:
    """Returns the share of each pixel (size, size) that capsules cover."""
    canvas = Canvas(size)
    cover = np.zeros((size, size))
    for centre, angle in capsule_places(wall, count):
        distance = ellipse_distance(canvas.x, canvas.y, centre, CAPSULE_MM, angle)
        cover = np.maximum(cover, np.clip(0.5 - distance / canvas.pixel, 0, 1))
    return cover


def capsule_places(wall: Wall, count: int) -> list[tuple[tuple[float, float], float]]:
    """Returns centre in mm and direction in radians of each capsule, from the first one rightwards.

    Places lie on the skin of the upper right, spaced along it by ``SPACING_MM``.
    """
    theta = np.deg2rad(np.linspace(-120, 0, 1201))
    skin = np.interp(theta, np.linspace(-2 * np.pi, 0, len(wall.skin), endpoint=False), wall.skin)
    radius = skin + CAPSULE_MM[1]
    x, y = CENTRE[0] + radius * np.cos(theta), CENTRE[1] + radius * np.sin(theta)
    far = np.hypot(x - HEART_AT[0], y - HEART_AT[1]) >= FAR_MM
    start = int(np.argmax(far & (x > HEART_AT[0])))
    run = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x[start:]), np.diff(y[start:])))])
    places = start + np.searchsorted(run, SPACING_MM * np.arange(count))
    return [((float(x[i]), float(y[i])), float(np.arctan2(y[i + 1] - y[i], x[i + 1] - x[i]))) for i in places]


def _shading(images: np.ndarray, level: int, levels: int) -> np.ndarray:
    tilt = 2 * level / (levels - 1) - 1
    across = (np.arange(images.shape[-1]) + 0.5) / images.shape[-1] * 2 - 1
    return np.asarray(np.rint(images * (MEAN_SHADE + STEEPEST * tilt * across)).astype(np.uint8))
