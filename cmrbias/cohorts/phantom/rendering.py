"""One patient of a phantom cohort: heart, body and scanner, without its cue."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cmrbias.cohorts.phantom.anatomy import Heart, draw_heart, label_mask
from cmrbias.cohorts.phantom.canvas import Canvas
from cmrbias.cohorts.phantom.patients import stream
from cmrbias.cohorts.phantom.scanner import LOOKS, acquire, valid_area, white_level
from cmrbias.cohorts.phantom.torso import Wall, draw_wall, paint_torso
from cmrbias.cohorts.phantom.ventricles import draw_details, paint_heart


@dataclass(frozen=True)
class Rendering:
    """A patient's images (2, size, size) uint8 without cue, labels alike (ED, ES), and their truth.

    ``area`` is what the scanner saw: top, left, height, width in pixels.
    """

    images: np.ndarray
    masks: np.ndarray
    heart: Heart
    wall: Wall
    area: tuple[int, int, int, int]


def render(
    patient: int,
    diagnosis: str,
    *,
    anatomy_strength: float,
    site: str,
    size: int,
    seed: int,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Rendering:
    """Renders a patient at end-diastole and end-systole.

    Heart, body and scanner noise come from streams of their own; only the heart knows the diagnosis.
    ``shift`` moves the heart, and nothing else, by so many mm to the right and down.
    """
    heart = draw_heart(stream(seed, "heart", patient), diagnosis, anatomy_strength)
    heart = replace(heart, centre=(heart.centre[0] + shift[0], heart.centre[1] + shift[1]))
    body_rng, scanner_rng = stream(seed, "body", patient), stream(seed, "scanner", patient)
    wall = draw_wall(body_rng)
    body = Canvas(size)
    paint_torso(body, wall, body_rng)
    details = draw_details(body_rng, size, heart.septum)
    white = white_level(body, LOOKS[site])
    images, masks = [], []
    for frame in (heart.ed, heart.es):
        canvas = Canvas(size)
        canvas.signal = body.signal.copy()
        paint_heart(canvas, heart, frame, details, float(frame.endo.mean() / heart.ed.endo.mean()))
        images.append(acquire(canvas, LOOKS[site], white, scanner_rng))
        masks.append(label_mask(heart, frame, size))
    return Rendering(np.stack(images), np.stack(masks), heart, wall, valid_area(LOOKS[site], size))
