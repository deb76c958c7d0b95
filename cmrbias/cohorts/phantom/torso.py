"""All that lies around the heart, the same for every diagnosis: drawn from a stream of its own.

Positions are mm from the image's middle, x to the viewer's right (the patient's left), y down. The
plane is a usual short axis: chest wall at the upper left, left lung at the upper right, liver below
left, stomach, spleen, aorta and spine below right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cmrbias.cohorts.phantom.anatomy import ANGLES, THETA, polar
from cmrbias.cohorts.phantom.canvas import (
    Canvas,
    Floats,
    around,
    ellipse_distance,
    smooth_circle,
    smooth_field,
)

CENTRE = (27.0, 48.0)
TILT = np.deg2rad(-30.0)  # the anterior chest wall rises to the right
HALF_WIDTH, HALF_DEPTH = 220.0, 135.0
OUT_OF_PHASE = complex(np.exp(1j * np.deg2rad(145)))
SQUARENESS = 2.6  # exponent of the superellipse: a chest is squarer than an ellipse


class Tissue(NamedTuple):
    """Signal of tissues in balanced SSFP at 1.5 T, relative to one; fat and marrow are out of phase."""

    blood: float = 0.86
    myocardium: float = 0.27
    muscle: float = 0.25
    fat: complex = 0.62 * OUT_OF_PHASE
    marrow: complex = 0.34 * OUT_OF_PHASE
    bone: float = 0.06
    lung: float = 0.035
    liver: float = 0.34
    spleen: float = 0.27
    fluid: float = 0.95


TISSUE = Tissue()


@dataclass(frozen=True)
class Wall:
    """The chest wall as radii from ``CENTRE``, each (ANGLES,) in mm: skin, muscle, cavity."""

    skin: Floats
    muscle: Floats
    cavity: Floats


def draw_wall(rng: np.random.Generator) -> Wall:
    """Draws the body's outline with its layers of fat and muscle."""
    tilt = TILT + rng.uniform(-0.09, 0.09)
    breadth, depth = HALF_WIDTH * rng.uniform(0.97, 1.03), HALF_DEPTH * rng.uniform(0.97, 1.06)
    along, across = np.abs(np.cos(THETA - tilt)), np.abs(np.sin(THETA - tilt))
    edge = (along / breadth) ** SQUARENESS + (across / depth) ** SQUARENESS
    skin = edge ** (-1 / SQUARENESS) + 1.2 * smooth_circle(rng, ANGLES, 3, 9)
    fat = rng.uniform(7, 17) * np.clip(1 + 0.25 * smooth_circle(rng, ANGLES, 1, 7), 0.5, 1.7)
    muscle = rng.uniform(10, 15) * np.clip(1 + 0.2 * smooth_circle(rng, ANGLES, 1, 9), 0.6, 1.5)
    return Wall(skin, skin - fat, skin - fat - muscle)


def paint_torso(canvas: Canvas, wall: Wall, rng: np.random.Generator) -> None:
    """Paints the body without its heart."""
    size = len(canvas.signal)
    bend_x, bend_y, coarse, fine = (smooth_field(rng, size, mm) for mm in (15, 15, 8, 1.8))
    at = (canvas.x + 3.5 * bend_x, canvas.y + 3.5 * bend_y)  # nothing in a body is an exact ellipse
    texture = 1 + 0.10 * coarse + 0.07 * fine
    radius, theta = polar(canvas.x, canvas.y, CENTRE)
    inside = radius - around(wall.cavity, theta) + 1.5 * bend_x
    _paint_wall(canvas, wall, rng, radius, theta, texture)
    canvas.paint(inside, TISSUE.lung)
    _paint_lung_vessels(canvas, rng, at, inside)
    _paint_mediastinum(canvas, rng, at, inside, texture)
    abdomen = np.maximum(_below_diaphragm(at, rng), inside)
    canvas.paint(abdomen - 1.4, 0.6 * TISSUE.muscle)
    canvas.paint(abdomen, TISSUE.fat * 0.85 * texture)
    _paint_bowel(canvas, rng, at, abdomen, texture)
    _paint_liver(canvas, rng, at, abdomen, texture)
    _paint_stomach_and_spleen(canvas, rng, at, texture, np.clip(-inside / 4, 0, 1))
    _paint_spine_and_aorta(canvas, rng, at, texture, np.clip((around(wall.muscle, theta) - radius) / 4, 0, 1))


def _paint_wall(
    canvas: Canvas, wall: Wall, rng: np.random.Generator, radius: Floats, theta: Floats, texture: Floats
) -> None:
    skin, muscle = around(wall.skin, theta), around(wall.muscle, theta)
    canvas.paint(radius - skin, 0.8 * TISSUE.muscle)
    canvas.paint(radius - (skin - 1.6), TISSUE.fat * (0.4 + 0.6 * texture))
    canvas.paint(radius - muscle, TISSUE.muscle * texture)
    for low, high in ((2.5, 5.0), (6.0, 10.0)):  # sheets of fat between the muscles, here and there
        between = around(
            wall.muscle - rng.uniform(low, high) + 1.5 * smooth_circle(rng, ANGLES, 4, 40), theta
        )
        layer = around(np.clip(0.3 + 0.6 * smooth_circle(rng, ANGLES, 6, 40), 0, 1), theta)
        canvas.paint(np.abs(radius - between) - 1.0, 0.8 * TISSUE.fat * texture, opacity=layer)
    angle = rng.uniform(0, 0.3)
    while angle < 2 * np.pi:
        _paint_rib(canvas, wall, rng, angle)
        angle += rng.uniform(0.22, 0.42)


def _paint_rib(canvas: Canvas, wall: Wall, rng: np.random.Generator, angle: float) -> None:
    depth = float(around(wall.cavity, np.array(angle))) + rng.uniform(3.5, 6.0)
    centre = (CENTRE[0] + depth * np.cos(angle), CENTRE[1] + depth * np.sin(angle))
    length, tilt = rng.uniform(5, 13), angle + np.pi / 2 + rng.uniform(-0.2, 0.2)
    thickness = rng.uniform(3.2, 4.6)
    canvas.ellipse(centre, (length, thickness), TISSUE.bone, tilt, opacity=0.85)
    canvas.ellipse(centre, (length - 1.5, thickness - 1.5), TISSUE.marrow * rng.uniform(0.6, 1.1), tilt)


def _paint_lung_vessels(
    canvas: Canvas, rng: np.random.Generator, at: tuple[Floats, Floats], inside: Floats
) -> None:
    """Small bright cross-sections, larger and denser towards the hilum, painted before what covers them."""
    room = np.clip(-inside / 8, 0, 1)
    for _ in range(120):
        away, direction = abs(rng.normal(0, 50)), rng.uniform(0, 2 * np.pi)
        centre = (60 + 1.2 * away * np.cos(direction), 5 + away * np.sin(direction))
        radius = rng.uniform(0.5, 1.2) + 1.5 * rng.random() ** 3 * np.exp(-away / 40)
        radii = (radius * (1 + 2.5 * rng.random() ** 4), radius)
        window = canvas.window(*centre, reach=max(radii) + 8)
        distance = ellipse_distance(at[0][window], at[1][window], centre, radii, rng.uniform(0, np.pi))
        canvas.paint(distance, rng.uniform(0.12, 0.6), window, rng.uniform(0.4, 1) * room[window])


def _paint_mediastinum(
    canvas: Canvas, rng: np.random.Generator, at: tuple[Floats, Floats], inside: Floats, texture: Floats
) -> None:
    """Fat between the heart, the breastbone and the diaphragm, crossed by dark strands."""
    pads = [  # (x, y), (half-axes), angle: before the right ventricle, and beside both its corners
        ((-70, 12), (rng.uniform(34, 60), rng.uniform(26, 42)), -0.5),
        ((-40, -28), (rng.uniform(22, 46), rng.uniform(9, 17)), -0.55),
        ((-45, 46), (rng.uniform(28, 45), rng.uniform(10, 16)), 0.0),
        ((38, 46), (rng.uniform(10, 26), rng.uniform(6, 13)), 0.3),
    ]
    fringe = 1.8 * smooth_field(rng, len(canvas.signal), 6.0)
    strands = np.abs(smooth_field(rng, len(canvas.signal), 5.0))
    fat = 0.8 * TISSUE.fat * texture * np.clip(0.65 + 1.2 * strands, 0, 1)
    for centre, radii, angle in pads:
        distance = np.maximum(ellipse_distance(*at, centre, radii, angle) + fringe, inside)
        canvas.paint(0.6 * distance - 0.8, 0.1)
        canvas.paint(0.6 * distance, fat)


def _below_diaphragm(at: tuple[Floats, Floats], rng: np.random.Generator) -> Floats:
    """Returns the distance to the abdomen: it starts under the heart and falls away to the right."""
    x, y = at
    height = 48 + rng.uniform(-3, 6)
    slope = rng.uniform(0.0016, 0.0034)
    right, left = np.maximum(x - rng.uniform(25, 50), 0), np.maximum(-60 - x, 0)
    level = height + slope * right**2 + 0.002 * left**2 - rng.uniform(0, 0.06) * x
    return np.asarray(level - y)


def _paint_bowel(
    canvas: Canvas, rng: np.random.Generator, at: tuple[Floats, Floats], abdomen: Floats, texture: Floats
) -> None:
    room = np.clip(-abdomen / 6, 0, 1)
    for _ in range(26):
        centre = (rng.uniform(-60, 130), rng.uniform(75, 170))
        radii = (rng.uniform(8, 18), rng.uniform(6, 12))
        angle, content = rng.uniform(0, np.pi), rng.uniform(0.05, 0.75) ** 1.5
        window = canvas.window(*centre, reach=max(radii) + 10)
        slant = rng.uniform(0.25, 1)  # a wall that is cut obliquely has a soft edge
        distance = slant * ellipse_distance(at[0][window], at[1][window], centre, radii, angle)
        canvas.paint(distance, TISSUE.muscle * texture[window], window, room[window])
        canvas.paint(distance + 2.5 * slant, content * texture[window] ** 3, window, room[window])


def _paint_liver(
    canvas: Canvas, rng: np.random.Generator, at: tuple[Floats, Floats], abdomen: Floats, texture: Floats
) -> None:
    x, y = at
    tip, bottom = rng.uniform(-15, 25), rng.uniform(130, 175)
    edge = (x - tip + rng.uniform(0.3, 0.8) * (y - 60) - 0.004 * (y - 90) ** 2) * 0.87
    liver = np.maximum(np.maximum(abdomen + 2.0, edge), y - bottom - 0.15 * x)
    canvas.paint(rng.uniform(0.3, 0.8) * liver, TISSUE.liver * (0.5 + 0.5 * texture))
    room = np.clip(-liver / 4, 0, 1)
    root = (rng.uniform(-70, -30), rng.uniform(85, 115))
    for _ in range(34):  # vessels run towards the root, but are mostly cut across
        centre = (root[0] + rng.normal(0, 40), root[1] + rng.normal(0, 26))
        radius, stretch = rng.uniform(0.7, 2.0), 1 + 6 * rng.random() ** 2
        angle = np.arctan2(centre[1] - root[1], centre[0] - root[0]) + rng.normal(0, 0.4)
        window = canvas.window(*centre, reach=radius * stretch + 6)
        distance = ellipse_distance(x[window], y[window], centre, (radius * stretch, radius), angle)
        canvas.paint(distance, rng.uniform(0.4, 0.62), window, 0.8 * room[window])


def _paint_stomach_and_spleen(
    canvas: Canvas, rng: np.random.Generator, at: tuple[Floats, Floats], texture: Floats, room: Floats
) -> None:
    centre = (rng.uniform(20, 45), rng.uniform(86, 98))
    radii = (rng.uniform(30, 46), rng.uniform(17, 26))
    angle = rng.uniform(-0.1, 0.35)
    content = TISSUE.fluid * 0.75 if rng.random() < 0.4 else rng.uniform(0.1, 0.35)
    canvas.ellipse(centre, radii, TISSUE.muscle * texture, angle, room, at)
    canvas.ellipse(centre, (radii[0] - 4, radii[1] - 4), content * texture**4, angle, room, at)
    if rng.random() < 0.6:  # an air bubble on top, for the patient lies on the back
        top = (centre[0] - rng.uniform(2, 12), centre[1] - 0.45 * radii[1])
        canvas.ellipse(top, (0.55 * radii[0], 0.38 * radii[1]), TISSUE.lung, angle, room, at)
    spleen = (rng.uniform(102, 116), rng.uniform(98, 112))
    pulp = TISSUE.spleen * (0.7 + 0.3 * texture)
    canvas.ellipse(spleen, (rng.uniform(30, 42), rng.uniform(15, 21)), pulp, 0.95, room, at)


def _paint_spine_and_aorta(
    canvas: Canvas, rng: np.random.Generator, at: tuple[Floats, Floats], texture: Floats, room: Floats
) -> None:
    spine = (136 + rng.uniform(-4, 4), 66 + rng.uniform(-4, 4))
    canal = (spine[0] + 24, spine[1] + 9)
    aorta = (spine[0] - 30 + rng.uniform(-3, 3), spine[1] - 14 + rng.uniform(-4, 4))
    width = rng.uniform(9.5, 13)
    for centre, radii, value in (
        ((spine[0] + 26, spine[1] + 8), (38, 44), TISSUE.muscle * texture),
        (spine, (24, 20), 0.7 * TISSUE.fat),
        (spine, (20, 17), TISSUE.bone),
        (spine, (18.3, 15.3), TISSUE.marrow * texture),
        (canal, (9, 8), TISSUE.fluid),
        (canal, (4.5, 4), 0.45),  # the cord
        (aorta, (width + 3.5, width + 3), 0.8 * TISSUE.fat),
        (aorta, (width + 1.2, width + 1.2), TISSUE.muscle),
        (aorta, (width, width), TISSUE.blood * (0.7 + 0.3 * texture)),
    ):
        canvas.ellipse(centre, radii, value, 0.4, room, at)
