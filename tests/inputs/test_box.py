"""One square over every heart: its size, its place, and that it hides the heart."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from cmrbias.inputs.box import background_box, extents


def mask(*pixels, height=6, width=7):
    made = torch.zeros(1, 1, height, width, dtype=torch.bool)
    for row, column in pixels:
        made[0, 0, row, column] = True
    return made


def hidden(masks, side):
    """The rows and columns (first, last) where an image of ones is 0."""
    zero = background_box(torch.ones(masks.shape), masks, side)[0, 0] == 0
    rows, columns = zero.any(1).nonzero(), zero.any(0).nonzero()
    assert zero.sum() == (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)  # a full rectangle
    return [int(end) for span in (rows, columns) for end in (span[0], span[-1])]


def test_extents_are_the_longer_sides_of_the_bounding_boxes():
    assert extents(mask((1, 2), (3, 3))).tolist() == [[3]]
    assert extents(mask((1, 0), (1, 6))).tolist() == [[7]]
    assert extents(mask((5, 6))).tolist() == [[1]]
    assert extents(mask()).tolist() == [[0]]
    two = torch.cat([mask((0, 0), (1, 1)), mask((2, 2), (2, 5))], 1)
    assert extents(two).tolist() == [[2, 4]]


def test_the_square_is_centred_on_the_mask():
    assert hidden(mask((2, 3)), 3) == [1, 3, 2, 4]
    assert hidden(mask((2, 2), (3, 4)), 4) == [1, 4, 1, 4]


def test_the_square_is_moved_inside_the_image_and_keeps_its_size():
    assert hidden(mask((0, 0)), 3) == [0, 2, 0, 2]
    assert hidden(mask((5, 6)), 3) == [3, 5, 4, 6]


def test_a_heart_larger_than_the_square_does_not_show():
    masks = mask((1, 1), (1, 5), (4, 3))
    assert (background_box(torch.ones(masks.shape), masks, 2)[masks] == 0).all()


def test_a_square_larger_than_the_image_hides_all_of_it():
    assert (background_box(torch.ones(1, 1, 6, 7), mask((1, 1)), 9) == 0).all()


@given(seed=st.integers(0, 2**31), height=st.integers(8, 14), width=st.integers(8, 14))
def test_the_same_number_of_pixels_is_hidden_whatever_the_heart(seed, height, width):
    generator = torch.Generator().manual_seed(seed)
    masks = torch.rand(4, 2, height, width, generator=generator) < 0.02
    masks[:, :, 3, 4] = True
    side = min(int(extents(masks).max()), height, width)
    shown = background_box(torch.ones(masks.shape), masks, side)
    fitting = extents(masks) <= side
    assert ((shown == 0).sum((2, 3))[fitting] == side**2).all()
    assert (shown[masks] == 0).all()
