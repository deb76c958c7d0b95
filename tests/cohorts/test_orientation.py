"""However a file stores a slice, its canonical form is the same and stands as a radiologist views it."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmrbias.cohorts.orientation import canonical

LEFT, BACK, FEET = np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), np.array([0, 0, -1.0])
STORED_WAYS = list(itertools.product([False, True], repeat=3))


def rotation(angles):
    x, y, z = angles
    turn_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    turn_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    turn_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return turn_z @ turn_y @ turn_x


def stored(image, along_columns, along_rows, exchange, flip_rows, flip_columns):
    """The same slice as another scanner might store it: pixels and the two directions."""
    if exchange:
        image, along_columns, along_rows = image.T, along_rows, along_columns
    if flip_rows:
        image, along_rows = image[::-1], -along_rows
    if flip_columns:
        image, along_columns = image[:, ::-1], -along_columns
    return image, along_columns, along_rows


@pytest.mark.parametrize(
    ("columns", "rows"),
    [(LEFT, BACK), (LEFT, FEET), (BACK, FEET)],
    ids=["axial", "coronal", "sagittal"],
)
@pytest.mark.parametrize("way", STORED_WAYS)
def test_the_three_main_planes_stand_as_a_radiologist_views_them(columns, rows, way):
    image = np.arange(12).reshape(3, 4)
    pixels, along_columns, along_rows = stored(image, columns, rows, *way)
    np.testing.assert_array_equal(canonical(along_columns, along_rows).apply(pixels[None])[0], image)


def test_the_usual_short_axis_view_is_left_as_stored():
    # the image orientation of a real short-axis cine stored in that view
    usual = canonical([0.712221, 0.701112, -0.0343949], [-0.307716, 0.267798, -0.913015])
    assert usual.text == "as stored"


@given(st.tuples(*[st.floats(0, 6.28)] * 3))
def test_any_oblique_slice_comes_out_the_same_however_it_is_stored(angles):
    turn = rotation(angles)
    image = np.arange(12).reshape(3, 4)
    outcomes = []
    for way in STORED_WAYS:
        pixels, along_columns, along_rows = stored(image, turn[:, 0], turn[:, 1], *way)
        orientation = canonical(along_columns, along_rows)
        outcomes.append(
            (orientation.apply(pixels[None])[0].tolist(), np.round(orientation.normal, 9).tolist())
        )
    assert all(outcome == outcomes[0] for outcome in outcomes)


def test_axial_slices_run_from_feet_to_head():
    orientation = canonical(-LEFT, BACK)
    positions = [[0, 0, 20.0], [0, 0, -10], [0, 0, 5]]
    assert orientation.order(positions).tolist() == [1, 2, 0]


def test_spacing_follows_the_pixels():
    exchanged = canonical(BACK, LEFT)
    assert exchanged.transpose
    assert exchanged.spacing(1.0, 2.0) == (2.0, 1.0)
    assert canonical(LEFT, BACK).spacing(1.0, 2.0) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("columns", "rows"),
    [([0, 0, 0], BACK), ([np.nan, 0, 0], BACK), (LEFT, [1, 1, 0]), ([1, 0], [0, 1])],
    ids=["zero", "nan", "skew", "two numbers"],
)
def test_directions_that_are_none_are_refused(columns, rows):
    with pytest.raises(ValueError, match="expected"):
        canonical(columns, rows)
