"""The plugin from the command line: runs that tell of their pairs, and the comparison of strategies."""

from __future__ import annotations

import csv
import json
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from torch import nn

from cmrbias import hookimpl
from cmrbias.api import Backbone
from cmrbias.cli.main import make_cli
from cmrbias.plugins import Origin, plugin_manager

SMALL = ("--backbone", "tiny", "--image-size", "32", "--batch", "8", "--epochs", "1", "--augment", "flip")


class Tiny(Backbone):
    name, dim, stride = "tiny", 16, 4

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 16, 5, 4, 2, bias=False), nn.BatchNorm2d(16), nn.ReLU())

    def feature_map(self, images: torch.Tensor) -> torch.Tensor:
        return self.features(images)


@pytest.fixture(scope="module")
def cli():
    def register_backbones(register) -> None:
        register("tiny", lambda stride: Tiny())

    plugins, module = plugin_manager(), types.ModuleType("tiny")
    module.register_backbones = hookimpl(register_backbones)
    plugins.add(module, Origin("tiny", "dist-tiny", "1.0"))

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(make_cli(lambda: plugins), [str(a) for a in arguments])

    return run


@pytest.fixture(scope="module")
def films(cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 patients: the even ones have two studies of two images, the odd ones a single image."""
    folder = tmp_path_factory.mktemp("films")
    rng = np.random.default_rng(0)
    rows = []
    for patient in range(24):
        for study, side in [(0, "ap"), (0, "pa"), (1, "ap"), (1, "pa")] if patient % 2 == 0 else [(0, "ap")]:
            name = f"p{patient}s{study}{side}.npy"
            bright = patient // 2 % 2
            np.save(folder / name, rng.integers(1, 100, (24, 32 + patient)) + 100 * bright)
            split = "train" if patient < 14 else "test"
            rows.append(
                {
                    "path": name,
                    "patient": f"p{patient}",
                    "study": study,
                    "view": side,
                    "bright": bright,
                    "split": split,
                }
            )
    with (folder / "images.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    source, target = folder / "images.csv", ("--target", "bright:binary")
    result = cli("cohort", "import", "table", source, folder / "cohort", "--size", 32, *target)
    assert result.exit_code == 0, result.output
    return folder / "cohort"


@pytest.mark.parametrize("method", ["simclr", "moco", "byol", "medaug"])
def test_every_method_trains_on_pairs_and_tells_of_them(
    cli, films: Path, tmp_path: Path, method: str
) -> None:
    short = ["-o", "queue=16"] if method in ("moco", "medaug") else []
    run = tmp_path / "run"
    result = cli(
        "pretrain",
        "--method",
        method,
        "--pairs",
        "same-study",
        "--cohort",
        films,
        "--out",
        run,
        *short,
        *SMALL,
    )
    assert result.exit_code == 0, result.output
    told = "pairs same-study: partners 0 in 7, 1 in 28 of 35 images; 7 without a partner pair with themselves"
    assert told in result.output
    record = json.loads((run / "run.json").read_text())["record"]["pairing"]
    assert record["images_by_partners"] == {"0": 7, "1": 28}


def test_hard_negatives_are_logged_and_resumed(cli, films: Path, tmp_path: Path) -> None:
    hard = ["-o", "queue=16", "-o", "negatives=append", "-o", "fraction=0.2", "-o", "laterality-column=view"]
    result = cli(
        "pretrain", "--method", "medaug", "--pairs", "same-study-distinct-laterality", "--pair-option",
        "laterality-column=view", "--cohort", films, "--out", tmp_path / "run", *hard, *SMALL, "--epochs", 2,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["own_patient_negatives"] == 0
    assert 0 < log[-1]["hard_negatives"] < 1
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)["module"]
    assert state["queue.codes"].shape == (16, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--pairs", "same-study-same-laterality"), "'laterality'"),
        (
            ("--pairs", "same-study-same-laterality", "--pair-option", "laterality-column=view"),
            "none of the 35",
        ),
        (("--pairs", "same-label"), "option 'label' is required"),
        (("-o", "negatives=only"), "'laterality'"),
    ],
)
def test_what_cannot_work_is_refused_before_training(
    cli, films: Path, tmp_path: Path, arguments, message
) -> None:
    result = cli(
        "pretrain", "--method", "medaug", "--cohort", films, "--out", tmp_path / "r", *arguments, *SMALL
    )
    assert result.exit_code == 1, result.output
    assert message in result.output
    assert result.output.strip().count("\nError") <= 1
    assert not (tmp_path / "r").exists()


def test_strategies_are_compared_and_finished_runs_kept(cli, films: Path, tmp_path: Path) -> None:
    command = [
        "medaug", "--cohort", films, "--label", "bright",
        "--strategies", "same-study,same-study+append,same-study+exclude-own-patient,same-label",
        "--pair-option", "label=bright", "--fractions", "0.5,1", "--seeds", 1, "--draws", 2,
        "--out", tmp_path / "c", "--ensemble",
        "--pretrain", " ".join(("-o queue=16 -o laterality-column=view", *SMALL)),
        "--probe", "--backbone tiny --image-size 32 --batch 4 --epochs 2",
    ]  # fmt: skip
    result = cli(*command)
    assert result.exit_code == 0, result.output
    assert "label fraction 0.5: 1 seeds x 2 draws" in result.output
    assert "AUROC less same-image (paired)" in result.output
    assert "* unreliable" in result.output
    partners = "partners 0 in 7, 1 in 28 images, 7 pair with themselves"
    assert f"\nsame-study: {partners}; negatives of the query's own patient " in result.output
    table = (tmp_path / "c" / "comparison.md").read_text()
    lines = {line.split(":")[0]: line for line in table.splitlines()}
    assert "query's own patient 0.0%; negatives hard " in lines["same-study+append"]
    assert "query's own patient 0.0%" not in lines["same-study"]
    assert "left out" not in lines["same-study"]
    assert lines["same-study+exclude-own-patient"].endswith("%, left out")
    assert "| same-label (USES LABELS) " in table
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| same-study+append")]
    assert len(rows[0]) == len(rows[1]) == 5
    found = json.loads((tmp_path / "c" / "comparison.json").read_text())
    assert set(found) == {"0.5", "1"}
    assert set(found["0.5"]["differences"]) >= {"same-study", "same-study+append"}
    assert found["0.5"]["scores"]["same-study"]["bright"]["runs"] == 2
    assert found["0.5"]["balanced"] == []
    settings = json.loads(
        (tmp_path / "c" / "same-study+append" / "seed-0" / "pretrain" / "run.json").read_text()
    )
    assert settings["settings"]["options"]["method_options"]["negatives"] == "append"
    weights = tmp_path / "c" / "same-study" / "seed-0" / "pretrain" / "last.pt"
    before = weights.stat().st_mtime_ns
    assert cli(*command).exit_code == 0
    assert weights.stat().st_mtime_ns == before
    other = cli(*command, "--method", "simclr")
    assert other.exit_code == 1
    assert "the runs there had method = 'medaug', now it is 'simclr'" in other.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--strategies", "same-study+hard"),
            "same-study+hard: expected PAIRS or PAIRS+append|reweight|only",
        ),
        (("--strategies", "same-studi"), "'same-studi'"),
        (("--pair-option", "labl=bright"), "--pair-option labl=bright: none of same-image"),
        (("--fractions", "2"), "expected shares in (0, 1]"),
        (
            ("--label", "view"),
            "--label view: expected a binary target, found none of this name; binary ones: bright",
        ),
    ],
)
def test_a_comparison_of_what_is_not_there_is_refused(
    cli, films: Path, tmp_path: Path, arguments, message
) -> None:
    result = cli("medaug", "--cohort", films, "--label", "bright", "--out", tmp_path / "c", *arguments)
    assert result.exit_code == 1, result.output
    assert message in result.output
    assert not (tmp_path / "c").exists()
