"""Contrast against its formula in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cmrbias.api import CmrbiasError, draws
from cmrbias.augmentations.contrast import Contrast
from cmrbias.options import build


def contrast(low, high):
    return Contrast(Contrast.Options((low, high)), 8)


def keys(count):
    return draws.keys(5, 0, torch.arange(count), 1)


@given(st.floats(0, 3), st.integers(0, 99), st.booleans())
def test_a_fixed_factor_follows_the_formula(factor, seed, padded):
    images = np.random.default_rng(seed).random((3, 1, 6, 5)) ** 2
    if padded:
        images[:, :, :, :2] = 0
    augmentation = contrast(factor, factor)
    got, masks = augmentation.apply(torch.from_numpy(images).float(), None, augmentation.draw(keys(3)))
    for row in range(3):
        inside = images[row] > 0
        want = factor * images[row] + (1 - factor) * images[row][inside].mean()
        np.testing.assert_allclose(got[row], np.where(inside, want.clip(0, 1), 0), atol=1e-6)
    assert masks is None


def test_padding_neither_changes_nor_counts():
    images = torch.rand(4, 1, 10, 10, generator=torch.Generator().manual_seed(1))
    padded = torch.nn.functional.pad(images, (3, 0, 0, 5))
    augmentation = contrast(0.7, 1.3)
    params = augmentation.draw(keys(4))
    want = torch.nn.functional.pad(augmentation.apply(images, None, params)[0], (3, 0, 0, 5))
    torch.testing.assert_close(augmentation.apply(padded, None, params)[0], want)


def test_a_blank_image_stays_blank_and_masks_stay():
    masks = torch.ones(2, 1, 4, 4)
    augmentation = contrast(0.7, 1.3)
    got, same = augmentation.apply(torch.zeros(2, 1, 4, 4), masks, augmentation.draw(keys(2)))
    assert torch.equal(got, torch.zeros(2, 1, 4, 4))
    assert same is masks


def test_factors_are_uniform_over_the_range():
    ramp = torch.tensor([0.4, 0.6]).view(1, 1, 1, 2).expand(3000, 1, 1, 2)
    augmentation = contrast(0.7, 1.3)
    views, _ = augmentation.apply(ramp, None, augmentation.draw(keys(3000)))
    factor = (views[..., 1] - views[..., 0]) / 0.2
    assert factor.min() >= 0.7 - 1e-5
    assert factor.max() < 1.3 + 1e-5
    # uniform on 0.7..1.3: standard error of the mean 0.0032
    assert abs(factor.mean() - 1) < 0.013
    assert abs(factor.std() - 0.6 / 12**0.5) < 0.007


@pytest.mark.parametrize("factor", ["1.3,0.7", "-1,1", "1", "a,b"])
def test_a_wrong_range_is_refused(factor):
    with pytest.raises(CmrbiasError, match=r"contrast.*factor.*expected"):
        build(Contrast.Options, {"factor": factor}, "augmentation 'contrast'")
