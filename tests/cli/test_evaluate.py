"""``cmrbias evaluate``: what it prints and writes, and what goes wrong, a line each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cmrbias.api import Recipe
from cmrbias.cli.main import make_cli
from cmrbias.plugins import Plugins
from cmrbias.training.start import Settings, start


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, tiny_plugins: Plugins, small_cohort: Path) -> list[Path]:
    """Two classifiers of the small cohort, of full images and of hearts."""
    paths = []
    for mode in ("full", "heart"):
        recipe = Recipe(epochs=1, batch=2, lr=1e-2, image_size=32)
        options = {"backbone": "tiny", "validation": 0.0, "input": mode}
        settings = Settings("classify", str(small_cohort), recipe, options, 0, "fp32", "cpu")
        paths.append(tmp_path_factory.mktemp("runs") / mode)
        start(settings, paths[-1], tiny_plugins, lambda text: None)
    return paths


@pytest.fixture
def cli(tiny_plugins: Plugins) -> Callable[..., Result]:
    """Runs the command in this process."""

    def run(*arguments: object) -> Result:
        given = ["evaluate", *map(str, arguments), "--resamples", "20", "--threads", "1"]
        return CliRunner().invoke(make_cli(lambda: tiny_plugins), given)

    return run


def ok(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output + str(result.exception)
    return result.stdout.splitlines()


def test_it_prints_every_figure_with_its_interval_and_writes_them(
    cli: Callable[..., Result], runs: list[Path], small_cohort: Path
) -> None:
    lines = ok(cli(runs[0]))
    assert lines[0] == f"{runs[0]} (trained on input full) on {small_cohort}, split test, column 'label'"
    assert "input full: 4 patients, 4 cases" in lines
    for figure in (
        "AUC micro",
        "AUC macro",
        "AUC A",
        "accuracy",
        "macro F1",
        "Brier",
        "ECE",
        "sensitivity B",
    ):
        (line,) = [line for line in lines if line.startswith(f"  {figure}  ")]
        assert " to " in line or "zero width" in line
    assert any(line.endswith(": percentile bootstrap, 20 resamples of patients") for line in lines)
    assert any(": 2 patients in a class, under 10" in line for line in lines)
    assert (
        f"wrote {runs[0]} (predictions.csv: a row a case and test input; scores.json: all figures)" in lines
    )
    assert lines[-1] == f"next: cmrbias evaluate {runs[0]} --input all"
    assert len((runs[0] / "predictions.csv").read_text().splitlines()) == 5
    assert list(json.loads((runs[0] / "scores.json").read_text())["inputs"]) == ["full"]


def test_what_a_call_replaced_is_a_line(cli: Callable[..., Result], runs: list[Path], tmp_path: Path) -> None:
    ok(cli(runs[0], "--input", "heart", "--input", "full", "--out", tmp_path))
    said = f"{tmp_path / 'scores.json'}: results of an earlier call were replaced by this one's: input full"
    assert any(line.startswith(said) for line in ok(cli(runs[0], "--input", "heart", "--out", tmp_path)))


def test_progress_in_a_pipe_is_a_line_a_test_input(cli: Callable[..., Result], runs: list[Path]) -> None:
    said = cli(runs[1]).stderr.splitlines()
    assert [line.split(",")[0] for line in said] == ["input heart: 4 cases", "input full: 4 cases"]


def test_flags_reach_the_evaluation(
    cli: Callable[..., Result], runs: list[Path], small_cohort: Path, tmp_path: Path
) -> None:
    arguments = ["--cohort", small_cohort, "--split", "train", "--allow-seen", "--label", "label"]
    arguments += ["--label-map", "A=A,B=B", "--seed", "4", "--precision", "bf16", "--device", "cpu"]
    arguments += ["--input", "all", "--input", "swap-self", "--against", runs[1], "--out", tmp_path / "out"]
    lines = ok(cli(runs[0], *arguments))
    stored = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert stored["tested"]["split"] == "train"
    assert stored["tested"]["label map"] == {"A": "A", "B": "B"}
    assert stored["bootstrap"] == {"resamples": 20, "seed": 4}
    assert stored["precision"] == "bf16"
    assert list(stored["inputs"])[-1] == "swap-self"
    assert [each["input"] for each in stored["against"]].count("BG-gap") == 1
    assert len(stored["against"]) == 7
    assert stored["bg_gap"]["cases"] == 8
    titled = [line for line in lines if line.startswith(("input ", "BG-gap", "less ", "all test inputs"))]
    assert len(titled) == 6 + 1 + 1 + 7
    assert all(line.count("8 of 8 patients were SEEN in training (--allow-seen)") == 2 for line in titled)


def test_the_run_of_another_program_is_told(cli: Callable[..., Result], tmp_path: Path) -> None:
    for text in ('{"run": 1}', "[1]", "{"):
        (tmp_path / "run.json").write_text(text)
        result = cli(tmp_path)
        assert f"Error: {tmp_path}: is not a run of cmrbias: its run.json" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "train"], "has seen 8 of 8 test patients in training (p0, p1, p2, ...)"),
        (["--split", "val"], "unknown split 'val'"),
        (["--input", "swap"], "unknown test input 'swap': did you mean 'swap-self'"),
        (["--label-map", "A"], "--label-map: expected KEY=VALUE, got 'A'"),
        (["--label-map", "A=A,A=B"], "--label-map: class 'A' is there twice"),
        (["--cohort", "nowhere"], "nowhere is not a cohort"),
        (["--against", "nowhere"], "nowhere: not a run"),
        (["--out", f"{__file__}/ev"], f"{__file__}/ev: not writable: {__file__} is a file"),
        (["--out", "/proc/ev"], "/proc/ev: not writable: nothing can be made in /proc"),
    ],
)
def test_wrong_input_is_one_line(
    arguments: list[str], message: str, cli: Callable[..., Result], runs: list[Path]
) -> None:
    result = cli(runs[0], *arguments)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
