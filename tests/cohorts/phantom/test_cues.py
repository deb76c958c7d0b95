"""Cues: where they may change an image, that each level shows, and that they fit the headroom."""

import numpy as np
import pytest
from scipy import ndimage

from cmrbias.cohorts.phantom.anatomy import draw_heart, label_mask
from cmrbias.cohorts.phantom.cues import add_cue, capsule_places, cue_region
from cmrbias.cohorts.phantom.patients import stream
from cmrbias.cohorts.phantom.scanner import ANATOMY_MAXIMUM
from cmrbias.cohorts.phantom.torso import draw_wall

LEVELS = 5


def wall_of(patient):
    return draw_wall(stream(0, "body", patient))


def grey(size=224, value=60):
    return np.full((2, size, size), value, np.uint8)


@pytest.mark.parametrize("size", [64, 224])
@pytest.mark.parametrize("diagnosis", ["DCM", "HCM", "RV", "AMYL"])
def test_local_far_lies_at_least_two_map_cells_from_the_heart(diagnosis, size):
    for patient in range(25):
        heart = draw_heart(stream(0, "heart", patient), diagnosis, 1.0)
        mask = (label_mask(heart, heart.ed, size) > 0) | (label_mask(heart, heart.es, size) > 0)
        distance = ndimage.distance_transform_edt(~mask)
        assert distance[cue_region("local-far", size, LEVELS, wall_of(patient))].min() >= 2 * size / 7


def test_markers_lie_inside_the_smallest_field_of_view():
    for patient in range(200):
        places = capsule_places(wall_of(patient), LEVELS)
        assert all(abs(x) < 163 and abs(y) < 145 for (x, y), _ in places)


@pytest.mark.parametrize("kind", ["local-far", "global"])
def test_each_level_shows_and_none_looks_like_no_cue(kind):
    pictures = [add_cue(kind, grey(), level, LEVELS, wall_of(0)) for level in range(-1, LEVELS)]
    assert len({p.tobytes() for p in pictures}) == LEVELS + 1


def test_level_k_has_k_plus_1_markers():
    for level in range(LEVELS):
        marked = add_cue("local-far", grey(), level, LEVELS, wall_of(3))
        assert ndimage.label(marked[0] > 150)[1] == level + 1


def test_markers_change_nothing_outside_their_region():
    region = cue_region("local-far", 224, LEVELS, wall_of(0))
    marked = add_cue("local-far", grey(), LEVELS - 1, LEVELS, wall_of(0))
    assert ((marked != 60) == region).all()


def test_shading_keeps_the_mean_and_rises_to_the_right_with_the_level():
    pictures = [
        add_cue("global", grey(value=200), k, LEVELS, wall_of(0)).astype(float) for k in range(LEVELS)
    ]
    assert [p.mean() for p in pictures] == pytest.approx([160] * LEVELS, abs=0.5)
    rise = [p[..., -1].mean() - p[..., 0].mean() for p in pictures]
    assert rise == sorted(rise)
    assert rise[0] == pytest.approx(-rise[-1], abs=1)


@pytest.mark.parametrize("kind", ["local-far", "global"])
def test_the_brightest_anatomy_does_not_wrap_around(kind):
    for level in range(LEVELS):
        assert add_cue(kind, grey(value=ANATOMY_MAXIMUM), level, LEVELS, wall_of(0)).min() > 100


def test_no_cue_is_no_change():
    image = grey()
    assert add_cue("none", image, 2, LEVELS, wall_of(0)) is image
    assert add_cue("global", image, -1, LEVELS, wall_of(0)) is image
    assert not cue_region("none", 224, LEVELS, wall_of(0)).any()
    assert cue_region("global", 224, LEVELS, wall_of(0)).all()
