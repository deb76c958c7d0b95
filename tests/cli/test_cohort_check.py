"""``cohort check`` prints a table that a person can read, or JSON, and its status says whether to worry."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from click.testing import CliRunner, Result

from cmrbias.cli.main import make_cli
from cmrbias.plugins import plugin_manager


def cmrbias(*arguments: object) -> Result:
    cli = make_cli(lambda: plugin_manager(entry_points=[]))
    return CliRunner().invoke(cli, ["cohort", "check", *map(str, arguments)])


def test_the_table(small_cohort: Path) -> None:
    """Bright and dark hearts by class: the check says that brightness tells the label."""
    result = cmrbias(small_cohort)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0] == f"{small_cohort}: 12 cases of 12 patients"
    assert lines[2:5] == ["label  test  train", "A         2      4", "B         2      4"]
    assert lines[6:9] == [
        "masks  complete  incomplete  empty",
        "ED           12           0      0",
        "ES           12           0      0",
    ]
    assert " ".join(lines[10].split()) == "heart's intensity AUC 99 % of chance below patients"
    assert lines[11].startswith("label, ED, mean    1.000")
    assert "warning: the mean of the heart's intensities in ED tells 'label': AUC 1.000" in result.output
    assert lines[-1].startswith(f"next: cmrbias cohort show {small_cohort} ")


def test_json_holds_the_same(small_cohort: Path) -> None:
    report = json.loads(cmrbias(small_cohort, "--json").output)
    assert report["cases"] == 12
    assert report["errors"] == 0
    assert report["balance"]["label"]["A"] == {"test": 2, "train": 4}
    assert {c["measure"] for c in report["context"]} == {"mean", "sd"}


def test_an_error_gives_status_1(small_cohort: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(small_cohort, broken)
    (broken / "images-00000.npy").unlink()
    result = cmrbias(broken)
    assert result.exit_code == 1
    assert "error: " in result.output
    assert "images-00000.npy: this shard is missing" in result.output
    assert result.output.splitlines()[-1] == (
        f"next: put the errors right, then cmrbias cohort check {broken}"
    )
    assert cmrbias(broken, "--json").exit_code == 1


def test_what_is_no_cohort(tmp_path: Path) -> None:
    result = cmrbias(tmp_path)
    assert result.exit_code == 1
    assert "is not a cohort" in result.output
