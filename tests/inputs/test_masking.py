"""Input modes of a case alone, on arrays small enough to check by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cmrbias import ops
from cmrbias.inputs.masking import background, background_fill, heart, silhouette

IMAGES = torch.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]).view(1, 1, 3, 3)
MASKS = torch.tensor([[0, 0, 0], [0, 1, 1], [0, 0, 0]], dtype=torch.bool).view(1, 1, 3, 3)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (heart, [[0, 0, 0], [0, 5, 6], [0, 0, 0]]),
        (background, [[1, 2, 3], [4, 0, 0], [7, 8, 9]]),
        (silhouette, [[0, 0, 0], [0, 1, 1], [0, 0, 0]]),
    ],
)
def test_what_is_shown(mode, expected):
    shown = mode(IMAGES, MASKS)
    assert shown.dtype == IMAGES.dtype
    assert shown[0, 0].tolist() == expected


def test_each_frame_is_masked_by_its_own_mask():
    masks = torch.cat([MASKS, ~MASKS], 1)
    shown = heart(IMAGES.expand(1, 2, 3, 3), masks)
    assert shown[0, 0].tolist() == [[0, 0, 0], [0, 5, 6], [0, 0, 0]]
    assert shown[0, 1].tolist() == [[1, 2, 3], [4, 0, 0], [7, 8, 9]]


def test_the_fill_is_smooth_and_leaves_the_background_as_it_is():
    ramp = torch.linspace(0.2, 0.8, 32).expand(2, 2, 32, 32)
    y, x = torch.arange(32)[:, None], torch.arange(32)
    masks = ((y - 14) ** 2 + (x - 18) ** 2 < 36).expand(2, 2, 32, 32)
    dark = torch.where(masks, 0.0, ramp)
    filled = background_fill(dark, masks)
    assert torch.equal(filled[~masks], dark[~masks])
    assert (filled - ramp).abs().max() < 0.15  # the ramp goes on under the hole, about
    assert filled.diff(dim=3).abs().max() < 0.1


@given(seed=st.integers(0, 2**31), side=st.integers(2, 9))
def test_heart_and_background_add_up_to_the_image_and_the_fill_sees_no_heart(seed, side):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(3, 2, side, side, generator=generator)
    masks = torch.rand(3, 2, side, side, generator=generator) < 0.4
    assert torch.equal(heart(images, masks) + background(images, masks), images)
    other = torch.where(masks, torch.rand(images.shape, generator=generator), images)
    assert torch.equal(background_fill(images, masks), background_fill(other, masks))
    donors = torch.arange(3)
    nothing = torch.zeros_like(masks)
    given_away = ops.background_swap_reference(
        torch.cat([images, images]), torch.cat([masks, nothing]), donors.repeat(2)
    )
    torch.testing.assert_close(background_fill(images, masks), given_away[3:])
