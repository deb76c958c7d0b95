"""Painting a heart into a body: pericardial fat, ventricles, papillary muscles, trabeculae."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmrbias.cohorts.phantom.anatomy import ANGLES, THETA, Contours, Heart, polar
from cmrbias.cohorts.phantom.canvas import Canvas, Floats, around, smooth_circle, smooth_field
from cmrbias.cohorts.phantom.torso import TISSUE

REACH = 125.0  # mm around the pool's centre that the heart and its fat may fill


@dataclass(frozen=True)
class Details:
    """What differs between persons but not between diagnoses, drawn once a case for both frames.

    ``coat``, ``ridges`` and ``notches`` are (ANGLES,): fat around the heart in mm, trabeculae of the
    pool as a share of its radius, trabeculae of the right ventricle in mm. ``mottle`` and ``grain``
    are textures (size, size). Papillary muscles: angle from the septum, distance from the centre as
    a share of the pool's radius, and half-axes in mm, a row a head.
    """

    coat: Floats
    ridges: Floats
    notches: Floats
    mottle: Floats
    grain: Floats
    papillary: Floats
    band: float


def draw_details(rng: np.random.Generator, size: int, septum: float) -> Details:
    """Draws a heart's details; ``septum`` is the direction of its septum in radians."""
    side = np.cos(THETA - septum)  # 1 at the septum, -1 at the lateral wall
    coat = 2.0 + rng.uniform(1.5, 5.0) * np.clip(0.35 + 0.65 * side, 0, 1)
    coat = coat * np.clip(1 + 0.5 * smooth_circle(rng, ANGLES, 2, 16), 0.2, 2.2)
    lateral = 0.35 + 0.65 * np.clip(0.4 - side, 0, 1)
    ridges = lateral * np.clip(0.05 * smooth_circle(rng, ANGLES, 9, 34) - 0.005, 0, 0.15)
    notches = np.clip(1.6 * smooth_circle(rng, ANGLES, 6, 36), 0, 4)
    papillary = np.concatenate([_muscle(rng, -1), _muscle(rng, 1)])
    return Details(
        coat,
        ridges,
        notches,
        1 + 0.07 * smooth_field(rng, size, 7.0),
        smooth_field(rng, size, 1.6),
        papillary,
        float(rng.uniform(-0.35, 0.35)),
    )


def _muscle(rng: np.random.Generator, side: int) -> Floats:
    """Returns one papillary muscle as three overlapping heads: angle, distance, two half-axes each."""
    angle = np.pi + side * rng.uniform(0.7, 1.1)
    size = rng.uniform(2.6, 4.2)
    return np.array(
        [
            [
                angle + rng.normal(0, 0.13),
                rng.uniform(0.7, 0.9),
                size * rng.uniform(0.7, 1.2),
                size * rng.uniform(0.5, 1),
            ]
            for _ in range(3)
        ]
    )


def paint_heart(canvas: Canvas, heart: Heart, frame: Contours, details: Details, squeeze: float) -> None:
    """Paints one frame of a heart over a body.

    Args:
        canvas: the body, painted over in place.
        heart: its centre and septum.
        frame: the contours to paint, ``heart.ed`` or ``heart.es``.
        details: see ``Details``.
        squeeze: mean radius of the pool relative to end-diastole: trabeculae crowd as it shrinks.
    """
    window = canvas.window(*heart.centre, reach=REACH)
    radius, theta = polar(canvas.x[:, window[1]], canvas.y[window[0]], heart.centre)
    mottle, grain = details.mottle[window], details.grain[window]

    def paint(edge: Floats, value: complex | Floats, opacity: float = 1.0) -> None:
        canvas.paint(_distance(edge, radius, theta), value, window, opacity)

    outer = np.maximum(frame.rv + 2.6, frame.epi)
    paint(outer + details.coat + 1.0, 0.12)  # pericardium
    paint(outer + details.coat, TISSUE.fat * 0.8 * mottle)
    paint(outer, TISSUE.muscle * mottle)
    trabeculated = np.maximum(
        frame.rv - details.notches * np.clip((frame.rv - frame.epi) / 20, 0, 1), frame.epi
    )
    paint(trabeculated, TISSUE.blood * (1 - 0.05 * np.clip(grain, 0, 3)) * mottle)
    _paint_moderator_band(canvas, heart, frame, details)
    paint(frame.epi, TISSUE.myocardium * (0.4 + 0.6 * mottle) * (1 + 0.05 * grain))
    _paint_coronaries(canvas, heart, frame)
    crowding = 1 / max(squeeze, 0.4)
    paint(frame.endo * (1 - 0.015 - details.ridges * crowding), TISSUE.blood * (0.5 + 0.5 * mottle))
    _paint_papillary_muscles(canvas, heart, frame, details)


def _distance(edge: Floats, radius: Floats, theta: Floats) -> Floats:
    """Returns the signed distance in mm to a closed curve given as radii (ANGLES,), to first order."""
    slope = (np.roll(edge, -1) - np.roll(edge, 1)) / (4 * np.pi / ANGLES)
    flatness = 1 / np.sqrt(1 + (slope / edge) ** 2)
    distance: Floats = (radius - around(edge, theta)) * around(flatness, theta)
    return distance


def _paint_papillary_muscles(canvas: Canvas, heart: Heart, frame: Contours, details: Details) -> None:
    for angle, share, length, breadth in details.papillary:
        direction = heart.septum + angle
        distance = share * float(around(frame.endo, np.array(direction)))
        centre = (
            heart.centre[0] + distance * np.cos(direction),
            heart.centre[1] + distance * np.sin(direction),
        )
        canvas.ellipse(centre, (length, breadth), TISSUE.myocardium, direction, opacity=0.9)


def _paint_moderator_band(canvas: Canvas, heart: Heart, frame: Contours, details: Details) -> None:
    direction = heart.septum + details.band
    near, far = (float(around(edge, np.array(direction))) for edge in (frame.epi, frame.rv))
    middle = near + 0.7 * (far - near)
    centre = (heart.centre[0] + middle * np.cos(direction), heart.centre[1] + middle * np.sin(direction))
    canvas.ellipse(centre, (0.22 * (far - near), 1.5), TISSUE.muscle, direction + 0.7, opacity=0.6)


def _paint_coronaries(canvas: Canvas, heart: Heart, frame: Contours) -> None:
    """Paints the arteries in the two grooves where the right ventricle begins."""
    rooted = np.flatnonzero(frame.rv > frame.epi + 1)
    for direction in (THETA[rooted[0]] - 0.1, THETA[rooted[-1]] + 0.1):
        distance = float(around(frame.epi, np.array(direction))) + 2.8
        centre = (
            heart.centre[0] + distance * np.cos(direction),
            heart.centre[1] + distance * np.sin(direction),
        )
        canvas.ellipse(centre, (1.7, 1.5), TISSUE.blood, direction)
