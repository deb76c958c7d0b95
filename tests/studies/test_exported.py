"""A phantom in ACDC's layout, imported as a hospital would import ACDC, in place of a study's ACDC."""

from __future__ import annotations

import csv
from pathlib import Path

from click.testing import CliRunner

from cmrbias.cli.main import make_cli
from cmrbias.plugins import Plugins

CLASSES = ("NOR", "DCM", "HCM", "MINF", "RV")
STUDY = f"""
extends = "paper"

[tables.mine]
title = "Overlap by diagnosis, ACDC"
columns = ["Full", "Seg"]
rows = ["ACDC"]
by-class = {list(CLASSES)}

[presets.tiny]
train = {{ backbone = "tiny", image-size = 32, batch = 4, epochs = 1 }}
evaluate = {{ resamples = 20 }}
saliency = {{ resamples = 20 }}
"""


def test_an_exported_phantom_stands_in_for_acdc(tmp_path: Path, tiny_plugins: Plugins) -> None:
    def cmrbias(*words: object) -> str:
        result = CliRunner().invoke(make_cli(lambda: tiny_plugins), [str(word) for word in words])
        assert result.exit_code == 0, result.output + str(result.exception)
        return result.output

    phantom, layout, cohort, out = (tmp_path / name for name in ("phantom", "ACDC", "acdc", "out"))
    cmrbias("cohort", "phantom", phantom, "--classes", "acdc", "--patients", 20, "--image-size", 32)
    cmrbias("cohort", "export", "acdc", phantom, layout)
    assert "20 cases of 20 patients" in cmrbias("cohort", "import", "acdc", layout, cohort)
    (tmp_path / "my.toml").write_text(STUDY)
    cmrbias("study", "run", tmp_path / "my.toml", "--preset", "tiny", "--acdc", cohort, "--out", out)

    with (out / "mine-numbers.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["what"] == "own test input" and row["low"]]
    assert {row["class"] for row in rows if row["measure"] == "AKS"} == set(CLASSES)
    assert all(0 <= float(row["value"]) <= 1 for row in rows if row["value"])
    assert not any((out / "cells").glob("cohort-*"))  # no phantom in its place
    text = (out / "report.html").read_text()
    assert "<dt>source</dt><dd>given</dd>" in text
    assert str(tmp_path) not in text
