"""``cmrbias saliency``: files, scores recomputed, streaming, overlays, wrong input."""

from __future__ import annotations

import csv
import json
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

import cmrbias
from cmrbias import hookimpl, scores
from cmrbias.api import Saliency
from cmrbias.cli.main import make_cli
from cmrbias.cohorts.format import Cohort
from cmrbias.plugins import Origin, Plugins
from cmrbias.report.overlays import Overlay, draw_figure
from cmrbias.training.cases import Cases

FAST = ["--backbone", "tiny", "--image-size", "48", "--batch", "2", "--threads", "1", "--epochs", "1"]
QUICK = ["--resamples", "50"]


@pytest.fixture(scope="module")
def run(tiny_plugins: Plugins, small_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    arguments = ["finetune", *FAST, "--cohort", str(small_cohort), "--out", str(out)]
    result = CliRunner().invoke(make_cli(lambda: tiny_plugins), arguments)
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture
def cli(tiny_plugins: Plugins, run: Path, tmp_path: Path) -> Callable[..., Result]:
    def call(*arguments: object) -> Result:
        given = ["saliency", str(run), *QUICK, "--out", str(tmp_path / "out"), *map(str, arguments)]
        return CliRunner().invoke(make_cli(lambda: tiny_plugins), given)

    return call


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "overlap.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_rows_are_what_captum_and_the_float64_reference_give(
    cli, run, tiny_plugins, small_cohort, tmp_path
):
    from captum.attr import LayerGradCam

    result = cli("--target", "all")
    assert result.exit_code == 0, result.output
    assert "in closed form" in result.output
    found = [row for row in rows(tmp_path / "out") if row["map"] == "model"]
    assert len(found) == 4 * 2 * 2  # cases, frames, classes
    network = cmrbias.load_classifier(run, tiny_plugins)
    cohort = Cohort.open(small_cohort)
    cases = Cases(cohort, cohort.cases("test"), network.frames)
    shown = cases.shown(np.arange(4), network.input, 48)
    names = cohort.column("case")[cases.case].tolist()
    for number, label in enumerate(network.classes):
        target = torch.full((4,), number)
        maps = LayerGradCam(network, network.backbone.features[2]).attribute(
            shown, target, relu_attributions=True
        )
        masks = cases.masks(np.arange(4)).flatten(0, 1)
        from cmrbias.ops import overlap_reference

        expected = scores.aks(overlap_reference(maps[:, 0].detach(), masks)).view(4, 2)
        for row in (row for row in found if row["class"] == label):
            at = names.index(row["case"]), network.frames.index(row["frame"])
            value = float(row["aks"]) if row["aks"] else float("nan")
            assert value == pytest.approx(float(expected[at]), abs=1e-5, nan_ok=True)
            share = masks.view(4, 2, -1).double().mean(2)[at]
            assert float(row["chance"]) == pytest.approx(float(share))
            assert (row["map_height"], row["map_width"]) == ("12", "12")


@pytest.mark.parametrize("target", ["predicted", "all"])
def test_kept_maps_are_those_of_the_predicted_class_that_were_scored(cli, small_cohort, tmp_path, target):
    assert cli("--maps", "--target", target).exit_code == 0
    with np.load(tmp_path / "out" / "maps.npz", allow_pickle=False) as found:
        cases, frames, maps = found["case"].tolist(), found["frame"].tolist(), found["gradcam"]
    assert (maps.shape, maps.dtype) == ((4, 2, 12, 12), np.float32)
    cohort = Cohort.open(small_cohort)
    masks = cohort.masks(cohort.cases("test")) != 0
    scored = 0
    for row in rows(tmp_path / "out"):
        if row["map"] == "model" and row["class"] == row["predicted"] and row["aks"]:
            at = cases.index(row["case"]), frames.index(row["frame"])
            whole = torch.as_tensor(maps[at])[None, None]
            whole = torch.nn.functional.interpolate(whole, (48, 48), mode="bilinear", align_corners=False)
            whole = (whole - whole.min())[0, 0].double().numpy()
            assert float(row["aks"]) == pytest.approx((whole * masks[at]).sum() / whole.sum(), abs=1e-5)
            scored += 1
    assert scored > 0


def test_no_maps_are_kept_unasked(cli, tmp_path):
    assert cli().exit_code == 0
    assert not (tmp_path / "out" / "maps.npz").exists()


def test_predicted_and_true_stand_in_one_file_with_baselines(cli, tmp_path):
    result = cli()
    found = rows(tmp_path / "out")
    model = [row for row in found if row["map"] == "model"]
    keys = [(row["case"], row["frame"], row["class"]) for row in model]
    assert len(set(keys)) == len(keys)
    for row in model:
        assert row["class"] in (row["predicted"], row["label"])
    for case, frame in {(row["case"], row["frame"]) for row in model}:
        mine = {r["class"] for r in model if (r["case"], r["frame"]) == (case, frame)}
        row = next(r for r in model if (r["case"], r["frame"]) == (case, frame))
        assert mine == {row["predicted"], row["label"]}
    for name in ("centred-gaussian", "image-gradient", "untrained"):
        assert sum(row["map"] == name for row in found) == 8
    summary = json.loads((tmp_path / "out" / "overlap.json").read_text())
    groups = {(g["map"], g["target"], g["label"], g["frame"]): g for g in summary["aggregates"]}
    gaussian = groups["centred-gaussian", "", "all", "all"]
    values = [float(row["aks"]) for row in found if row["map"] == "centred-gaussian"]
    assert gaussian["scores"]["aks"]["mean"]["value"] == pytest.approx(np.mean(values))
    assert groups["model", "predicted", "all", "ES"]["scores"]["aks"]["n"] <= 4
    assert "next: cmrbias saliency" in result.output


def test_python_gives_what_the_command_writes(cli, run, tiny_plugins, tmp_path):
    cli()
    found = cmrbias.explain(run, plugins=tiny_plugins, resamples=50)
    written = rows(tmp_path / "out")
    assert len(found.overlap) == len(written)
    for ours, theirs in zip(found.overlap, written, strict=True):
        assert {k: "" if v != v else str(v) for k, v in ours.items()} == theirs
    assert {group.label for group in found.aggregates} == {"all", "A", "B"}


def test_batches_change_nothing(run, tiny_plugins, monkeypatch):
    whole = cmrbias.explain(run, plugins=tiny_plugins, resamples=50)
    import cmrbias.saliency.subject as subject

    stream = subject.stream_cases
    monkeypatch.setattr(subject, "stream_cases", lambda *a, **k: stream(*a, **{**k, "batch": 1}))
    single = cmrbias.explain(run, plugins=tiny_plugins, resamples=50)
    same = whole.rows.map < 3  # the untrained network's statistics are a mean over batches
    assert (single.rows.row == whole.rows.row).all()
    for name in ("aks", "dsc", "ceiling"):
        ours, theirs = single.rows.scores[name][same], whole.rows.scores[name][same]
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_overlays_are_drawn_for_each_case_and_on_one_sheet(cli, tmp_path):
    result = cli("--overlays", 2)
    assert result.exit_code == 0, result.output
    names = sorted(path.name for path in (tmp_path / "out" / "figures").iterdir())
    assert len(names) == 3
    assert names[-1] == "overlays.png"
    assert "2 cases, each also in a file of its own" in result.output


def test_a_drawn_map_is_neither_flipped_nor_transposed(tmp_path):
    """A peak above and right of the middle, a mask below and to the left: each is found where it belongs."""

    def drawn(image, saliency, mask):
        draw_figure([[Overlay(image, saliency, mask, "t", "c")]], tmp_path / "drawn.png")
        return np.asarray(Image.open(tmp_path / "drawn.png").convert("RGB")).astype(int)

    black, nothing, empty = np.zeros((64, 64)), np.zeros((8, 8)), np.zeros((64, 64), dtype=bool)
    plain = drawn(black, nothing, empty)
    area = np.argwhere((drawn(black + 1, nothing, empty) != plain).any(2))
    (top, left), size = area.min(0), np.ptp(area, axis=0) + 1

    def centre(found):
        changed = np.abs(found - plain).sum(2)[top : top + size[0], left : left + size[1]]
        at = np.indices(changed.shape).reshape(2, -1)
        return (at * changed.ravel()).sum(1) / changed.sum() / size

    peak, heart = nothing.copy(), empty.copy()
    peak[1, 5] = 1
    heart[40:56, 4:12] = True
    assert centre(drawn(black, peak, empty)) == pytest.approx([1.5 / 8, 5.5 / 8], abs=0.02)
    assert centre(drawn(black, nothing, heart)) == pytest.approx([48 / 64, 8 / 64], abs=0.02)


class Negative(Saliency):
    """Wrong on purpose."""

    def maps(self, classifier, images, classes):
        return -torch.ones(len(images), images.shape[1], 4, 4)


def test_a_plugin_with_negative_maps_is_named(run, small_cohort, tmp_path, tiny_plugins):
    plugins, module = Plugins(), types.ModuleType("bad")
    from cmrbias import builtin

    plugins.add(builtin, Origin("builtin", "cmrbias", "1"))

    def register_saliency(register):
        register("bad", Negative)

    def register_backbones(register):
        register("tiny", tiny_plugins.registry("backbones").get("tiny"))

    module.register_saliency, module.register_backbones = (
        hookimpl(register_saliency),
        hookimpl(register_backbones),
    )
    plugins.add(module, Origin("bad", "dist-bad", "1"))
    arguments = ["saliency", str(run), "--method", "bad", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(make_cli(lambda: plugins), arguments)
    assert result.exit_code == 1
    assert "saliency method 'bad' (dist-bad): the map of row 0, target 0 holds -1" in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layer", "features.7"], "unknown layer 'features.7'"),
        (["--method", "gradcm"], "unknown saliency method 'gradcm': did you mean 'gradcam'"),
        (["--method", "occlusion", "--layer", "features"], "looks at no layer"),
        (["--method-option", "gradcam.x=1"], "unknown option 'x'"),
        (["--method-option", "occlusion.cells=3"], "expected NAME.KEY=VALUE with NAME one of gradcam"),
        (["--input", "hart"], "unknown input mode 'hart'"),
        (["--split", "train"], "has seen 8 of 8 test patients"),
        (["--threshold", "1.5"], "threshold: expected a number inside (0, 1)"),
    ],
)
def test_wrong_input_is_one_line(cli, arguments, message):
    result = cli(*arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_seen_patients_are_said_where_they_are_allowed(cli):
    assert "8 of 8 patients were SEEN in training" in cli("--split", "train", "--allow-seen").output


def test_coarse_maps_bring_a_warning(cli):
    said = cli("--method", "occlusion", "--method-option", "occlusion.cells=4", "--input", "heart").output
    assert "warning: occlusion: maps have 4 x 4 cells" in said
    assert "input heart: 4 cases" in said
