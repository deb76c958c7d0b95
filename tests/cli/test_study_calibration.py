"""``cmrbias study calibration`` from phantoms to files, with a tiny network, stopped and gone on with."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cmrbias.cli.main import make_cli
from cmrbias.plugins import Plugins
from cmrbias.studies.calibration import design


@pytest.fixture
def call(tiny_plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command with a preset that takes seconds."""
    tiny = design.Preset({0.0: 1, 1.0: 1}, 40, 32, (1, 1, 1), 8, 20)
    monkeypatch.setitem(design.PRESETS, "tiny", tiny)
    monkeypatch.setattr(design, "NETWORK", ("--backbone", "tiny"))
    kept = {name: design.MODELS[name] for name in ("heart", "SimCLR + probe")}
    monkeypatch.setattr(design, "MODELS", kept)

    def run(*arguments: object) -> Result:
        given = ["study", "calibration", "--preset", "tiny", *map(str, arguments)]
        return CliRunner().invoke(make_cli(lambda: tiny_plugins), given)

    return run


def test_from_nothing_to_files_and_again(call: Callable[..., Result], tmp_path: Path) -> None:
    out = tmp_path / "study"
    result = call("--out", out, "--cue", "inside")
    assert result.exit_code == 0, result.output + str(result.exception)
    assert "inside: this cue lies in the heart: overlap with the heart must take it" in result.stdout
    assert "what is left takes about" in result.stderr
    assert "too few replicates for error rates: 1 at strength 0, at least 20 needed" in result.stdout
    with (out / "calibration.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["strength"], r["model"], r["shown"]) for r in rows] == [
        (strength, *named)
        for strength in ("0.0", "1.0")
        for named in (("heart", "full"), ("heart", "heart"), ("SimCLR + probe", "full"))
    ]
    assert all(float(row["reliance"]) > 0 for row in rows)
    assert float(rows[3]["cramers_v"]) == pytest.approx(1)
    stored = json.loads((out / "calibration.json").read_text())
    assert stored["settings"]["replicates"] == {"0": 1, "1": 1}
    assert (out / "calibration.png").read_bytes().startswith(b"\x89PNG")
    assert not list(out.rglob("*.pt"))

    before = (out / "calibration.csv").read_bytes()
    again = call("--out", out, "--cue", "inside")
    assert again.exit_code == 0, again.output
    assert "cells to compute" not in again.stderr
    assert (out / "calibration.csv").read_bytes() == before


def test_a_plan_is_printed_and_nothing_computed(call: Callable[..., Result], tmp_path: Path) -> None:
    result = call("--out", tmp_path, "--plan", "--cue", "texture")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0, result.output
    assert len(lines) == 2 * (3 + 1 + 2 + 5 + 3)  # phantoms, encoder, classifiers, evaluations, maps
    assert all(line.startswith("cmrbias study cell ") for line in lines)
    assert "--cue texture" in lines[0]
    assert not (tmp_path / "calibration.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cue", "nothing"], "unknown cue 'nothing'"),
        (["--preset", "huge"], "unknown preset 'huge'"),
        (["--cut", "2"], "0<=x<=1"),
        (["--cut", "nan"], "expected a finite number"),
    ],
)
def test_wrong_input(call: Callable[..., Result], tmp_path: Path, arguments: list[str], said: str) -> None:
    result = call("--out", tmp_path / "none", *arguments)
    assert result.exit_code != 0
    assert said in result.output
    assert not (tmp_path / "none").exists()
