"""Painting tissue with soft edges on a grid in millimetres.

The canvas holds complex signal: water is positive, fat points nearly the other way, because in
balanced SSFP at the usual repetition time the two are almost in opposite phase (Hargreaves et al.,
MRM 2003). Where they share a pixel they cancel, which draws the dark "India ink" lines around organs
as a scanner does, once the magnitude is taken.
"""

from __future__ import annotations

import numpy as np

FIELD_MM = 336.0
"""Side of the square image in mm: 224 pixels of 1.5 mm, as the paper's preparation makes."""

Floats = np.ndarray


class Canvas:
    """A square image of complex signal and where its pixels lie.

    Attributes:
        pixel: side of a pixel in mm.
        x, y: pixel centres in mm, rightwards (1, size) and downwards (size, 1), 0 in the middle.
        signal: (size, size) complex64.
    """

    def __init__(self, size: int) -> None:
        axis = ((np.arange(size) + 0.5) / size - 0.5) * FIELD_MM
        self.pixel = FIELD_MM / size
        self.x = axis[None, :].astype(np.float32)
        self.y = axis[:, None].astype(np.float32)
        self.signal = np.zeros((size, size), np.complex64)

    def window(self, x: float, y: float, reach: float) -> tuple[slice, slice]:
        """Returns the rows and columns that lie within ``reach`` mm of a point."""
        size = len(self.signal)
        rows, columns = (
            slice(
                max(0, int((c - reach + FIELD_MM / 2) / self.pixel) - 1),
                min(size, int((c + reach + FIELD_MM / 2) / self.pixel) + 2),
            )
            for c in (y, x)
        )
        return rows, columns

    def paint(
        self,
        distance: Floats,
        value: complex | Floats,
        window: tuple[slice, slice] = (slice(None), slice(None)),
        opacity: float | Floats = 1.0,
    ) -> None:
        """Covers what lies inside a shape with a tissue.

        Args:
            distance: signed distance to the shape's edge in mm, negative inside, of the window's shape.
            value: the tissue's complex signal, one number or one a pixel of the window.
            window: which part of the image.
            opacity: 0 to 1, one number or one a pixel of the window.
        """
        cover = np.clip(0.5 - distance / self.pixel, 0, 1) * opacity
        part = self.signal[window]
        part += cover * (value - part)

    def ellipse(
        self,
        centre: tuple[float, float],
        radii: tuple[float, float],
        value: complex | Floats,
        angle: float = 0.0,
        opacity: float | Floats = 1.0,
        at: tuple[Floats, Floats] | None = None,
    ) -> None:
        """Paints an ellipse.

        Args:
            centre, radii: in mm.
            value: the tissue's complex signal, one number or (size, size).
            angle: of the first radius, in radians clockwise from the viewer's right.
            opacity: 0 to 1, one number or (size, size).
            at: warped pixel positions (size, size) to use in place of x and y.
        """
        rows, columns = window = self.window(*centre, reach=max(radii) + 8)
        x, y = (self.x[:, columns], self.y[rows]) if at is None else (at[0][window], at[1][window])
        shade = value[window] if isinstance(value, np.ndarray) else value
        solid = opacity[window] if isinstance(opacity, np.ndarray) else opacity
        self.paint(ellipse_distance(x, y, centre, radii, angle), shade, window, solid)


def ellipse_distance(
    x: Floats, y: Floats, centre: tuple[float, float], radii: tuple[float, float], angle: float
) -> Floats:
    """Returns the signed distance in mm to an ellipse, to first order: f / |grad f|, f = |p/r| - 1."""
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along = (x - centre[0]) * cosine + (y - centre[1]) * sine
    across = (y - centre[1]) * cosine - (x - centre[0]) * sine
    scaled = np.hypot(along / radii[0], across / radii[1])
    slope = np.hypot(along / radii[0] ** 2, across / radii[1] ** 2)
    return (scaled - 1) * scaled / np.maximum(slope, 1e-6)


def smooth_field(rng: np.random.Generator, size: int, length_mm: float) -> Floats:
    """Returns a random field (size, size) float32, mean 0, standard deviation 1, periodic.

    Args:
        rng: where the white noise comes from, always ``size`` x ``size`` draws.
        size: side in pixels.
        length_mm: correlation length, the sigma of the Gaussian that smooths the noise.
    """
    frequency = (
        np.fft.fftfreq(size, FIELD_MM / size)[:, None] ** 2 + np.fft.rfftfreq(size, FIELD_MM / size) ** 2
    )
    filtered = np.fft.rfft2(rng.standard_normal((size, size))) * np.exp(
        -2 * (np.pi * length_mm) ** 2 * frequency
    )
    filtered[0, 0] = 0
    field = np.fft.irfft2(filtered, (size, size))
    return (field / max(float(field.std()), 1e-12)).astype(np.float32)


def smooth_circle(rng: np.random.Generator, angles: int, lowest: int, highest: int) -> Floats:
    """Returns random values around a circle (angles,), variance about 1."""
    orders = np.arange(lowest, highest + 1)
    phases = rng.uniform(0, 2 * np.pi, len(orders))
    weights = rng.standard_normal(len(orders)) * np.sqrt(2 / len(orders))
    theta = np.arange(angles) * (2 * np.pi / angles)
    return np.asarray(weights @ np.cos(orders[:, None] * theta + phases[:, None]))


def around(table: Floats, theta: Floats) -> Floats:
    """Returns a circular table (angles,) linearly interpolated at angles ``theta`` in radians."""
    position = theta * (len(table) / (2 * np.pi)) % len(table)
    low = position.astype(np.int64)
    share = position - low
    values = np.append(table, table[:2]).astype(np.float32)
    return values[low] * (1 - share) + values[low + 1] * share
