"""One min-max over the frames of a case, against maps that are upsampled and scaled pixel by pixel."""

from __future__ import annotations

import pytest
import torch

from cmrbias import ops, scores
from cmrbias.ops.upsample import upsample
from cmrbias.saliency.joint import joint_overlap, some_rows

SCORES = {
    "aks": scores.aks,
    "dsc": scores.dsc,
    "dice": scores.dice,
    "iou": scores.iou,
    "pointing": scores.pointing,
}


@pytest.fixture
def maps() -> torch.Tensor:
    """Three cases of two frames, two maps each: one faint second frame, one empty, one constant."""
    made = torch.rand(6, 2, 4, 5, generator=torch.Generator().manual_seed(2))
    made[1] *= 0.3
    made[3] = 0
    made[2, :, 0, 0] = 0  # so that the empty frame is at the case's minimum
    made[5] = made[4].mean()
    return made


@pytest.fixture
def masks() -> torch.Tensor:
    return torch.rand(6, 24, 20, generator=torch.Generator().manual_seed(4)) > 0.7


def expected(maps, masks, threshold):
    whole = upsample(maps, 24, 20).view(3, 2, 2, 24, 20)
    low, high = (extreme((1, 3, 4), keepdim=True) for extreme in (whole.amin, whole.amax))
    x, y = ((whole - low) / (high - low)).flatten(0, 1), masks[:, None]
    both, hot = (x * y).sum((2, 3)), x >= threshold
    hits, size = (hot & y).sum((2, 3)).double(), hot.sum((2, 3)) + y.sum((2, 3))
    peaks = (whole.flatten(0, 1) == whole.flatten(0, 1).amax((2, 3), keepdim=True)) & y
    vanished = x.sum((2, 3)) < 1e-9
    return {
        "aks": torch.where(vanished, torch.nan, both / x.sum((2, 3))),
        "dsc": 2 * both / (x.sum((2, 3)) + y.sum((2, 3))),
        "dice": 2 * hits / size,
        "iou": hits / (size - hits),
        "pointing": torch.where(vanished, torch.nan, peaks.any(3).any(2).double()),
    }


@pytest.mark.parametrize("threshold", [0.5, 0.2])
def test_scores_are_those_of_jointly_scaled_pixels(maps, masks, threshold):
    found = scores.score_overlap(joint_overlap(maps, masks, threshold, 2), SCORES)
    for name, values in expected(maps, masks, threshold).items():
        torch.testing.assert_close(
            found[name], values.double(), rtol=1e-9, atol=1e-12, equal_nan=True, msg=name
        )


def test_a_faint_frame_loses_what_its_own_scale_would_give_it(maps, masks):
    alone, joint = ops.overlap(maps, masks), joint_overlap(maps, masks, 0.5, 2)
    assert (scores.dsc(joint)[1] < scores.dsc(alone)[1]).all()
    assert scores.aks(joint)[3].isnan().all()  # empty
    chance = scores.chance(joint)[5, 0]
    torch.testing.assert_close(scores.aks(joint)[5], chance.expand(2))  # constant above the minimum


def test_projected_masks_and_a_single_frame(maps, masks):
    whole, on_grid = (joint_overlap(maps, each, 0.5, 2) for each in (masks, ops.project_masks(masks, (4, 5))))
    torch.testing.assert_close(scores.aks(on_grid), scores.aks(whole), equal_nan=True)
    torch.testing.assert_close(scores.dsc(on_grid), scores.dsc(whole))
    one, own = joint_overlap(maps, masks, 0.5, 1), ops.overlap(maps, masks)
    for ours, theirs in zip(one, own, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_some_rows(maps, masks):
    chosen = torch.tensor([True, False, False, True, True, False])
    found = some_rows(joint_overlap(maps, masks, 0.5, 2), chosen)
    assert found.saliency.shape == (3, 2)
    assert found.pixels == 24 * 20
