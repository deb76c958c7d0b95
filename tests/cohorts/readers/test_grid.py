"""What a grid says of a stack: how it is turned, and where its corners then lie."""

import numpy as np
import pytest

from cmrbias.cohorts.orientation import Orientation
from cmrbias.cohorts.readers.grid import Grid

PLACE = np.array([[5.0, 6, 7], [0, 0, 8], [0, 2, 0], [-1.5, 0, 0]])  # first pixel; next slice, row, column


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("flips", [(False, True), (True, False), (True, True)])
@pytest.mark.parametrize("transpose", [False, True])
def test_corners_lie_where_the_corners_of_the_turned_stack_do(transpose, flips, reverse):
    grid = Grid(Orientation(transpose, *flips), reverse, oriented=True, place=PLACE)
    shape = (3, 4, 5)
    positions = PLACE[0] + np.moveaxis(np.indices(shape), 0, -1) @ PLACE[1:]
    turned = np.stack([grid.turn(positions[..., axis]) for axis in range(3)], axis=-1)
    ends = np.ix_((0, -1), (0, -1), (0, -1))
    np.testing.assert_array_equal(grid.corners(shape), turned[ends])


def test_the_order_of_one_slice_is_no_difference():
    forth, back = Grid(), Grid(reverse=True)
    assert forth.turns_like(back, slices=1)
    assert not forth.turns_like(back, slices=2)
    assert not forth.turns_like(Grid(Orientation(flip_rows=True)), slices=1)


def test_a_file_that_does_not_say_has_no_corners():
    assert Grid().corners((1, 2, 3)) is None
