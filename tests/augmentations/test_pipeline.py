"""Pipelines of augmentations: what the loop relies on, for each and for all of them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

import cmrbias
from cmrbias.api import Augmentation, CmrbiasError, draws
from cmrbias.augmentations.pipeline import Pipeline, build_pipeline
from cmrbias.registry import collect

PAPER = {"crop": {}, "flip": {}, "contrast": {}, "rotate": {}}
EACH = [PAPER, *({name: {}} for name in PAPER)]


@pytest.fixture(scope="module")
def registry():
    return collect(cmrbias.plugin_manager(), "augmentations")


def keys(count, view=0, epoch=0):
    return draws.keys(7, epoch, torch.arange(count), view)


def discs(count, height=72, width=60):
    """Images between 0.2 and 0.8 around a bright disc, and the disc as their mask."""
    rng = np.random.default_rng(0)
    y, x = torch.arange(height)[:, None], torch.arange(width)
    images = torch.from_numpy(rng.uniform(0.2, 0.8, (count, 1, height, width))).float()
    centres = torch.from_numpy(rng.uniform(25, 40, (count, 2, 1, 1)))
    masks = ((y - centres[:, 0]) ** 2 + (x - centres[:, 1]) ** 2 < 15**2).float()[:, None]
    return torch.where(masks > 0, 0.95, images), masks


@pytest.mark.parametrize("spec", EACH, ids=lambda spec: "+".join(spec))
@pytest.mark.parametrize("size", [1, 17, 64])
def test_views_are_finite_in_range_and_of_the_size(registry, spec, size):
    images, masks = discs(5)
    views, moved = build_pipeline(registry, spec, size)(images, masks, keys(5), {})
    assert views.shape == moved.shape == (5, 1, size, size)
    assert views.dtype == moved.dtype == torch.float32
    assert views.isfinite().all()
    assert views.min() >= -1
    assert views.max() <= 1
    assert set(moved.unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("spec", EACH, ids=lambda spec: "+".join(spec))
def test_a_view_is_a_function_of_its_row_alone(registry, spec):
    images, masks = discs(20, 100, 90)
    pipeline = build_pipeline(registry, spec, 128)
    area = torch.tensor([[5.0, 6.0, 80.0, 70.0]]).expand(20, 4)
    views, moved = pipeline(images, masks, keys(20), {"area": area})
    threads = torch.get_num_threads()
    try:
        for count, part in ((1, 7), (2, 1), (3, 20)):
            torch.set_num_threads(count)
            for rows in torch.randperm(20, generator=torch.Generator().manual_seed(part)).split(part):
                view, mask = pipeline(images[rows], masks[rows], keys(20)[rows], {"area": area[rows]})
                assert torch.equal(view, views[rows])
                assert torch.equal(mask, moved[rows])
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("spec", EACH, ids=lambda spec: "+".join(spec))
def test_views_differ_by_view_epoch_and_row(registry, spec):
    images = discs(1)[0].expand(8, 1, 72, 60)
    pipeline = build_pipeline(registry, spec, 48)
    views = [pipeline(images, None, k, {})[0] for k in (keys(8), keys(8, view=1), keys(8, epoch=1))]
    assert not torch.equal(views[0], views[1])
    assert not torch.equal(views[0], views[2])
    assert len(torch.unique(views[0].flatten(1), dim=0)) > 2


def test_an_augmentation_draws_the_same_whatever_stands_around_it(registry):
    images, _ = discs(6, 64, 64)
    alone = build_pipeline(registry, {"rotate": {}}, 64)(images, None, keys(6), {})[0]
    # a flip with probability 0 changes nothing but would shift a common stream of numbers
    never = {"horizontal": 0, "vertical": 0}
    after = build_pipeline(registry, {"flip": never, "rotate": {}}, 64)(images, None, keys(6), {})[0]
    assert torch.equal(alone, after)


@pytest.mark.parametrize("spec", [{}, *EACH], ids=lambda spec: "+".join(spec) or "none")
@given(seed=st.integers(0, 10_000))
def test_masks_move_with_their_images(registry, spec, seed):
    masks = discs(3, 64, 64)[1]
    # an image that is its own mask (contrast leaves the zeros, the ones are the mean)
    spec = {name: {"scale": (0.5, 1)} if name == "crop" else {} for name in spec}
    pipeline = build_pipeline(registry, spec, 64)
    views, moved = pipeline(masks, masks, draws.keys(seed, 0, torch.arange(3), 0), {})
    # two pixels off the outline (two resamplings round twice); beyond the view there is no heart
    padded = F.pad(moved, (2, 2, 2, 2))
    inside, outside = -F.max_pool2d(-padded, 5, 1) == 1, F.max_pool2d(padded, 5, 1) == 0
    assert inside.any()
    assert (views[inside] > 0).all()
    assert (views[outside] < 0).all()


def test_without_augmentations_images_are_scaled_and_masks_stay(registry):
    images, masks = discs(3, 64, 64)
    views, moved = build_pipeline(registry, {}, 64)(images, masks, keys(3), {})
    torch.testing.assert_close(views, images * 2 - 1, atol=1e-6, rtol=0)
    assert torch.equal(moved, masks)


def test_images_of_another_size_are_resampled_at_the_end(registry):
    images, masks = discs(3, 90, 70)
    views, moved = build_pipeline(registry, {}, 32)(images, masks, keys(3), {})
    want = F.interpolate(images.double(), (32, 32), mode="bilinear", antialias=True) * 2 - 1
    torch.testing.assert_close(views.double(), want, atol=1e-5, rtol=0)
    assert torch.equal(moved, F.interpolate(masks, (32, 32), mode="nearest-exact"))


@pytest.mark.parametrize("names", [["rotate", "contrast"], ["contrast", "rotate"]])
def test_borders_of_a_rotation_are_black_at_the_network_in_either_order(registry, names):
    images = torch.full((30, 1, 50, 50), 0.6)
    images[:, :, ::2] = 0.5
    options = {"rotate": {"degrees": 45}, "contrast": {"factor": (0.5, 0.5)}}
    views, moved = build_pipeline(registry, {n: options[n] for n in names}, 50)(
        images, images * 0 + 1, keys(30), {}
    )
    # a pixel off the outline of the turned image
    border = F.max_pool2d(moved, 3, 1, 1) == 0
    assert border.sum() > 1000
    assert (views[border] == -1).all()


def test_images_in_any_layout_give_the_same_views(registry):
    images, masks = discs(4, 50, 40)
    pipeline = build_pipeline(registry, PAPER, 33)
    across, across_masks = (t.transpose(2, 3).contiguous().transpose(2, 3) for t in (images, masks))
    assert not across.is_contiguous()
    got, want = pipeline(across, across_masks, keys(4), {}), pipeline(images, masks, keys(4), {})
    torch.testing.assert_close(got[0], want[0], atol=1e-6, rtol=0)
    assert torch.equal(got[1], want[1])


def test_inputs_are_left_alone(registry):
    images, masks = discs(4)
    before = images.clone(), masks.clone()
    build_pipeline(registry, PAPER, 32)(images, masks, keys(4), {})
    assert torch.equal(images, before[0])
    assert torch.equal(masks, before[1])


@pytest.mark.parametrize("spec", [{}, *EACH], ids=lambda spec: "+".join(spec) or "none")
def test_an_empty_batch_gives_an_empty_view(registry, spec):
    empty = torch.zeros(0, 1, 30, 30)
    views, masks = build_pipeline(registry, spec, 16)(empty, empty, keys(0), {"area": torch.zeros(0, 4)})
    assert views.shape == masks.shape == (0, 1, 16, 16)


def test_a_pipeline_says_what_it_wants(registry):
    pipeline = build_pipeline(registry, {"background-swap": {}, "crop": {}}, 32)
    assert pipeline.columns == ("patient", "frame", "area")
    assert pipeline.needs_masks
    assert not build_pipeline(registry, PAPER, 32).needs_masks
    assert build_pipeline(registry, {"crop": {"min-heart": "0.25"}}, 32).needs_masks


def test_the_swap_sees_the_whole_batch_and_is_measured(registry):
    images, masks = discs(40, 48, 48)
    images[:] = torch.linspace(0.1, 0.9, 40)[:, None, None, None]
    pipeline = build_pipeline(
        registry, {"background-swap": {}, "flip": {"horizontal": 0, "vertical": 0}}, 128
    )
    assert pipeline.metrics() == {}
    columns = {"patient": torch.arange(40), "frame": torch.arange(40) % 2}
    views, _ = pipeline(images, masks, keys(40), columns)
    corners, levels = (views[:, 0, 0, 0] + 1) / 2, images[:, 0, 0, 0]
    donors = (corners[:, None] - levels).abs().argmin(1)
    assert (donors != torch.arange(40)).all()
    assert (donors % 2 == torch.arange(40) % 2).all()
    assert (donors // 16 != torch.arange(40) // 16).any()  # beyond any chunk of rows
    measured = pipeline.metrics()
    assert measured["swap_unchanged"].tolist() == [0] * 40
    assert measured["swap_residual"].shape == (40,)
    assert ((measured["swap_residual"] >= 0) & (measured["swap_residual"] < 0.25)).all()


def test_the_share_of_the_heart_in_a_view_is_measured(registry):
    images, masks = discs(60, 96, 96)
    masks[7] = 0
    ids = torch.where(masks > 0, torch.rand(60, 1, 96, 96, generator=torch.Generator().manual_seed(0)), 0)
    spec = {"crop": {"scale": (0.1, 0.5)}, "flip": {}, "rotate": {}}
    # views four times as fine as the images show every pixel of theirs, so nearest ids can be counted
    pipeline = build_pipeline(registry, spec, 384)
    _, moved = pipeline(images, ids, keys(60), {})
    want = torch.tensor(
        [(len(m.unique()) - 1) / max(len(i.unique()) - 1, 1) for m, i in zip(moved, ids, strict=True)]
    )
    pipeline(images, masks, keys(60), {})
    got = pipeline.metrics()["heart_shown"]
    assert got[7].isnan()
    known = torch.arange(60) != 7
    assert ((got[known] >= 0) & (got[known] <= 1)).all()
    torch.testing.assert_close(got[known], want[known], atol=0.02, rtol=0)
    assert (want < 0.25).sum() > 5
    assert (want > 0.9).sum() > 5
    pipeline(images, None, keys(60), {})
    assert pipeline.metrics() == {}


def test_what_is_missing_is_named(registry):
    images, masks = discs(2)
    pipeline = build_pipeline(registry, {"background-swap": {}}, 32)
    with pytest.raises(CmrbiasError, match="'background-swap' needs heart masks"):
        pipeline(images, None, keys(2), {})
    with pytest.raises(CmrbiasError, match="'background-swap' needs the column 'frame'"):
        pipeline(images, masks, keys(2), {"patient": torch.arange(2)})


def test_wrong_names_and_options_are_refused(registry):
    with pytest.raises(CmrbiasError, match=r"unknown augmentation 'rotat': did you mean 'rotate'"):
        build_pipeline(registry, {"rotat": {}}, 32)
    with pytest.raises(CmrbiasError, match=r"augmentation 'rotate': unknown option 'degree'"):
        build_pipeline(registry, {"rotate": {"degree": 5}}, 32)


def test_the_area_is_handed_over_only_for_images_of_the_stored_size():
    class Halve(Augmentation):
        def apply(self, images, masks, params):
            return images[:, :, ::2, ::2], masks

    class See(Augmentation):
        columns = ("area",)

        def __init__(self):
            super().__init__(None, 8)
            self.seen = []

        def apply(self, images, masks, params):
            self.seen.append("area" in params)
            return images, masks

    before, after = See(), See()
    pipeline = Pipeline([("before", before), ("halve", Halve(None, 8)), ("after", after)], 8)
    pipeline(torch.rand(2, 1, 8, 8), None, keys(2), {"area": torch.zeros(2, 4)})
    assert (before.seen, after.seen) == ([True], [False])
