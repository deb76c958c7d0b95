"""The random resized crop: exact resampling, the area, the heart."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from cmrbias.api import CmrbiasError, draws
from cmrbias.augmentations import geometry
from cmrbias.augmentations.crop import Crop
from cmrbias.options import build


def keys(count, seed=0):
    return draws.keys(seed, 0, torch.arange(count), 0)


def crop(size=32, **options):
    return Crop(build(Crop.Options, options, "augmentation 'crop'"), size)


def coordinates(count, height, width):
    """Images whose channels are each pixel's own row and column."""
    rows = torch.arange(float(height))[:, None].expand(height, width)
    columns = torch.arange(float(width)).expand(height, width)
    return torch.stack([rows, columns]).expand(count, 2, height, width)


def shown(augmentation, height, width, count, area=None, masks=None):
    """The boxes (N, 4) top, left, height, width that are cut for ``keys(count)``.

    Read off crops of coordinates, of at least the images' size: bilinear is exact for a ramp.
    """
    params = augmentation.draw(keys(count)) | ({} if area is None else {"area": area})
    views, _ = augmentation.apply(coordinates(count, height, width), masks, params)
    size = views.shape[-1]
    middle = size // 2
    starts, lengths = [], []
    for line in (views[:, 0, :, 0], views[:, 1, 0, :]):
        step = (line[:, middle + 1] - line[:, middle - 1]) / 2
        starts.append(line[:, middle] + 0.5 - (middle + 0.5) * step)
        lengths.append(step * size)
    return torch.stack(starts + lengths, 1)


BOXES = st.tuples(st.integers(1, 40), st.integers(1, 50)).flatmap(
    lambda s: st.tuples(st.just(s[0]), st.just(s[1]), st.integers(0, 40 - s[0]), st.integers(0, 50 - s[1]))
)


@pytest.mark.parametrize("resample", [geometry.resample, geometry.products])
@given(boxes=st.lists(BOXES, min_size=1, max_size=4), size=st.integers(1, 45), seed=st.integers(0, 9))
def test_a_box_is_resampled_as_torch_does_with_antialiasing(resample, boxes, size, seed):
    images = torch.from_numpy(np.random.default_rng(seed).random((len(boxes), 1, 40, 50)))
    table = torch.tensor([(y, x, h, w) for h, w, y, x in boxes], dtype=torch.float64)
    got = resample(images.float(), table, size)
    for row, (h, w, y, x) in enumerate(boxes):
        part = images[row : row + 1, :, y : y + h, x : x + w]
        want = F.interpolate(part, (size, size), mode="bilinear", antialias=True)[0]
        torch.testing.assert_close(got[row].double(), want, atol=2e-5, rtol=0)


@given(boxes=st.lists(BOXES, min_size=1, max_size=4), size=st.integers(1, 45), seed=st.integers(0, 9))
def test_a_mask_is_resampled_to_the_nearest_pixel(boxes, size, seed):
    masks = torch.from_numpy(np.random.default_rng(seed).integers(0, 2, (len(boxes), 1, 40, 50))).float()
    table = torch.tensor([(y, x, h, w) for h, w, y, x in boxes], dtype=torch.float64)
    got = geometry.nearest(masks, table, size)
    for row, (h, w, y, x) in enumerate(boxes):
        # pixel i of the result lies over (2 i + 1) h / (2 size) source pixels
        down, across = ((2 * np.arange(size) + 1) * n // (2 * size) for n in (h, w))
        assert torch.equal(got[row, 0], masks[row, 0, y + down][:, x + across])


def test_a_crop_of_everything_at_the_same_size_is_the_image():
    images, masks = (
        torch.rand(3, 1, 24, 24, generator=torch.Generator().manual_seed(0)),
        torch.ones(3, 1, 24, 24),
    )
    all_of_it = crop(24, scale=(1, 1), ratio=(1, 1))
    views, moved = all_of_it.apply(images, masks, all_of_it.draw(keys(3)))
    torch.testing.assert_close(views, images, atol=1e-6, rtol=0)
    assert torch.equal(moved, masks)


def test_boxes_are_whole_pixels_inside_the_valid_area():
    area = torch.tensor([[10.0, 20.0, 70.0, 50.0]], dtype=torch.float64).expand(500, 4)
    boxes = shown(crop(100), 100, 90, 500, area)
    torch.testing.assert_close(boxes, boxes.round(), atol=2e-3, rtol=0)
    top, left, height, width = boxes.round().unbind(1)
    assert (top >= 10).all()
    assert (left >= 20).all()
    assert (top + height <= 80).all()
    assert (left + width <= 70).all()
    assert (top == 10).any()
    assert (left + width == 70).any()


def test_nothing_of_the_padding_is_shown():
    images = torch.zeros(200, 1, 60, 80)
    images[:, :, 7:47, 11:61] = 1
    area = torch.tensor([[7, 11, 40, 50]]).expand(200, 4)  # as stored: integers
    augmentation = crop(33)
    views, _ = augmentation.apply(images, None, augmentation.draw(keys(200)) | {"area": area})
    torch.testing.assert_close(views, torch.ones(200, 1, 33, 33), atol=1e-6, rtol=0)


def test_shares_are_uniform_and_ratios_log_uniform():
    boxes = shown(crop(80), 80, 80, 1500).double()
    share = boxes[:, 2] * boxes[:, 3] / 80**2
    log_ratio = (boxes[:, 3] / boxes[:, 2]).log()
    assert share.min() > 0.075  # sides are rounded to pixels
    assert share.max() < 1.0001
    # uniform on 0.08..1: standard error of the mean 0.007, of the deviation 0.003
    assert abs(share.mean() - 0.54) < 0.025
    assert abs(share.std() - 0.92 / 12**0.5) < 0.012
    small = share < 0.5  # any ratio fits: log(3/4)..log(4/3), but for rounding to pixels
    assert log_ratio.abs().max() < np.log(4 / 3) + 0.05
    assert abs(log_ratio[small].mean()) < 0.025
    assert abs(log_ratio[small].std() - 2 * np.log(4 / 3) / 12**0.5) < 0.012


def test_every_place_is_equally_likely():
    boxes = shown(crop(6, scale=(0.25, 0.25), ratio=(1, 1)), 4, 4, 1800).round().long()
    assert boxes[:, 2:].unique(dim=0).tolist() == [[2, 2]]
    counts = torch.bincount(boxes[:, 0] * 3 + boxes[:, 1], minlength=9)
    # 1800 draws from nine places: standard deviation 13
    assert (counts - 200).abs().max() < 55


def test_a_ratio_that_does_not_fit_is_brought_to_the_nearest_that_does():
    wide = crop(240, scale=(1, 1), ratio=(0.5, 0.5))
    assert shown(wide, 120, 240, 5).round().tolist() == [[0, 0, 120, 240]] * 5
    half = crop(400, scale=(0.5, 0.5), ratio=(3 / 4, 4 / 3))
    boxes = shown(half, 100, 400, 30).round()
    # 20,000 pixels that are 100 high at most: 200 wide at least, whatever ratio was drawn
    assert boxes[:, 2:].unique(dim=0).tolist() == [[100, 200]]


def heart_shares(boxes, masks):
    """The share of each mask (N, 1, H, W) inside its box."""
    parts = zip(boxes.round().long().tolist(), masks[:, 0], strict=True)
    return torch.tensor([(m[y : y + h, x : x + w].sum() / m.sum()).item() for (y, x, h, w), m in parts])


def test_min_heart_redraws_until_that_much_of_the_heart_is_shown():
    masks = torch.zeros(500, 1, 100, 100)
    masks[:, :, 25:55, 60:85] = 1
    plain = shown(crop(100), 100, 100, 500, masks=masks)
    chosen = shown(crop(100, min_heart=0.25), 100, 100, 500, masks=masks)
    before = heart_shares(plain, masks)
    assert (before < 0.25).sum() > 50
    assert (heart_shares(chosen, masks) >= 0.25).all()
    assert torch.equal(chosen[before >= 0.25], plain[before >= 0.25])  # the first that passes


def test_where_no_crop_shows_enough_the_one_with_most_heart_is_taken():
    masks = torch.zeros(300, 1, 100, 100)
    masks[:, :, 20:80, 20:80] = 1  # 3600 pixels: a crop of 800 never shows half
    options = {"scale": (0.08, 0.08), "min_heart": 0.5}
    one = heart_shares(shown(crop(100, scale=(0.08, 0.08)), 100, 100, 300, masks=masks), masks)
    most = heart_shares(shown(crop(100, **options), 100, 100, 300, masks=masks), masks)
    assert (most >= one).all()
    # of ten crops one usually lies inside the heart
    assert one.median() < 0.17
    assert most.median() > 0.21


def test_where_the_mask_is_empty_the_first_crop_is_taken():
    empty = torch.zeros(20, 1, 60, 60)
    assert torch.equal(shown(crop(60, min_heart=0.5), 60, 60, 20, masks=empty), shown(crop(60), 60, 60, 20))


def test_masks_are_wanted_only_for_min_heart():
    assert crop(min_heart=0.25).needs_masks
    assert not crop().needs_masks


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": (0.9, 0.1)}, "'scale': expected LOW,HIGH"),
        ({"ratio": "2,1"}, "'ratio': expected LOW,HIGH"),
        ({"scale": "0,1"}, "expected 0.0001 to 1"),
        ({"min-heart": 1.5}, "expected 0 to 1"),
    ],
)
def test_a_wrong_option_is_refused(options, message):
    with pytest.raises(CmrbiasError, match=message):
        crop(**options)
