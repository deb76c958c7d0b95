"""Pictures: what depends on what, and how tissues rank in brightness."""

import numpy as np
import pytest

from cmrbias.cohorts.phantom.canvas import Canvas, around, ellipse_distance, smooth_field
from cmrbias.cohorts.phantom.rendering import render
from cmrbias.cohorts.phantom.scanner import ANATOMY_MAXIMUM, LOOKS, valid_area

RV, MYO, LV = 1, 2, 3


def rendered(patient=0, diagnosis="NOR", **changes):
    settings = {"anatomy_strength": 0.32, "site": "A", "size": 112, "seed": 0}
    return render(patient, diagnosis, **{**settings, **changes})


def test_the_site_changes_the_look_and_nothing_else():
    a, b = rendered(site="A"), rendered(site="B")
    assert (a.masks == b.masks).all()
    assert (a.images != b.images).any()
    assert all((getattr(a.wall, n) == getattr(b.wall, n)).all() for n in ("skin", "muscle", "cavity"))


def test_the_diagnosis_changes_the_heart_and_not_the_body():
    normal, dilated = rendered(anatomy_strength=1), rendered(diagnosis="DCM", anatomy_strength=1)
    assert (normal.masks != dilated.masks).any()
    assert (normal.wall.skin == dilated.wall.skin).all()


@pytest.mark.parametrize("diagnosis", ["DCM", "HCM", "MINF", "RV", "AMYL"])
@pytest.mark.parametrize("site", LOOKS)
def test_the_diagnosis_changes_no_brightness_far_from_the_heart(site, diagnosis):
    """Beyond the rim on which its silhouette shows: else the background would tell the diagnosis."""
    liver = np.s_[:, 85:105, :40]
    for patient in range(3):
        normal, other = (
            rendered(patient, name, anatomy_strength=1, site=site).images[liver].astype(float)
            for name in ("NOR", diagnosis)
        )
        assert np.abs(other - normal).max() <= 4  # ringing of k-space that is sampled in part
        assert abs((other - normal).mean()) < 0.05


@pytest.mark.parametrize("site", LOOKS)
def test_blood_is_not_clipped(site):
    found = rendered(diagnosis="DCM", anatomy_strength=1, site=site, size=224)
    assert np.mean(found.images[found.masks == LV] == ANATOMY_MAXIMUM) < 0.001


def test_other_patients_and_seeds_differ():
    pictures = [rendered(), rendered(patient=1), rendered(seed=1)]
    assert len({p.images.tobytes() for p in pictures}) == 3
    assert len({p.masks.tobytes() for p in pictures}) == 3


@pytest.mark.parametrize("site", LOOKS)
def test_anatomy_leaves_headroom_and_stays_in_the_field_of_view(site):
    images = rendered(site=site).images
    assert images.dtype == np.uint8
    assert 0.9 * ANATOMY_MAXIMUM < images.max() <= ANATOMY_MAXIMUM
    top, left, height, width = valid_area(LOOKS[site], 112)
    outside = np.ones((112, 112), bool)
    outside[top : top + height, left : left + width] = False
    assert (images[:, outside] == 0).all()


@pytest.mark.parametrize("site", LOOKS)
def test_blood_is_brighter_than_muscle_and_muscle_than_air(site):
    found = rendered(site=site, size=224)
    for image, labels in zip(found.images, found.masks, strict=True):
        blood, wall = np.median(image[labels == LV]), np.median(image[labels == MYO])
        air = np.median(image[20:30, 20:60])
        assert blood > 2 * wall
        assert wall > 2 * air


def test_noise_differs_between_the_frames_and_the_body_does_not():
    ed, es = rendered(size=224).images[:, 20:60, 20:60].astype(float)
    assert (ed != es).any()
    assert abs(ed.mean() - es.mean()) < 2


def test_an_ellipses_distance_is_exact_for_circles_and_right_in_sign():
    canvas = Canvas(64)
    circle = ellipse_distance(canvas.x, canvas.y, (10.0, -5.0), (40.0, 40.0), 0.7)
    assert circle == pytest.approx(np.hypot(canvas.x - 10, canvas.y + 5) - 40, abs=1e-3)
    long = ellipse_distance(canvas.x, canvas.y, (0.0, 0.0), (60.0, 20.0), np.pi / 2)
    assert ((long < 0) == ((canvas.x / 20) ** 2 + (canvas.y / 60) ** 2 < 1)).all()


def test_painting_is_anti_aliased_and_keeps_area():
    canvas = Canvas(64)
    canvas.ellipse((1.0, 2.0), (50.0, 30.0), 1.0, 0.4)
    assert canvas.signal.real.sum() * canvas.pixel**2 == pytest.approx(np.pi * 50 * 30, rel=0.01)
    assert ((canvas.signal.real > 0.1) & (canvas.signal.real < 0.9)).any()


def test_tables_around_the_circle_interpolate_and_close():
    table = np.arange(8.0)
    assert around(table, np.array([0.0, np.pi / 8, -np.pi / 8])) == pytest.approx([0.0, 0.5, 3.5], abs=1e-5)


def test_smooth_fields_are_standardised_and_smooth():
    field = smooth_field(np.random.default_rng(0), 112, 12.0)
    assert field.mean() == pytest.approx(0, abs=1e-5)
    assert field.std() == pytest.approx(1, abs=1e-5)
    assert np.abs(np.diff(field)).mean() < 0.3
