"""Binary and multi-label targets from the command line: probe on label fractions, evaluate by study."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

import cmrbias
from cmrbias.cli.main import make_cli
from cmrbias.cohorts.format import Cohort
from cmrbias.cohorts.writer import CohortWriter
from cmrbias.training.run import patient_hash

TARGETS = {name: {"kind": "binary", "uncertain": -1} for name in ("bright", "large")}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 patients with two images of one study; a bright finding that is easy, a large one that is noise."""
    out = tmp_path_factory.mktemp("films") / "films"
    rng = np.random.default_rng(3)
    with CohortWriter(
        out, name="films", frames=("single",), structures=(), targets=TARGETS, preparation={}, provenance={}
    ) as writer:
        for number in range(80):
            patient = number // 2
            bright = patient % 2
            image = rng.integers(40, 90, (1, 32, 32)) + 120 * bright * (number % 2)  # one image shows it
            cells = {
                "bright": str(bright) if patient % 7 else "-1",
                "large": "" if patient < 3 else str(patient % 3 % 2),
            }
            row = {
                "case": f"c{number}",
                "patient": f"p{patient}",
                "study": "s0",
                "split": "train" if patient < 24 else "test",
            }
            writer.add(row | cells, image.astype(np.uint8), None)
    return out


@pytest.fixture(scope="module")
def cli(tiny_plugins):
    def run(*arguments: object) -> Result:
        return CliRunner().invoke(make_cli(lambda: tiny_plugins), [str(a) for a in arguments])

    return run


FAST = (
    "--backbone",
    "tiny",
    "--image-size",
    32,
    "--batch",
    4,
    "--epochs",
    8,
    "--lr",
    0.1,
)


@pytest.fixture(scope="module")
def draws(cli, films: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two draws of half of the labels."""
    folder = tmp_path_factory.mktemp("draws")
    for draw in range(2):
        result = cli(
            "probe", "--cohort", films, "--label", "bright,large", "--fraction", 0.5, "--draw", draw,
            "--out", folder / str(draw), *FAST,
        )  # fmt: skip
        assert result.exit_code == 0, result.output
    return [folder / "0", folder / "1"]


def test_a_probe_remembers_what_it_was_trained_on(draws: list[Path], tiny_plugins) -> None:
    records = [json.loads((run / "run.json").read_text())["record"] for run in draws]
    assert [record["kind"] for record in records] == ["binary"] * 2
    assert records[0]["classes"] == ["bright", "large"]
    assert records[0]["validation_patients"] == records[1]["validation_patients"]
    assert 9 <= records[0]["training_patients"] <= 11  # half of 24 less a fifth
    assert (draws[0] / "best.pt").exists()
    assert cmrbias.load_classifier(draws[0], tiny_plugins).kind == "binary"


def test_an_auc_that_is_not_of_all_findings_says_so(cli, films: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(films, tmp_path / "films")
    label = ("probe", "--cohort", tmp_path / "films", "--label", "bright,large", *FAST, "--epochs", 1)
    assert " alone" not in cli(*label, "--out", tmp_path / "all").output
    record = json.loads((tmp_path / "all" / "run.json").read_text())["record"]
    assert record["validation_unscored"] == {}
    table = tmp_path / "films" / "cases.csv"
    rows = list(csv.DictReader(table.read_text().splitlines()))
    hashes = {patient_hash(row["patient"]): row["patient"] for row in rows}
    validating = {hashes[patient] for patient in record["validation_patients"]}
    for row in rows:
        if row["patient"] in validating:
            row["large"] = "0"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    said = cli(*label, "--out", tmp_path / "some").output
    assert re.search(r"validation: macro AUC \d\.\d+ of bright alone \(no case with large\), loss", said), (
        said
    )


def test_evaluate_scores_studies_and_averages_draws(
    cli, draws: list[Path], films: Path, tmp_path: Path
) -> None:
    result = cli(
        "evaluate", draws[0], "--draw", draws[1], "--ensemble", "--resamples", 100, "--out", tmp_path / "e"
    )
    assert result.exit_code == 0, result.output
    assert "16 studies of 16 patients" in result.output
    assert "bright: 7 studies with it, 7 without, 2 uncertain or unknown and left out" in result.output
    scores = json.loads((tmp_path / "e" / "scores.json").read_text())["scores"]
    model, ensemble = scores
    assert ensemble == f"{model} (ensemble)"
    assert scores[model]["bright"]["runs"] == 2
    assert scores[model]["bright"]["estimates"]["AUROC"]["value"] > 0.8  # the study's brighter image tells
    rows = list(csv.DictReader((tmp_path / "e" / "predictions.csv").read_text().splitlines()))
    assert len(rows) == 16 * 2 * 3
    estimates = scores[ensemble]["bright"]["estimates"]
    told = [
        (int(row["label"]), float(row["probability"]))
        for row in rows
        if row["model"] == ensemble and row["finding"] == "bright" and row["label"]
    ]
    for name, metric in (
        ("AUROC", roc_auc_score),
        ("AUPRC", average_precision_score),
        ("log-loss", log_loss),
    ):
        assert estimates[name]["value"] == pytest.approx(metric(*zip(*told, strict=True)), rel=1e-9)
    assert {row["label"] for row in rows} == {"", "0", "1"}
    mine = [row for row in rows if row["case"] == rows[0]["case"] and row["finding"] == "bright"]
    two, mean = [float(row["probability"]) for row in mine[:2]], float(mine[2]["probability"])
    assert mean == pytest.approx(sum(two) / 2)


def test_runs_are_compared_in_pairs(cli, draws: list[Path], tmp_path: Path) -> None:
    result = cli("evaluate", draws[0], "--against", draws[1], "--resamples", 50, "--out", tmp_path / "e")
    assert result.exit_code == 0, result.output
    assert f"AUROC less {draws[1]} (paired)" in result.output
    refused = cli("evaluate", draws[0], "--input", "full")
    assert refused.exit_code == 2
    assert "binary targets take no --input" in refused.output
    assert cli("evaluate", draws[0], "--twins", tmp_path).exit_code == 2


def test_a_run_counts_once(cli, draws: list[Path], tmp_path: Path) -> None:
    """Twice it would be a second draw without spread, and as what it is compared with it would hide draws."""
    for flag, said in (("--draw", "a mean over runs"), ("--against", "RUN and --against")):
        result = cli("evaluate", draws[0], "--draw", draws[1], flag, draws[0], "--out", tmp_path / "none")
        assert result.exit_code == 1
        assert f"{said}: expected each run once, got {draws[0]} twice: leave one out" in result.output
        assert not (tmp_path / "none").exists()


def test_balanced_weights_are_told_where_the_log_loss_suffers(cli, films: Path, tmp_path: Path) -> None:
    told = {}
    for weights in ("auto", "balanced"):
        run = tmp_path / weights
        result = cli(
            "probe", "--cohort", films, "--label", "bright", "--class-weights", weights, "--out", run, *FAST
        )
        assert result.exit_code == 0, result.output
        told[weights] = cli("evaluate", run, "--resamples", 10).output
    assert "log-loss" in told["auto"]
    assert "balanced" not in told["auto"].replace(str(tmp_path / "auto"), "")
    assert f"trained with balanced weights: {tmp_path / 'balanced'}: log-loss takes" in told["balanced"]


def test_films_of_another_size_are_told(cli, draws: list[Path], films: Path, tmp_path: Path) -> None:
    cohort, test = Cohort.open(films), np.arange(48, 80)
    with CohortWriter(
        tmp_path / "large",
        name="large",
        frames=("single",),
        structures=(),
        targets=TARGETS,
        preparation={},
        provenance={},
    ) as writer:
        columns = {name: cohort.column(name)[test] for name in cohort.columns}
        for number, image in enumerate(cohort.images(test).repeat(2, 2).repeat(2, 3)):
            row = {name: cells[number] for name, cells in columns.items()}
            writer.add(row | {"patient": f"other {row['patient']}"}, image, None)
    arguments = ("--cohort", tmp_path / "large", "--resamples", 50, "--out", tmp_path / "e")
    result = cli("evaluate", draws[0], "--draw", draws[1], *arguments)
    assert result.exit_code == 0, result.output
    told = [line for line in result.output.splitlines() if line.startswith("warning: ")]
    sizes = ("images have 64 x 64 px", "was trained on 32 x 32 px", "resampled to 32 x 32 px")
    assert [all(size in line for size in sizes) for line in told] == [True, True]
    assert json.loads((tmp_path / "e" / "scores.json").read_text())["notes"] == told


def test_a_draw_smaller_than_the_batch_lowers_it(cli, films: Path, tmp_path: Path) -> None:
    draw = ("--label", "bright", "--fraction", 0.1, "--backbone", "tiny", "--image-size", 32, "--epochs", 1)
    result = cli("probe", "--cohort", films, "--out", tmp_path / "r", *draw)
    assert result.exit_code == 0, result.output
    assert "batch 4 in place of 16: so few cases have a label" in result.output
    assert json.loads((tmp_path / "r" / "run.json").read_text())["record"]["images_per_epoch"] == 4


def test_a_fraction_too_small_is_one_clear_line(cli, films: Path, tmp_path: Path) -> None:
    result = cli(
        "probe", "--cohort", films, "--label", "bright", "--fraction", 0.05, "--out", tmp_path / "r", *FAST
    )
    assert result.exit_code == 1
    assert "expected training cases with and without it" in result.output
    assert not (tmp_path / "r").exists()
