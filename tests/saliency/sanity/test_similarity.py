"""Spearman against scipy, SSIM against its formula written out and scipy's filter, ties and constants."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import uniform_filter
from scipy.stats import spearmanr

from cmrbias.saliency.sanity.similarity import similarities, spearman, ssim, window_of

SIZES = [(7, 7), (3, 5), (14, 14), (1, 4), (2, 2), (9, 30)]


def pair(size, seed=0):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 6, (5, *size)).astype(np.float32)  # with ties
    return first, (first * 0.5 + rng.random((5, *size)) * 2).astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
def test_spearman_is_scipys(size):
    first, second = pair(size)
    expected = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(spearman(first, second), expected, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_ssim_is_the_formula_window_by_window(size):
    first, second = pair(size)
    side = window_of(*size)
    for found, a, b in zip(ssim(first, second), first.astype(float), second.astype(float), strict=True):
        a, b = ((x - x.min()) / (x.max() - x.min()) for x in (a, b))
        values = []
        for top in range(size[0] - side + 1):
            for left in range(size[1] - side + 1):
                x, y = (m[top : top + side, left : left + side].ravel() for m in (a, b))
                together = np.cov(x, y) if side > 1 else np.zeros((2, 2))
                light = (2 * x.mean() * y.mean() + 1e-4) / (x.mean() ** 2 + y.mean() ** 2 + 1e-4)
                form = (2 * together[0, 1] + 9e-4) / (together[0, 0] + together[1, 1] + 9e-4)
                values.append(light * form)
        assert found == pytest.approx(np.mean(values), abs=1e-12)


def test_ssim_is_scikit_images_recipe_with_scipys_filter():
    """Its defaults: a uniform window of 7, sample covariance, the border cut off by half a window."""
    first, second = pair((20, 24), seed=4)
    a, b = (m[0].astype(float) for m in (first, second))
    a, b = ((x - x.min()) / (x.max() - x.min()) for x in (a, b))
    ua, ub = uniform_filter(a, 7), uniform_filter(b, 7)
    norm = 49 / 48
    va, vb = norm * (uniform_filter(a * a, 7) - ua * ua), norm * (uniform_filter(b * b, 7) - ub * ub)
    vab = norm * (uniform_filter(a * b, 7) - ua * ub)
    whole = ((2 * ua * ub + 1e-4) * (2 * vab + 9e-4)) / ((ua**2 + ub**2 + 1e-4) * (va + vb + 9e-4))
    assert ssim(first[:1], second[:1])[0] == pytest.approx(whole[3:-3, 3:-3].mean(), abs=1e-12)


def test_by_hand():
    """2 x 2 cells: windows of one cell, where only the luminance term is not 1."""
    first, second = np.array([[[0.0, 1], [0, 1]]]), np.array([[[0.0, 0], [5, 10]]])  # min-max: 0 0 .5 1
    terms = [1.0, 1e-4 / (1 + 1e-4), 1e-4 / (0.25 + 1e-4), 1.0]
    assert ssim(first, second)[0] == pytest.approx(np.mean(terms))
    assert spearman(first, second)[0] == pytest.approx(0.5 / np.sqrt(1 * 4.5), abs=1e-12)


@pytest.mark.parametrize(("size", "side"), [((7, 7), 7), ((14, 9), 7), ((6, 7), 5), ((4, 4), 3), ((2, 9), 1)])
def test_windows_are_odd_and_fit(size, side):
    assert window_of(*size) == side


def test_a_constant_map_has_no_similarity():
    first, second = pair((4, 4))
    second[2] = 3
    for values in similarities(first, second).values():
        assert np.isnan(values).tolist() == [False, False, True, False, False]


@given(arrays(np.float32, (2, 3, 4), elements=st.integers(0, 5).map(float)))
def test_a_map_is_like_itself_and_symmetric(maps):
    same = similarities(maps, 2 * maps)  # a positive scale changes nothing
    for values in same.values():
        known = values[~np.isnan(values)]
        np.testing.assert_allclose(known, 1, atol=1e-12)
    there, back = similarities(maps, maps[::-1]), similarities(maps[::-1], maps)
    for name in there:
        np.testing.assert_allclose(there[name], back[name], atol=1e-12)
        assert (np.abs(there[name][~np.isnan(there[name])]) <= 1).all()
