"""A texture over all that lies outside the heart: grain that is coarser for higher levels.

Its mean brightness and contrast are the same at all levels, so that only its scale tells them apart.
"""

from __future__ import annotations

import numpy as np

from cmrbias.cohorts.phantom.canvas import FIELD_MM
from cmrbias.cohorts.phantom.rendering import Rendering

FINEST_MM, COARSEST_MM = 9.0, 36.0  # wavelengths; the finest has two pixels and more from 75 px on
MEAN, DEPTH = 0.82, 0.26  # at most 1.08 of the anatomy, which is 248 of 255
BAND = 0.25  # standard deviation of the logarithm of the wavelengths
CLIP = 2.0  # standard deviations of the field that stand for the full depth


def added(found: Rendering, level: int, levels: int, rng: np.random.Generator) -> np.ndarray:
    """Returns images whose pixels outside each frame's mask are multiplied by the texture."""
    wavelength = FINEST_MM * (COARSEST_MM / FINEST_MM) ** (level / (levels - 1))
    field = band_noise(rng.standard_normal(found.images.shape[-2:]), wavelength)
    factor = MEAN + DEPTH * np.clip(field / CLIP, -1, 1)
    textured = np.rint(found.images * factor).astype(np.uint8)
    return np.where(found.masks > 0, found.images, textured)


def band_noise(white: np.ndarray, wavelength: float) -> np.ndarray:
    """Returns white noise (size, size) filtered to one wavelength in mm, mean 0, standard deviation 1."""
    size = len(white)
    frequency = np.hypot(
        np.fft.fftfreq(size, FIELD_MM / size)[:, None], np.fft.rfftfreq(size, FIELD_MM / size)
    )
    frequency[0, 0] = np.inf  # no mean
    gain = np.exp(-0.5 * (np.log(frequency * wavelength) / BAND) ** 2)
    field = np.fft.irfft2(np.fft.rfft2(white) * gain, white.shape)
    return np.asarray(field / field.std())
