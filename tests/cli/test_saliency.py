"""``cmrbias saliency``: files, scores recomputed, streaming, overlays, wrong input."""

from __future__ import annotations

import csv
import json
import shutil
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from scipy.ndimage import distance_transform_edt

import cmrbias
from cmrbias import hookimpl, ops, scores
from cmrbias.api import Saliency
from cmrbias.cli.main import make_cli
from cmrbias.cohorts.format import Cohort
from cmrbias.inputs import InputMode, fixed_donors
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


def test_results_that_a_later_call_was_not_asked_for_are_named_when_replaced(cli, tmp_path):
    said = "results of an earlier call were replaced by this one's: "
    assert said not in cli("--target", "all").output
    lines = cli("--method", "layercam", "--threshold", 0.4).output
    assert said + "method gradcam" in lines
    assert "; --target all; --threshold 0.5 (--out keeps both)" in lines
    assert said not in cli("--method", "layercam", "--method", "gradcam", "--threshold", 0.4).output


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


def test_a_map_is_drawn_as_strong_as_the_frames_of_its_case_let_it_be(tmp_path):
    black, saliency, empty = np.zeros((64, 64)), np.eye(8), np.zeros((64, 64), dtype=bool)
    shown = []
    for span in (None, (0.0, 1.0), (0.0, 10.0)):
        draw_figure([[Overlay(black, saliency, empty, "t", "c", span)]], tmp_path / "drawn.png")
        shown.append(np.asarray(Image.open(tmp_path / "drawn.png").convert("L"))[:, :250].astype(int))
    assert (shown[2] < shown[1] - 20).any()


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
    assert (
        "saliency method 'bad' (dist-bad): the map of case c8, frame ED (row 0, target 0) holds -1"
        in result.output
    )
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
        (["--threshold", "1.5"], "Error: --threshold: expected a number inside (0, 1), got 1.5"),
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


def group(folder: Path, *key: str) -> dict:
    """The group of (map, target, label, frame)."""
    found = json.loads((folder / "overlap.json").read_text())["aggregates"]
    return next(g for g in found if (g["map"], g["target"], g["label"], g["frame"]) == key)


def copied(cohort: Path, to: Path, pixel_size: float | None, column: list[str] | None = None) -> Path:
    """The cohort with another pixel size, or one a case."""
    shutil.copytree(cohort, to)
    meta = json.loads((to / "cohort.json").read_text())
    (to / "cohort.json").write_text(json.dumps({**meta, "pixel_size": pixel_size}))
    if column is not None:
        lines = (to / "cases.csv").read_text().splitlines()
        cells = zip(lines, ["pixel_size", *column], strict=True)
        (to / "cases.csv").write_text("".join(f"{line},{cell}\n" for line, cell in cells))
    return to


def test_dilated_masks_are_those_of_scipys_distances(cli, run, tiny_plugins, small_cohort, tmp_path):
    result = cli()
    network = cmrbias.load_classifier(run, tiny_plugins)
    cohort = Cohort.open(small_cohort)
    cases = Cases(cohort, cohort.cases("test"), network.frames)
    names = cohort.column("case")[cases.case].tolist()
    with torch.no_grad():
        shown = cases.shown(np.arange(4), network.input, 48)
        maps = network(shown, explain=network(shown).argmax(1))[1]
    predicted = [
        row for row in rows(tmp_path / "out") if row["map"] == "model" and row["class"] == row["predicted"]
    ]
    assert len(predicted) == 8
    for row in predicted:
        at = names.index(row["case"]), network.frames.index(row["frame"])
        mask = cases.masks(np.arange(4))[at].numpy()
        for margin in (5, 10):
            near = distance_transform_edt(~mask, sampling=1.5) <= margin
            found = ops.overlap_reference(maps[at][None], torch.as_tensor(near)[None])
            for name, score in (
                ("aks", scores.aks),
                ("dsc", scores.dsc),
                ("normalised-aks", scores.normalised_aks),
            ):
                cell = row[f"{name}-{margin}mm"]
                assert float(cell or "nan") == pytest.approx(float(score(found)), abs=1e-5, nan_ok=True)
            assert float(row[f"chance-{margin}mm"]) == pytest.approx(near.mean())
            assert float(row[f"ceiling-{margin}mm"]) >= float(row["ceiling"]) - 1e-9
    whole = group(tmp_path / "out", "model", "predicted", "all", "all")
    assert [each["margin"] for each in whole["dilated"]] == [5, 10]
    values = [float(row["dsc-10mm"]) for row in predicted]
    assert whole["dilated"][1]["scores"]["dsc"]["mean"]["value"] == pytest.approx(np.mean(values))
    assert "with the mask dilated" in result.output


def test_without_a_pixel_size_nothing_is_dilated_and_that_is_said(cli, small_cohort, tmp_path):
    said = cli("--cohort", copied(small_cohort, tmp_path / "c", None)).output
    assert "no pixel size in this cohort: no scores with the mask dilated by 5 and 10 mm" in said
    assert "with the mask dilated, so" not in said
    assert "aks-5mm" not in rows(tmp_path / "out")[0]
    assert group(tmp_path / "out", "model", "predicted", "all", "all")["dilated"] == []


def test_images_of_another_size_than_the_runs_are_told(cli, run, small_cohort, tmp_path):
    cohort = copied(small_cohort, tmp_path / "c", 3.0)
    line = (
        f"warning: {cohort}: images have 48 x 48 px of 3 mm, those that {run} was trained on 48 x 48 px of "
        "1.5 mm: resampled to 48 x 48 px of 3 mm, in training 48 x 48 px of 1.5 mm"
    )
    assert line in cli("--cohort", cohort).output.splitlines()
    assert line in json.loads((tmp_path / "out" / "overlap.json").read_text())["notes"]
    assert line in cli("--cohort", cohort, "--sanity").output.splitlines()


def test_pixel_sizes_may_be_a_column(cli, small_cohort, tmp_path):
    column = ["1.5"] * 8 + ["1.5", "6", "", "3"]
    said = cli("--cohort", copied(small_cohort, tmp_path / "c", None, column)).output
    assert "1 cases have no pixel size: not among those with the mask dilated" in said
    found = {row["case"]: row for row in rows(tmp_path / "out") if row["map"] == "centred-gaussian"}
    assert found["c10"]["aks-5mm"] == found["c10"]["chance-5mm"] == ""
    assert found["c9"]["aks-5mm"] == found["c9"]["aks"]  # pixels of 6 mm
    assert float(found["c11"]["chance-5mm"]) > float(found["c11"]["chance"])
    gaussian = group(tmp_path / "out", "centred-gaussian", "", "all", "all")
    assert gaussian["scores"]["aks"]["n"] == 4
    dilated = gaussian["dilated"][0]["scores"]["aks"]
    assert (dilated["n"], dilated["n_undefined"]) == (3, 0)


def test_classes_are_compared_plain_and_adjusted_for_the_masks_area(cli, small_cohort, tmp_path):
    cohort = copied(small_cohort, tmp_path / "c", 1.5)
    masks = np.load(cohort / "masks-00000.npy")
    masks[[0, 3, 5], 1, 20:] = 0  # hearts of several sizes
    masks[[1, 6], 0, :24] = 0
    np.save(cohort / "masks-00000.npy", masks)
    said = cli("--cohort", cohort, "--split", "train", "--allow-seen").output
    assert "AKS between classes, patients A 4, B 4" in said
    written = json.loads((tmp_path / "out" / "overlap.json").read_text())["class comparisons"]
    assert [(c["target"], c["score"]) for c in written] == [
        (target, score) for target in ("predicted", "true") for score in ("aks", "dsc", "normalised-aks")
    ]
    mine = [r for r in rows(tmp_path / "out") if r["map"] == "model" and r["class"] == r["predicted"]]
    patients = sorted({r["patient"] for r in mine})
    of = [[r for r in mine if r["patient"] == patient] for patient in patients]
    dsc = np.array([np.mean([float(r["dsc"]) for r in each]) for each in of])
    area = np.array([np.mean([float(r["chance"]) for r in each]) for each in of])
    second = np.array([each[0]["label"] == "B" for each in of])
    comparison = written[1]
    assert comparison["patients"] == {"A": 4, "B": 4}
    expected = dsc[~second].mean() - dsc[second].mean()
    assert comparison["plain"][0]["estimate"]["value"] == pytest.approx(expected)
    design = np.column_stack([~second, second, area]).astype(float)
    first, other, _ = np.linalg.lstsq(design, dsc, rcond=None)[0]
    assert comparison["adjusted"][0]["estimate"]["value"] == pytest.approx(first - other)


@pytest.mark.parametrize("mode", ["swap-same-class", "swap-other-class"])
def test_swapped_backgrounds_are_scored_per_draw_with_the_donors_of_evaluate(
    cli, run, tiny_plugins, small_cohort, tmp_path, mode
):
    result = cli("--input", mode, "--overlays", 1)
    assert result.exit_code == 0, result.output
    assert f"input {mode}: the mean over 5 fixed donors a case" in result.output
    found = [r for r in rows(tmp_path / "out") if r["map"] == "model" and r["class"] == r["predicted"]]
    assert len(found) == 4 * 2 * 5
    network = cmrbias.load_classifier(run, tiny_plugins)
    cohort = Cohort.open(small_cohort)
    cases = Cases(cohort, cohort.cases("test"), network.frames)
    labels = torch.as_tensor(cases.codes("label"))
    donors = fixed_donors(labels, torch.as_tensor(cases.codes("patient")), mode == "swap-same-class").numpy()
    names = cohort.column("case")[cases.case].tolist()
    by_case: dict[str, list[float]] = {}
    for row in found:
        i, draw, frame = names.index(row["case"]), int(row["draw"]), network.frames.index(row["frame"])
        donor = donors[draw, i]
        assert row["donor"] == names[donor]
        with torch.no_grad():
            shown = cases.shown(np.array([i]), InputMode(mode), 48, np.array([donor]))
            maps = network(shown, explain=network(shown).argmax(1))[1]
        expected = scores.aks(ops.overlap_reference(maps[:, frame], cases.masks(np.array([i]))[:, frame]))
        assert float(row["aks"] or "nan") == pytest.approx(float(expected), abs=1e-5, nan_ok=True)
        by_case.setdefault(row["case"], []).append(float(row["aks"] or "nan"))
    whole = group(tmp_path / "out", "model", "predicted", "all", "all")["scores"]["aks"]
    means = [np.nanmean(values) for values in by_case.values() if not np.isnan(values).all()]
    assert whole["mean"]["value"] == pytest.approx(np.mean(means))
    filled = [np.nan_to_num(values).mean() for values in by_case.values()]
    assert whole["mean_with_zeros"]["value"] == pytest.approx(np.mean(filled))
    assert whole["maps"] == {"ED": 20, "ES": 20}


def test_joint_normalisation_scales_the_frames_of_a_case_together(
    cli, run, tiny_plugins, small_cohort, tmp_path
):
    result = cli("--normalise", "joint")
    assert "one min-max over the frames of a case" in result.output
    assert json.loads((tmp_path / "out" / "overlap.json").read_text())["normalise"] == "joint"
    network = cmrbias.load_classifier(run, tiny_plugins)
    cohort = Cohort.open(small_cohort)
    cases = Cases(cohort, cohort.cases("test"), network.frames)
    names = cohort.column("case")[cases.case].tolist()
    with torch.no_grad():
        shown = cases.shown(np.arange(4), network.input, 48)
        maps = network(shown, explain=network(shown).argmax(1))[1]
    whole = torch.nn.functional.interpolate(maps.double(), (48, 48), mode="bilinear")
    low, high = whole.amin((1, 2, 3), keepdim=True), whole.amax((1, 2, 3), keepdim=True)
    x, y = (whole - low) / (high - low), cases.masks(np.arange(4)).double()
    expected = 2 * (x * y).sum((2, 3)) / (x.sum((2, 3)) + y.sum((2, 3)))
    for row in rows(tmp_path / "out"):
        if row["map"] == "model" and row["class"] == row["predicted"]:
            at = names.index(row["case"]), network.frames.index(row["frame"])
            assert float(row["dsc"]) == pytest.approx(float(expected[at]), abs=1e-5)


def test_sanity_is_told_by_a_sentence_a_line_and_written(cli, run, tmp_path):
    result = cli("--sanity", "--method", "gradcam", "--method", "layercam")
    assert result.exit_code == 0, result.output
    for method in ("gradcam", "layercam"):
        assert f"{method}, maps of 12 x 12 cells, of the class that the run predicts" in result.output
    assert "SSIM of min-max maps (range 1) in windows of 7 x 7 cells" in result.output
    assert result.output.count("not assessed: add --repeat RUN2") == 2
    assert (
        "null: similarity between the maps of two independently initialised networks, 10 pairs"
        in result.output
    )
    with (tmp_path / "out" / "sanity.csv").open(newline="") as file:
        written = list(csv.DictReader(file))
    told = {(row["method"], row["check"], row["measure"]): row for row in written if row["check"] != "stage"}
    assert len(told) == 2 * (2 + 1 + 1 + 1)
    row = told["gradcam", "randomisation", "spearman"]
    assert row["verdict"] == ("fails" if float(row["value"]) > float(row["null_quantile"]) else "passes")
    assert row["sentence"] in result.output
    assert float(told["layercam", "localisation", "auprc"]["prevalence"]) > 0
    whole = json.loads((tmp_path / "out" / "sanity.json").read_text())
    first = whole["verdicts"][0]
    assert len(first["null"]["draws"]) == 10
    assert first["null"]["quantile"] == pytest.approx(np.quantile(first["null"]["draws"], 0.95))
    assert (whole["repeat"], whole["cells"]) == (None, {"gradcam": [12, 12], "layercam": [12, 12]})
    assert not (tmp_path / "out" / "overlap.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--repeat", "x"], "--repeat: is for --sanity: add it"),
        (["--sanity", "--overlays", "2"], "--overlays: has no part in --sanity"),
        (["--sanity", "--target", "true"], "--target: has no part in --sanity"),
        (["--sanity", "--reproduce", "x"], "x: not a run"),
        (["--out", f"{__file__}/ev"], f"{__file__}/ev: not writable: {__file__} is a file, no folder"),
        (["--out", "/proc/ev"], "/proc/ev: not writable: nothing can be made in /proc"),
    ],
)
def test_flags_that_would_do_nothing_are_refused(cli, arguments, message):
    test_wrong_input_is_one_line(cli, arguments, message)
