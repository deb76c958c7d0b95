"""Markers, a wire or fat: at one place outside the heart, the same in all frames.

``marker``: oil-filled capsules, as technologists tape them to the skin to mark a site; level k shows
k + 1 in a row. ``wire``: a fluid-filled line, longer for higher levels. ``fat``: a layer of fat, thicker
for higher levels. All start at the same place for every diagnosis.
"""

from __future__ import annotations

import numpy as np

from cmrbias.cohorts.phantom.canvas import Canvas, ellipse_distance
from cmrbias.cohorts.phantom.cues.paint import cover_up, discs
from cmrbias.cohorts.phantom.cues.tracks import Track, heart_track, skin_track
from cmrbias.cohorts.phantom.rendering import Rendering
from cmrbias.cohorts.phantom.torso import Wall

CAPSULE_MM = (4.6, 3.2)  # half-axes
SPACING_MM = 12.0
WIRE_MM, WIGGLE_MM, WAVE_MM = 1.6, 2.0, 16.0  # radius, amplitude, wavelength
FAT_MM, FAT_LENGTH_MM = 3.0, 54.0  # thickness a level, length of the layer


def added(found: Rendering, form: str, level: int, distance: float | None) -> np.ndarray:
    """Returns images with the cue at ``distance`` mm from the heart mask, or on the skin without one.

    Pixels of either frame's heart mask keep their value.
    """
    canvas = Canvas(found.images.shape[-1])
    if form == "marker":
        cover = _capsules(canvas, _capsule_places(found, level + 1, distance))
    else:
        cover = _line(canvas, found, form, level, distance)
    return cover_up(found.images, np.where((found.masks > 0).any(0), 0.0, cover))


def capsule_places(wall: Wall, count: int) -> list[tuple[tuple[float, float], float]]:
    """Returns centre in mm and direction in radians of each capsule on the skin, left to right."""
    return _spaced(skin_track(wall, CAPSULE_MM[1]), count)


def _capsule_places(
    found: Rendering, count: int, distance: float | None
) -> list[tuple[tuple[float, float], float]]:
    if distance is None:
        return capsule_places(found.wall, count)
    return _spaced(heart_track(found.heart, distance + CAPSULE_MM[1]), count)


def _spaced(track: Track, count: int) -> list[tuple[tuple[float, float], float]]:
    (x, y), places = track.points.T, np.searchsorted(track.run, SPACING_MM * np.arange(count))
    return [((float(x[i]), float(y[i])), float(np.arctan2(y[i + 1] - y[i], x[i + 1] - x[i]))) for i in places]


def _capsules(canvas: Canvas, places: list[tuple[tuple[float, float], float]]) -> np.ndarray:
    cover = np.zeros(canvas.signal.shape)
    for centre, angle in places:
        distance = ellipse_distance(canvas.x, canvas.y, centre, CAPSULE_MM, angle)
        cover = np.maximum(cover, np.clip(0.5 - distance / canvas.pixel, 0, 1))
    return cover


def _line(canvas: Canvas, found: Rendering, form: str, level: int, distance: float | None) -> np.ndarray:
    """Returns the cover of a wire or of a layer of fat: discs, one beside another."""
    if form == "wire":
        track = _track(found, distance, WIRE_MM + WIGGLE_MM).up_to(SPACING_MM * (level + 1))
        radii = np.full(len(track.run), WIRE_MM)
        outwards = WIGGLE_MM * np.sin(2 * np.pi * track.run / WAVE_MM)
    else:
        track = _track(found, distance, 0.0).up_to(FAT_LENGTH_MM)
        thickness = FAT_MM * (level + 1) * np.sqrt(np.sin(np.pi * track.run / track.run[-1]).clip(0))
        radii = outwards = thickness / 2
    centres = track.points + outwards[:, None] * track.outward
    reach = float(np.hypot(*np.ptp(centres, axis=0))) / 2 + 16
    across, down = ((centres.max(0) + centres.min(0)) / 2).tolist()
    window = canvas.window(across, down, reach)
    cover = np.zeros(canvas.signal.shape)
    cover[window] = discs(canvas.x[:, window[1]], canvas.y[window[0]], canvas.pixel, centres, radii)
    return cover


def _track(found: Rendering, distance: float | None, above: float) -> Track:
    return skin_track(found.wall, above) if distance is None else heart_track(found.heart, distance + above)
