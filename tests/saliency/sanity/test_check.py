"""``check_saliency`` on the tiny network: figures computed again, undefined maps, other runs, wrong input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score

import cmrbias
from cmrbias import check_saliency
from cmrbias.api import CmrbiasError
from cmrbias.cohorts.format import Cohort
from cmrbias.plugins import Plugins
from cmrbias.saliency.sanity.result import Sanity
from cmrbias.saliency.sanity.text import tables
from cmrbias.training.cases import Cases

QUICK = {"resamples": 50, "device": "cpu"}


@pytest.fixture(scope="module")
def found(run: Path, other_seed: Path, other_backbone: Path, plugins: Plugins) -> Sanity:
    return check_saliency(run, repeat=other_seed, reproduce=other_backbone, plugins=plugins, **QUICK)


def the(found: Sanity, check: str, measure: str = "spearman"):
    return next(v for v in found.verdicts if (v.check, v.measure) == (check, measure))


@pytest.fixture(scope="module")
def shown(run: Path, small_cohort: Path, plugins: Plugins):
    """The test images, their masks, and the classes that the run predicts."""
    network = cmrbias.load_classifier(run, plugins)
    cohort = Cohort.open(small_cohort)
    cases = Cases(cohort, cohort.cases("test"), network.frames)
    images = cases.shown(np.arange(4), network.input, 48)
    with torch.no_grad():
        return images, cases.masks(np.arange(4)), network(images).argmax(1)


def maps_of(path, plugins, images, classes) -> np.ndarray:
    with torch.no_grad():
        return cmrbias.load_classifier(path, plugins)(images, explain=classes)[1].numpy()


def mean_spearman(first: np.ndarray, second: np.ndarray) -> tuple[float, int]:
    """The mean over frames, then cases, that have it, and how many frames have not."""
    cases, undefined = [], 0
    for one, other in zip(first, second, strict=True):
        pairs = [(a.ravel(), b.ravel()) for a, b in zip(one, other, strict=True)]
        known = [spearmanr(a, b).statistic for a, b in pairs if np.ptp(a) and np.ptp(b)]
        undefined += len(pairs) - len(known)
        cases += [np.mean(known)] if known else []
    return float(np.mean(cases)), undefined


def test_repetition_is_spearmans_of_both_networks_maps_of_the_runs_class(
    found, run, other_seed, other_backbone, plugins, shown
):
    images, _, classes = shown
    ours = maps_of(run, plugins, images, classes)
    theirs = maps_of(other_seed, plugins, images, classes)
    each = [
        [spearmanr(*(m[i, f].ravel() for m in (ours, theirs))).statistic for f in (0, 1)] for i in range(4)
    ]
    case_means = np.nanmean(each, axis=1)
    similarity = the(found, "repeat").similarity
    assert similarity.value.value == pytest.approx(np.nanmean(case_means), abs=1e-5)
    assert (similarity.maps, similarity.undefined) == (8, int(np.isnan(each).sum()))
    coarse = maps_of(other_backbone, plugins, images, classes)
    assert coarse.shape[2:] == (3, 3)
    pooled = ours.reshape(4, 2, 3, 4, 3, 4).mean((3, 5))  # 12 x 12 to 3 x 3
    expected, _ = mean_spearman(pooled, coarse)
    assert the(found, "reproduce").similarity.value.value == pytest.approx(expected, abs=1e-5)
    assert found.shared_grids == {"gradcam": (3, 3)}
    assert "  another backbone: on 3 x 3 cells, the coarser of both runs' grids" in list(tables(found))


def test_without_another_backbone_no_grid_is_shared(run, plugins):
    alone = check_saliency(run, plugins=plugins, **QUICK)
    assert alone.shared_grids == {}
    assert "another backbone: on" not in "\n".join(tables(alone))


def test_each_null_has_ten_draws_and_the_backbones_have_their_own(found):
    own, across = the(found, "randomisation").null, the(found, "reproduce").null
    assert len(set(own.draws)) == len(set(across.draws)) == 10
    assert the(found, "repeat").null == own
    assert set(own.draws).isdisjoint(across.draws)
    assert the(found, "randomisation").similarity.maps == 80


def test_the_cascade_ends_with_all_layers_and_begins_with_the_head(found):
    assert found.blocks == ("head", "features.1", "features.0")
    stages = {(s.order, s.block): s.similarity for s in found.stages if s.measure == "ssim"}
    assert set(stages) == {(order, block) for order in ("cascading", "independent") for block in found.blocks}
    assert stages["cascading", "features.0"] == the(found, "randomisation", "ssim").similarity
    assert stages["cascading", "head"] == stages["independent", "head"]
    assert stages["cascading", "features.1"] != stages["independent", "features.1"]


def test_auprc_is_scikit_learns_on_the_upsampled_map(found, run, plugins, shown):
    images, masks, classes = shown
    ours = torch.as_tensor(maps_of(run, plugins, images, classes)).double()
    whole = F.interpolate(ours, (48, 48), mode="bilinear", align_corners=False)
    each = [
        [average_precision_score(masks[i, f].ravel(), whole[i, f].ravel()) for f in (0, 1)] for i in range(4)
    ]
    heart = found.localisation[0]
    assert heart.auprc.value == pytest.approx(np.mean(each), abs=1e-4)
    assert heart.prevalence == pytest.approx(float(masks.double().mean()))
    assert heart.gaussian > 2 * heart.prevalence  # hearts are in the middle
    assert heart.difference.value == pytest.approx(heart.auprc.value - heart.gaussian)


def test_the_same_seed_gives_the_same_and_another_one_other_networks(found, run, plugins):
    again = check_saliency(run, plugins=plugins, **QUICK)
    assert the(again, "randomisation") == the(found, "randomisation")
    assert [v.verdict for v in again.verdicts if v.check != "randomisation"] == ["not assessed"] * 2
    other = check_saliency(run, plugins=plugins, seed=1, **QUICK)
    assert set(the(other, "randomisation").null.draws).isdisjoint(the(found, "randomisation").null.draws)


def test_maps_of_the_image_alone_fail_and_undefined_ones_are_counted(run, plugins):
    found = check_saliency(run, methods=["intensity", "gradcam"], plugins=plugins, **QUICK)
    for measure in ("spearman", "ssim"):
        verdict = the(found, "randomisation", measure)
        assert verdict.method == "intensity"
        assert verdict.verdict == "fails"
        assert verdict.similarity.value.value == pytest.approx(1)
        assert (verdict.similarity.undefined, verdict.similarity.maps) == (40, 80)
    assert next((h.method, h.undefined) for h in found.localisation) == ("intensity", 4)
    assert found.grids == {"intensity": (8, 8), "gradcam": (12, 12)}


def test_a_negative_map_names_case_row_and_plugin(run, plugins, small_cohort):
    second = Cohort.open(small_cohort).column("case")[Cohort.open(small_cohort).cases("test")][1]
    message = (
        rf"saliency method 'negative' \(dist-mine\): the map of case {second}, frame ED \(row 2\) holds -0.5"
    )
    with pytest.raises(CmrbiasError, match=message):
        check_saliency(run, methods=["negative"], plugins=plugins, **QUICK)


@pytest.mark.parametrize(
    ("flag", "options", "message"),
    [
        ("repeat", {}, "expected another seed than 0, found the same"),
        ("repeat", {"seed": 1, "backbone": "coarse"}, "expected the backbone tiny at stride 4"),
        (
            "reproduce",
            {"seed": 2},
            "expected another backbone than tiny, found the same: give it as --repeat",
        ),
        ("repeat", {"seed": 1, "validation": 0.5}, "expected option validation 0.0, as in RUN, found 0.5"),
        ("repeat", {"seed": 1, "size": 24}, "expected images of 48 px, as in RUN, found 24 px"),
        ("repeat", {"seed": 1, "input": "heart"}, "expected the training input full, as in RUN, found heart"),
    ],
)
def test_another_run_differs_in_nothing_else(run, train, plugins, flag, options, message):
    with pytest.raises(CmrbiasError, match=message):
        check_saliency(run, **{flag: train(**options)}, plugins=plugins, **QUICK)


def test_a_run_that_is_none_is_named_before_any_network_runs(run, plugins, tmp_path):
    with pytest.raises(CmrbiasError, match="not a run"):
        check_saliency(run, repeat=tmp_path, plugins=plugins, progress=pytest.fail, **QUICK)


def test_progress_comes_to_all_that_was_said(run, other_seed, plugins):
    told: list[tuple[int, int]] = []
    say: Callable[[int, int], None] = lambda done, total: told.append((done, total))  # noqa: E731
    check_saliency(run, repeat=other_seed, plugins=plugins, progress=say, **QUICK)
    assert told[-1][0] == told[-1][1] == 4 * (2 * 3 - 1 + 20 + 1)


def test_every_registered_method_can_be_checked(run, plugins):
    names = [name for name in plugins.registry("saliency").names() if name not in ("negative", "intensity")]
    assert len(names) >= 7
    few = {"occlusion": {"cells": 4}, "integrated-gradients": {"steps": 2}}
    found = check_saliency(run, methods=names, method_options=few, plugins=plugins, **QUICK)
    assert {verdict.method for verdict in found.verdicts} == set(names)
    assert found.grids["occlusion"] == (4, 4)
    assert found.grids["gradient-input"] == (48, 48)
    assert all(the.similarity.maps == 80 for the in found.verdicts if the.check == "randomisation")
