"""Rotation against scipy, by right angles, and what it does at the border."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from cmrbias.api import draws
from cmrbias.augmentations.rotate import Rotate

RNG = np.random.default_rng(0)


def keys(count):
    return draws.keys(3, 0, torch.arange(count), 0)


def turned(images, masks, degrees):
    """Images (N, 1, H, W) turned by a given angle rather than a drawn one."""
    rotate = Rotate(Rotate.Options(), images.shape[-1])
    angle = torch.deg2rad(torch.full((len(images),), float(degrees), dtype=torch.float64))
    params = rotate.draw(keys(len(images))) | {"cos": angle.cos(), "sin": angle.sin()}
    return rotate.apply(images, masks, params)


@pytest.mark.parametrize("degrees", [-20, -7.5, 3, 20, 65])
@pytest.mark.parametrize("shape", [(40, 40), (33, 48)])
def test_interior_agrees_with_scipy(degrees, shape):
    image = RNG.random(shape)
    got, _ = turned(torch.from_numpy(image).float()[None, None], None, degrees)
    want = ndimage.rotate(image, degrees, reshape=False, order=1, prefilter=False)
    inside = ndimage.rotate(np.ones(shape), degrees, reshape=False, order=1, mode="constant") > 0.999
    assert inside.mean() > 0.4
    np.testing.assert_allclose(got[0, 0].numpy()[inside], want[inside], atol=2e-5)


def test_no_angle_is_the_identity():
    images = torch.from_numpy(RNG.random((3, 1, 31, 44))).float()
    masks = images.round()
    rotate = Rotate(Rotate.Options(degrees=0), 31)
    views, moved = rotate.apply(images, masks, rotate.draw(keys(3)))
    torch.testing.assert_close(views, images, atol=1e-5, rtol=0)
    assert torch.equal(moved, masks)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_right_angles_are_torch_rot90(quarters):
    images = torch.from_numpy(RNG.random((2, 1, 21, 21))).float()
    masks = images.round()
    views, moved = turned(images, masks, 90 * quarters)
    torch.testing.assert_close(views, images.rot90(quarters, (2, 3)), atol=1e-5, rtol=0)
    assert torch.equal(moved, masks.rot90(quarters, (2, 3)))


def test_what_comes_from_outside_is_zero():
    views, moved = turned(torch.ones(1, 1, 64, 64), torch.ones(1, 1, 64, 64), 20)
    corners = (slice(None), slice(None), [0, 0, -1, -1], [0, -1, 0, -1])
    assert (views[corners] == 0).all()
    assert (moved[corners] == 0).all()
    assert views[0, 0, 32, 32] == 1


def test_angles_are_uniform_within_the_limit():
    image = torch.zeros(2000, 1, 1, 101)
    rotate = Rotate(Rotate.Options(20), 101)
    params = rotate.draw(keys(2000))
    # a column x holds its own offset from the centre: after a rotation of one row it is offset * cos
    image[:] = (torch.arange(101.0) + 100) / 300
    views, _ = rotate.apply(image.expand(-1, -1, 101, -1), None, params)
    across = (views[:, 0, 50, 60] - views[:, 0, 50, 40]) / 20 * 300  # cosine
    down = (views[:, 0, 60, 50] - views[:, 0, 40, 50]) / 20 * 300  # sine, but for its sign
    angle = torch.rad2deg(torch.atan2(down, across))
    assert angle.abs().max() < 20.01
    # uniform on -20..20: standard error of the mean 0.26
    assert abs(angle.mean()) < 1.1
    assert abs(angle.std() - 40 / 12**0.5) < 0.5
