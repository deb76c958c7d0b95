"""Resampling against scipy, torch and functions whose values are known everywhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from cmrbias.cohorts.resample import fit, resample


def world(size: int, spacing: float) -> np.ndarray:
    """Pixel centres in mm from the image's centre."""
    return (np.arange(size) - (size - 1) / 2) * spacing


@given(
    st.integers(20, 60), st.integers(20, 60), st.floats(0.7, 1.4), st.floats(0.7, 1.4), st.floats(0.8, 1.2)
)
def test_a_smooth_image_is_sampled_at_the_right_places(height, width, row_mm, column_mm, new_mm) -> None:
    """Anisotropic pixels, any size: the value at each new pixel is the function's value there."""

    def function(y, x):
        return 100 + 40 * np.sin(y / 9)[:, None] * np.cos(x / 11)[None]

    stack = function(world(height, row_mm), world(width, column_mm))[None]
    new = resample(stack, (new_mm / row_mm, new_mm / column_mm), "cubic")[0]
    expected = function(world(new.shape[0], new_mm), world(new.shape[1], new_mm))
    inner = (slice(4, -4), slice(4, -4))  # the border's pixels repeat beyond it
    np.testing.assert_allclose(new[inner], expected[inner], atol=0.4)


def test_quadratic_images_are_exact() -> None:
    y, x = world(30, 1.0), world(40, 1.0)
    stack = (y[:, None] ** 2 + x[None] ** 2 - 3 * x[None])[None]
    new = resample(stack, (0.8, 0.7), "cubic")[0]
    y, x = world(new.shape[0], 0.8), world(new.shape[1], 0.7)
    expected = y[:, None] ** 2 + x[None] ** 2 - 3 * x[None]
    np.testing.assert_allclose(new[4:-4, 4:-4], expected[4:-4, 4:-4], atol=1e-9)


@pytest.mark.parametrize(("old", "new"), [((40, 50), (60, 75)), ((48, 48), (36, 40)), ((64, 33), (64, 99))])
def test_close_to_scipy_on_smooth_images(old, new) -> None:
    """scipy's grid_mode has the same geometry; its B-spline differs a little from Keys' kernel."""
    image = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=old), 4) * 100
    ours = resample(image[None], (old[0] / new[0], old[1] / new[1]), "cubic")[0]
    zoom = [n / o for n, o in zip(new, old, strict=True)]
    theirs = ndimage.zoom(image, zoom, order=3, mode="nearest", grid_mode=True)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 0.02 * np.ptp(image)


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_shrinking_does_not_alias(factor) -> None:
    """As torch's antialiased bicubic, away from the border, where torch renormalises and we repeat."""
    image = np.random.default_rng(1).normal(size=(20 * factor, 22 * factor))
    ours = resample(image[None], (factor, factor), "cubic")[0]
    tensor = torch.from_numpy(image)[None, None]
    theirs = torch.nn.functional.interpolate(
        tensor, size=(20, 22), mode="bicubic", align_corners=False, antialias=True
    )[0, 0]
    np.testing.assert_allclose(ours[3:-3, 3:-3], theirs[3:-3, 3:-3], atol=1e-6)


def test_the_same_pixel_size_changes_nothing() -> None:
    stack = np.random.default_rng(2).integers(0, 4000, (3, 17, 24)).astype(np.int16)
    np.testing.assert_array_equal(resample(stack, (1.0, 1.0), "cubic"), stack)
    np.testing.assert_array_equal(resample(stack, (1.0, 1.0), "nearest"), stack)


def test_nearest_keeps_labels_and_dtype() -> None:
    labels = np.random.default_rng(3).integers(0, 4, (2, 20, 20)).astype(np.uint8)
    new = resample(labels, (0.5, 0.5), "nearest")
    assert new.dtype == np.uint8
    np.testing.assert_array_equal(new, labels.repeat(2, axis=1).repeat(2, axis=2))


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.3, 3.0))
def test_a_constant_image_stays_constant(height, width, step) -> None:
    new = resample(np.full((1, height, width), 7.0), (step, step), "cubic")
    assert new.shape == (1, max(1, round(height / step)), max(1, round(width / step)))
    np.testing.assert_allclose(new, 7.0)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12))
def test_fit_keeps_the_centre(height, width, size) -> None:
    stack = np.arange(1, height * width + 1).reshape(1, height, width)
    result = fit(stack, size)
    assert result.shape == (1, size, size)
    kept = result[result != 0]
    assert kept.size == min(height, size) * min(width, size)
    assert np.isin(kept, stack).all()
    np.testing.assert_array_equal(fit(fit(stack, 24), size), result)  # padding first changes nothing


def test_fit_by_hand() -> None:
    stack = np.arange(1, 6).reshape(1, 1, 5)
    np.testing.assert_array_equal(fit(stack, 3)[0], [[0, 0, 0], [2, 3, 4], [0, 0, 0]])
    np.testing.assert_array_equal(fit(stack[..., :2], 4)[0, 2], [0, 1, 2, 0])
