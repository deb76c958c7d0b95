"""Overlap scores: definitions, edge cases, the scoring layer, scores from plugins."""

import math
import types

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score

from cmrbias import hookimpl, ops, scores
from cmrbias.errors import CmrbiasError
from cmrbias.plugins import Origin, plugin_manager

SCORES = {e.name: e.thing for e in plugin_manager([]).registry("scores")}
NAN = math.nan


def random_problem(seed, n=4, size=40):
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(n, 7, 7, generator=generator).relu() + 0.01 * torch.rand(n, 7, 7, generator=generator)
    masks = torch.rand(n, size, size, generator=generator) < 0.2
    return maps, masks


def all_scores(maps, masks):
    return scores.score_maps(maps, masks, SCORES, "a test")


def same(values, expected):
    return torch.equal(
        torch.as_tensor(values).nan_to_num(-1), torch.as_tensor(expected).nan_to_num(-1).double()
    )


@given(st.integers(0, 1000), st.sampled_from([40, 33]))
def test_against_plain_definitions_and_scikit_learn(seed, size):
    maps, masks = random_problem(seed, size=size)
    x = F.interpolate(maps.double()[:, None], (size, size), mode="bilinear", align_corners=False)[:, 0]
    x = (x - x.amin((1, 2), keepdim=True)) / (x.amax((1, 2), keepdim=True) - x.amin((1, 2), keepdim=True))
    found = all_scores(maps, masks)
    expected_aks = (x * masks).sum((1, 2)) / x.sum((1, 2))
    torch.testing.assert_close(found["aks"], expected_aks)
    torch.testing.assert_close(
        found["dsc"], 2 * (x * masks).sum((1, 2)) / (x.sum((1, 2)) + masks.sum((1, 2)))
    )
    torch.testing.assert_close(found["energy-lift"], expected_aks / masks.double().mean((1, 2)))
    for row in range(len(maps)):
        hot = (x[row] >= 0.5).flatten()
        assert found["dice"][row].item() == pytest.approx(f1_score(masks[row].flatten(), hot), abs=3e-3)
        assert found["iou"][row].item() == pytest.approx(jaccard_score(masks[row].flatten(), hot), abs=3e-3)
        peak = int(x[row].argmax())
        if (x[row] >= 1 - 1e-9).sum() == 1:
            assert found["pointing"][row] == masks[row].flatten()[peak]


@given(st.integers(0, 1000))
def test_relations_between_scores(seed):
    maps, masks = random_problem(seed)
    found, raw = all_scores(maps, masks), ops.overlap(maps, masks)
    torch.testing.assert_close(found["dice"], 2 * found["iou"] / (1 + found["iou"]))
    total = raw.saliency / (raw.maximum - raw.minimum)
    torch.testing.assert_close(found["dsc"], 2 * found["aks"] * total / (total + raw.area))
    for name in ("aks", "dsc", "dice", "iou", "pointing"):
        assert ((found[name] >= 0) & (found[name] <= 1)).all()


def test_edge_cases():
    """A constant map, an empty mask, both, and a good row beside them."""
    maps, masks = torch.zeros(4, 7, 7), torch.zeros(4, 28, 28, dtype=torch.bool)
    maps[0], maps[1, 3, 3], maps[3, 3, 3] = 0.7, 1, 1
    masks[0, :9], masks[3, 10:20, 10:20] = True, True
    found = all_scores(maps, masks)
    for name in ("aks", "energy-lift", "normalised-aks", "pointing"):
        assert found[name].isnan().tolist() == [True, True, True, False], name
    for name in ("dsc", "dice", "iou"):
        assert found[name].isnan().tolist() == [False, True, True, False], name
        assert found[name][0] == 0
    assert found["pointing"][3] == 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (3, 5)])
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (31, 17)])
def test_one_pixel_masks_whole_masks_and_odd_sizes_are_defined(shape, size):
    maps = torch.arange(1.0, shape[0] * shape[1] + 1).reshape(1, *shape)
    for masks in (torch.ones(1, *size, dtype=torch.bool), torch.zeros(1, *size, dtype=torch.bool)):
        masks[0, 0, 0] = True
        found, raw = all_scores(maps, masks), ops.overlap(maps, masks)
        varies = bool(raw.maximum > raw.minimum)
        assert found["aks"].isnan().item() != varies
        assert not found["dsc"].isnan().item()
        if varies and masks.all():
            assert found["aks"].item() == 1
            assert found["normalised-aks"].isnan().item()  # no room between chance and ceiling


def test_normalised_aks_is_zero_at_chance_one_at_the_ceiling_and_negative_below_chance():
    masks = torch.zeros(1, 28, 28, dtype=torch.bool)
    masks[0, 8:20, 8:20] = True
    cells = torch.eye(49).reshape(1, 49, 7, 7)
    found = all_scores(cells, masks)
    assert found["normalised-aks"].max().item() == pytest.approx(1)
    outside = found["normalised-aks"][found["aks"] == 0]
    chance = masks.double().mean().item()
    ceiling = ops.overlap(cells, masks).ceiling.item()
    assert outside.tolist() == pytest.approx([-chance / (ceiling - chance)] * len(outside))


def test_a_row_that_is_not_defined_leaves_no_nan_in_the_gradient():
    maps, masks = random_problem(0)
    maps[1] = 0.5
    maps.requires_grad_()
    found = ops.overlap(maps, masks)
    (scores.aks(found).nanmean() + scores.dsc(found).nanmean()).backward()
    assert maps.grad.isfinite().all()
    assert maps.grad[0].abs().sum() > 0


def test_projected_masks_serve_aks_and_dsc_and_no_thresholded_score():
    maps, masks = random_problem(1)
    projection = ops.project_masks(masks, (7, 7))
    names = ("aks", "dsc", "energy-lift", "normalised-aks")
    some = {name: SCORES[name] for name in names}
    found = scores.score_maps(maps, projection, some, "a test")
    assert all(torch.equal(found[name], all_scores(maps, masks)[name]) for name in names)
    for name in ("dice", "iou", "pointing"):
        with pytest.raises(
            CmrbiasError, match=rf"score '{name}': needs counts: expected an overlap of masks"
        ):
            scores.score_maps(maps, projection, {name: SCORES[name]}, "a test")


@pytest.mark.parametrize("value", [-0.25, NAN, math.inf])
def test_maps_that_are_no_saliency_are_an_error_that_names_row_and_plugin(value):
    maps, masks = random_problem(0)
    maps[2, 3, 4] = value
    message = rf"saliency method 'mine' \(my-plugin\): the map of row 2 holds {value:g} \(1 such maps\)"
    with pytest.raises(CmrbiasError, match=message):
        scores.score_maps(maps, masks, SCORES, "saliency method 'mine' (my-plugin)")
    with pytest.raises(CmrbiasError, match=r"the map of row 2, target 0 holds"):
        scores.score_maps(maps[:, None], masks, SCORES, "mine")


def test_a_plugin_adds_a_score_without_a_kernel():
    def hot_share(found):
        """Share of the pixels above the threshold."""
        return found.hot_area / found.pixels

    module = types.SimpleNamespace()
    module.register_scores = hookimpl(lambda register: register("hot-share", hot_share))
    plugins = plugin_manager([])
    plugins.add(module, Origin("mine", "my-plugin", "1"))
    registered = {e.name: e.thing for e in plugins.registry("scores")}
    assert {"aks", "dsc", "hot-share"} <= registered.keys()
    maps, masks = random_problem(0)
    found = scores.score_maps(maps, masks, registered, "a test", threshold=0.25)
    assert torch.equal(found["hot-share"], ops.overlap(maps, masks, 0.25).hot_area / masks[0].numel())


def test_a_score_of_the_wrong_shape_is_named():
    maps, masks = random_problem(0)
    with pytest.raises(CmrbiasError, match=r"score 'mean': expected .* one value a map, \(4,\), got \(\)"):
        scores.score_maps(maps, masks, {"mean": lambda found: found.inside.mean()}, "a test")
    with pytest.raises(CmrbiasError, match=r"score 'one': expected .*, got float"):
        scores.score_maps(maps, masks, {"one": lambda found: 1.0}, "a test")
