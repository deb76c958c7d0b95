"""What a site's scanner makes of the tissue: coil shading, resolution, noise, field of view, scaling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmrbias.cohorts.phantom.canvas import FIELD_MM, Canvas, Floats
from cmrbias.cohorts.phantom.torso import CENTRE, HALF_DEPTH, TILT

ANATOMY_MAXIMUM = 230
"""Largest value that scaling gives to anatomy in 8 bits; what is above is headroom for cues."""


@dataclass(frozen=True)
class Look:
    """How images of one site look, the same for all diagnoses.

    Attributes:
        field: height and width of the field of view in mm, at most the image's 336.
        anterior, posterior: how much brighter the image is at the chest's and the back's coil.
        penetration: mm over which the coils' sensitivity falls to 1/e.
        noise: standard deviation in each channel, relative to blood away from the coils.
        resolution: share of the image's k-space that is sampled.
        apodisation: how much the outermost sampled frequencies are damped, 0 to 1.
        contrast: exponent of the signal: below 1, grey tissues come nearer to blood.
    """

    field: tuple[float, float]
    anterior: float
    posterior: float
    penetration: float
    noise: float
    resolution: float
    apodisation: float
    contrast: float


LOOKS = {
    "A": Look((336, 336), 1.7, 0.45, 48.0, 0.022, 0.85, 0.5, 1.0),
    "B": Look((300, 336), 1.2, 0.5, 75.0, 0.045, 0.62, 0.8, 0.85),
}


def valid_area(look: Look, size: int) -> tuple[int, int, int, int]:
    """Returns top, left, height and width in pixels of what the scanner saw of an image."""
    height, width = (round(mm / FIELD_MM * size) for mm in look.field)
    return (size - height) // 2, (size - width) // 2, height, width


def white_level(body: Canvas, look: Look) -> float:
    """Returns the largest noise-free magnitude of a body in the field of view.

    Asked of the body without its heart, so that no heart, large or bright, changes how bright the
    background is: that would be a bias of its own.
    """
    top, left, height, width = valid_area(look, len(body.signal))
    seen = np.abs(body.signal * _coils(body, look))[top : top + height, left : left + width]
    return float(seen.max())


def acquire(canvas: Canvas, look: Look, white: float, rng: np.random.Generator) -> np.ndarray:
    """Returns the scaled image (size, size) uint8 of a painted body.

    Complex white noise joins the sampled part of k-space, so that the magnitude is Rician and its
    grain as coarse as the resolution. Then 0 to ``white`` become 0 to ``ANATOMY_MAXIMUM``, what is
    brighter is clipped; outside the field of view it is 0.
    """
    size = len(canvas.signal)
    spectrum = np.fft.fft2(canvas.signal * _coils(canvas, look))
    noise = rng.standard_normal((2, size, size)) * (look.noise * size)
    image = np.abs(np.fft.ifft2((spectrum + noise[0] + 1j * noise[1]) * _sampling(size, look)))
    top, left, height, width = valid_area(look, size)
    area = slice(top, top + height), slice(left, left + width)
    scaled = np.zeros((size, size), np.uint8)
    scaled[area] = np.rint(np.clip(image[area] / white, 0, 1) ** look.contrast * ANATOMY_MAXIMUM)
    return scaled


def _coils(canvas: Canvas, look: Look) -> Floats:
    """Returns the sensitivity (size, size), which falls with depth from the chest and from the back."""
    depth = HALF_DEPTH + (canvas.y - CENTRE[1]) * np.cos(TILT) - (canvas.x - CENTRE[0]) * np.sin(TILT)
    chest = look.anterior * np.exp(-np.maximum(depth, 0) / look.penetration)
    back = look.posterior * np.exp(-np.maximum(2 * HALF_DEPTH - depth, 0) / look.penetration)
    return np.asarray(0.5 + chest + back)


def _sampling(size: int, look: Look) -> Floats:
    """Returns the weight of each frequency (size, size): a damped disc in k-space."""
    frequency = np.fft.fftfreq(size) * 2
    radius = np.hypot(frequency[:, None], frequency) / look.resolution
    damped = 1 - look.apodisation * np.sin(np.pi / 2 * np.clip(radius, 0, 1)) ** 2
    return np.where(radius <= 1, damped, 0)
