"""``cmrbias plugins``: from metadata alone, loaded, as JSON, with faults and clashes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
from click.testing import CliRunner

from cmrbias import hookimpl
from cmrbias.cli.main import make_cli
from cmrbias.plugins import Origin, Plugins, plugin_manager

SCRIPT = str(Path(sys.executable).parent / "cmrbias")


@pytest.fixture
def plugins() -> Plugins:
    made = plugin_manager([])
    clashing, broken = types.ModuleType("clashing"), types.ModuleType("broken")
    clashing.register_methods = hookimpl(lambda register: register("moco", object))  # type: ignore[attr-defined]
    broken.register_pairings = hookimpl(lambda register: 1 / 0)  # type: ignore[attr-defined]
    made.add(clashing, Origin("clashing", "dist-c", "1"))
    made.add(broken, Origin("broken", "dist-b", "1"))
    return made


def run(plugins: Plugins | None, *arguments: str) -> str:
    cli = make_cli(lambda: plugins or plugin_manager([]))
    result = CliRunner().invoke(cli, ["plugins", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_list_load_names_what_is_registered_and_faults_once(plugins: Plugins) -> None:
    output = run(plugins, "list", "--load")
    assert "methods: simclr, byol" in output
    assert output.count("ZeroDivisionError") == 1
    assert "fault in broken (dist-b), register_pairings" in output
    assert "clash: method 'moco': neither of cmrbias, dist-c is used" in output


def test_list_as_json(plugins: Plugins) -> None:
    content = json.loads(run(plugins, "list", "--load", "--json"))
    assert [f["plugin"] for f in content["faults"]] == ["broken"]
    assert {"name": "resnet18", "distribution": "cmrbias"} in content["registered"]["backbones"]


def test_show_prints_options_and_recipes() -> None:
    output = run(None, "show", "moco")
    assert "method moco" in output
    assert "queue" in output
    assert "recipe quick: " in output
    assert "recipe paper: " in output
    assert "epochs=200" in output


def test_show_as_json_gives_types_defaults_and_help() -> None:
    (shown,) = json.loads(run(None, "show", "crop", "--json"))["registered"]
    scale = next(o for o in shown["options"] if o["name"] == "scale")
    assert (scale["type"], scale["default"]) == ("float,float", [0.08, 1.0])
    assert scale["help"]


def test_show_everything_that_ships_is_documented() -> None:
    content = json.loads(run(None, "show", "cmrbias", "--json"))["registered"]
    assert len(content) > 15
    for thing in content:
        assert thing["summary"], thing["name"]
        assert all(option["help"] for option in thing["options"]), thing["name"]


def test_show_a_broken_plugin_prints_its_traceback(plugins: Plugins) -> None:
    assert "ZeroDivisionError: division by zero" in run(plugins, "show", "broken")


def test_show_an_unknown_or_clashing_name_is_one_line(plugins: Plugins) -> None:
    cli = make_cli(lambda: plugins)
    result = CliRunner().invoke(cli, ["plugins", "show", "simclrr"])
    assert result.exit_code == 1
    assert "did you mean 'simclr'" in result.output
    result = CliRunner().invoke(cli, ["plugins", "show", "moco"])
    assert "offered by cmrbias (builtin) and dist-c (clashing)" in result.output


def test_the_example_plugin_is_found_by_its_entry_point_and_trains(
    example_plugin: Path, small_cohort: Path, tmp_path: Path
) -> None:
    environment = dict(os.environ) | {"PYTHONPATH": str(example_plugin)}

    def script(*arguments: str) -> str:
        done = subprocess.run(
            [SCRIPT, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "simsiam  cmrbias-example 0.1.0" in script("plugins", "list")
    assert "simsiam (cmrbias-example)" in script("plugins", "list", "--load")
    train = [
        "pretrain",
        "--method",
        "simsiam",
        "--cohort",
        str(small_cohort),
        "--epochs",
        "1",
        "--batch",
        "8",
    ]
    assert "wrote runs/simsiam" in script(*train, "--backbone", "resnet18", "--image-size", "32")
    info = json.loads((tmp_path / "runs" / "simsiam" / "run.json").read_text())
    assert {
        "kind": "methods",
        "name": "simsiam",
        "distribution": "cmrbias-example",
        "version": "0.1.0",
    } in info["plugins"]
    assert (
        "unknown method 'simsiam'" in CliRunner().invoke(make_cli(lambda: plugin_manager([])), train).output
    )
