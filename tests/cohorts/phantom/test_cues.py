"""Cues: where they may change an image, that each level shows, and that they fit the headroom."""

import dataclasses
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from cmrbias.cohorts.phantom.anatomy import Contours, Heart, draw_heart, label_mask
from cmrbias.cohorts.phantom.cues import Cue, add_cue
from cmrbias.cohorts.phantom.cues.local import capsule_places
from cmrbias.cohorts.phantom.cues.texture import band_noise
from cmrbias.cohorts.phantom.cues.tracks import heart_track
from cmrbias.cohorts.phantom.patients import stream
from cmrbias.cohorts.phantom.rendering import Rendering, render
from cmrbias.cohorts.phantom.scanner import ANATOMY_MAXIMUM, LOOKS, valid_area
from cmrbias.cohorts.phantom.settings import CUES, PhantomOptions
from cmrbias.cohorts.phantom.torso import draw_wall

LEVELS = 5
LOCAL = ("marker", "wire", "fat")
PAINTED = [(kind, form) for kind, forms in CUES.items() for form in forms or [""]]
PAINTED = [pair for pair in PAINTED if pair[0] not in ("none", "geometric")]


def cue_of(kind, form="", distance=None):
    return Cue.of(PhantomOptions(cue=kind, cue_form=form or None, cue_distance=distance))


@cache
def flat(patient=0, diagnosis="NOR", size=112, value=60, site="A"):
    """A rendering with a grey image, so that a change is a cue."""
    heart = draw_heart(stream(0, "heart", patient), diagnosis, 1.0)
    masks = np.stack([label_mask(heart, frame, size) for frame in (heart.ed, heart.es)])
    wall = draw_wall(stream(0, "body", patient))
    area = valid_area(LOOKS[site], size)
    return Rendering(np.full((2, size, size), value, np.uint8), masks, heart, wall, area)


def painted(cue, level, found=None):
    return add_cue(cue, found or flat(), level, np.random.default_rng(0))


def changed(cue, found):
    """Where any level changes the image: (frames, size, size) bool."""
    return np.any([painted(cue, level, found) != found.images for level in range(LEVELS)], axis=0)


def millimetres_from_heart(found):
    heart = (found.masks > 0).any(0)
    return ndimage.distance_transform_edt(~heart) * 336 / heart.shape[-1]


@pytest.mark.parametrize("size", [64, 224])
@pytest.mark.parametrize("form", LOCAL)
def test_local_far_lies_at_least_two_map_cells_from_the_heart(form, size):
    cue = cue_of("local-far", form)
    for patient, diagnosis in enumerate(("DCM", "HCM", "RV", "AMYL")):
        found = flat(patient, diagnosis, size)
        assert millimetres_from_heart(found)[changed(cue, found).any(0)].min() >= 2 * 336 / 7


@pytest.mark.parametrize("distance", [0.0, 10.0, 40.0])
@pytest.mark.parametrize("form", LOCAL)
def test_local_near_begins_at_the_chosen_distance(form, distance):
    cue = cue_of("local-near", form, distance)
    for patient, diagnosis in enumerate(("NOR", "RV")):
        found = flat(patient, diagnosis, 224)
        apart = millimetres_from_heart(found)[changed(cue, found).any(0)]
        assert apart.min() == pytest.approx(distance, abs=1.7)  # a pixel is 1.5 mm
        assert apart.min() > 0


def test_the_line_around_a_round_heart_is_a_circle():
    radii = Contours(np.full(720, 20.0), np.full(720, 28.0), np.full(720, 30.0))
    track = heart_track(Heart((4.0, -3.0), np.pi, radii, radii), 12.0)
    apart = np.hypot(*(track.points - (4.0, -3.0)).T)
    assert apart == pytest.approx(np.full(len(apart), 42.0), abs=0.01)
    assert track.outward[1:-1] == pytest.approx((track.points - (4.0, -3.0))[1:-1] / 42, abs=0.01)
    assert track.run[-1] == pytest.approx(42 * np.deg2rad(155), rel=0.01)


@pytest.mark.parametrize("form", LOCAL)
def test_local_far_lies_inside_the_smallest_field_of_view(form):
    cue = cue_of("local-far", form)
    for patient in range(8):
        found = flat(patient, site="B", size=64)
        top, left, height, width = found.area
        cued = changed(cue, found)
        assert cued[:, top : top + height, left : left + width].sum() == cued.sum() > 0


def test_markers_of_many_bodies_lie_inside_the_field_of_view():
    for patient in range(200):
        places = capsule_places(draw_wall(stream(0, "body", patient)), LEVELS)
        assert all(abs(x) < 163 and abs(y) < 145 for (x, y), _ in places)


@pytest.mark.parametrize(("kind", "form"), PAINTED)
def test_each_level_shows_and_none_looks_like_no_cue(kind, form):
    cue = cue_of(kind, form)
    found = render(0, "NOR", anatomy_strength=1, site="A", size=112, seed=0)
    pictures = [painted(cue, level, found) for level in range(-1, LEVELS)]
    assert len({p.tobytes() for p in pictures}) == LEVELS + 1
    apart = [int(np.abs(p[0].astype(int) - pictures[0][0]).max()) for p in pictures[1:]]
    assert min(apart) >= 12


@pytest.mark.parametrize(("kind", "form"), [p for p in PAINTED if p[0] != "global" and p[0] != "inside"])
def test_the_heart_keeps_every_bit_outside_whole_image_cues(kind, form):
    cue = cue_of(kind, form, 0.0 if kind == "local-near" else None)
    for patient in range(2):
        found = render(patient, "RV", anatomy_strength=1, site="B", size=64, seed=0)
        heart = found.masks > 0
        for level in range(LEVELS):
            images = painted(cue, level, found)
            assert (images[heart] == found.images[heart]).all()
            assert (images[~heart] != found.images[~heart]).any()


def test_inside_changes_the_blood_pool_alone_and_more_of_it_at_each_level():
    cue, found = cue_of("inside"), flat(size=224)
    assert (found.masks[changed(cue, found)] == 3).all()
    areas = [(painted(cue, level, found)[0] > 150).sum() for level in range(LEVELS)]
    assert areas == sorted(set(areas))
    millimetres = np.array([a * 1.5**2 for a in areas])
    assert millimetres == pytest.approx(np.pi * (1.8 + np.arange(LEVELS)) ** 2, rel=0.35)


def test_level_k_has_k_plus_1_markers():
    for kind in ("local-far", "local-near"):
        for level in range(LEVELS):
            marked = painted(cue_of(kind), level, flat(3, size=224))
            assert ndimage.label(marked[0] > 150)[1] == level + 1


@pytest.mark.parametrize("form", ["wire", "fat"])
def test_wires_are_longer_and_fat_is_thicker_at_higher_levels(form):
    areas = [(painted(cue_of("local-far", form), k, flat(size=224)) > 150).sum() for k in range(LEVELS)]
    steps = np.diff(areas)
    assert (steps > 0).all()
    assert steps == pytest.approx(np.full(LEVELS - 1, steps.mean()), rel=0.35)


def test_texture_keeps_mean_and_contrast_and_coarsens_with_the_level():
    found = flat(size=224, value=200)
    background = ~(found.masks > 0)
    pictures = [painted(cue_of("texture"), k, found).astype(float) for k in range(LEVELS)]
    assert [p[background].mean() for p in pictures] == pytest.approx([164] * LEVELS, abs=2)
    assert [p[background].std() for p in pictures] == pytest.approx([25] * LEVELS, abs=2)
    roughness = [np.abs(np.diff(p[0, :60])).mean() for p in pictures]
    assert roughness == sorted(roughness, reverse=True)
    assert roughness[0] > 2 * roughness[-1]


@pytest.mark.parametrize("wavelength", [9.0, 18.0, 36.0])
def test_band_noise_has_its_wavelength(wavelength):
    field = band_noise(np.random.default_rng(1).standard_normal((224, 224)), wavelength)
    power = np.abs(np.fft.fft2(field)) ** 2
    frequency = np.fft.fftfreq(224, 1.5)
    radius = np.hypot(frequency[:, None], frequency)
    assert (power * radius).sum() / power.sum() == pytest.approx(1 / wavelength, rel=0.15)
    assert field.std() == pytest.approx(1)


def test_noise_grows_with_the_level_and_leaves_what_the_scanner_did_not_see():
    found = flat(site="B", value=100)
    top = found.area[0]
    pictures = [painted(cue_of("global", "noise"), k, found).astype(float) for k in range(LEVELS)]
    assert [p[:, 20:90].std() for p in pictures] == pytest.approx(4.0 * np.arange(1, LEVELS + 1), rel=0.05)
    assert all((p[:, :top] == 100).all() for p in pictures)


def test_sharpness_falls_with_the_level_and_brightness_stays():
    found = flat(size=224)
    step = np.full((2, 224, 224), 40, np.uint8)
    step[..., 112:] = 200
    found = dataclasses.replace(found, images=step)
    for level in range(LEVELS):
        edge = painted(cue_of("global", "sharpness"), level, found)[0, 100].astype(float)
        pixels = (1.8 + 0.8 * level) / 1.5
        expected = 40 + 160 * ndimage.gaussian_filter1d((np.arange(224) >= 112) * 1.0, pixels, truncate=8)
        assert edge == pytest.approx(expected, abs=0.6)


def test_shading_keeps_the_mean_and_rises_to_the_right_with_the_level():
    pictures = [painted(cue_of("global"), k, flat(value=200)).astype(float) for k in range(LEVELS)]
    assert [p.mean() for p in pictures] == pytest.approx([160] * LEVELS, abs=0.5)
    rise = [p[..., -1].mean() - p[..., 0].mean() for p in pictures]
    assert rise == sorted(rise)
    assert rise[0] == pytest.approx(-rise[-1], abs=1)


@pytest.mark.parametrize(("kind", "form"), PAINTED)
def test_the_brightest_anatomy_does_not_wrap_around(kind, form):
    for level in range(LEVELS):
        assert painted(cue_of(kind, form), level, flat(value=ANATOMY_MAXIMUM)).min() > 100


def test_a_geometric_cue_moves_the_heart_and_nothing_else():
    cue = cue_of("geometric")
    assert [cue.heart_shift(level) for level in (-1, 0, 4)] == [(0, 0), (6, 0), (30, 0)]
    settings = {"anatomy_strength": 1, "site": "A", "size": 112, "seed": 0}
    still, moved = (render(0, "NOR", shift=cue.heart_shift(k), **settings) for k in (-1, 4))
    assert (np.roll(still.masks, 10, axis=2) == moved.masks).all()  # 30 mm are 10 pixels
    liver = np.s_[:, 85:105, :40]
    assert np.abs(still.images[liver].astype(int) - moved.images[liver]).max() <= 4
    assert painted(cue, 4, moved) is moved.images


def test_no_cue_is_no_change():
    found = flat()
    assert painted(cue_of("none"), 2, found) is found.images
    assert all(painted(cue_of(kind, form), -1, found) is found.images for kind, form in PAINTED)
