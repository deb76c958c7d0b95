"""The README cannot rot: its commands, hooks and files exist, its plugin runs."""

from __future__ import annotations

import json
import re
import sys
import types
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import click
import pytest
import torch
from click.testing import CliRunner

import cmrbias
from cmrbias import hookspecs, ops
from cmrbias.cli.main import make_cli
from cmrbias.options import build
from cmrbias.plugins import plugin_manager
from cmrbias.studies.definition import read

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_first_two_commands_are_what_ci_runs() -> None:
    first, second = (block.strip() for block in blocks("sh")[:2])
    start = "python3 -m venv .venv && . .venv/bin/activate && pip install -c constraints.txt "
    assert first == start + '".[imaging,report]" && cmrbias pretrain --method moco'
    assert second == start + '".[imaging,report,test]" && python -m pytest'


def test_every_command_and_flag_in_it_exists() -> None:
    lines = [line.split("#")[0].split() for block in blocks("sh")[2:] for line in block.splitlines()]
    commands = [words[1:] for words in lines if words and words[0] == "cmrbias"]
    assert len(commands) >= 8
    for words in commands:
        cli: click.Command = make_cli(lambda: plugin_manager([]))
        context = click.Context(cli, obj=lambda: plugin_manager([]))
        while isinstance(cli, click.Group):
            found = cli.get_command(context, words[0])
            assert found is not None, words
            cli, words = found, words[1:]
            context = click.Context(found, parent=context, obj=context.obj)
        known = {flag for parameter in cli.params for flag in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, words


def test_every_hook_is_in_it() -> None:
    hooks = [name for name in vars(hookspecs) if name.startswith(("register_", "on_"))]
    assert len(hooks) == 11
    assert [name for name in hooks if f"`{name}`" not in README] == []


def test_every_file_it_names_exists() -> None:
    tree = README.split("## Where things are")[1].split("```")[1]
    for name in (
        "hookspecs.py",
        "api.py",
        "builtin.py",
        "plugins.py",
        "registry.py",
        "scores.py",
        "draws.py",
    ):
        assert name in tree
        assert (ROOT / "cmrbias" / name).is_file()
    for folder in re.findall(r"(\w+)/ ", tree):
        assert any((ROOT / parent / folder).is_dir() for parent in ("", "cmrbias", "csrc")), folder


def test_its_plugin_is_a_whole_one() -> None:
    module = types.ModuleType("my_module")
    sys.modules["my_module"] = module
    try:
        exec(blocks("python")[0], vars(module))
        plugins = plugin_manager([EntryPoint("invert", "my_module", "cmrbias")])
        invert = plugins.registry("augmentations").get("invert")
    finally:
        del sys.modules["my_module"]
    images = torch.rand(2, 1, 3, 3)
    options = build(invert.Options, {"amount": "1"}, "augmentation 'invert'")
    assert torch.allclose(invert(options, 3).apply(images, None, {})[0], 1 - images)


def test_its_study_can_be_read(tmp_path: Path) -> None:
    (text,) = [block for block in blocks("toml") if "extends" in block]
    (tmp_path / "my.toml").write_text(text)
    study = read(tmp_path / "my.toml")
    assert list(study.tables) == ["mine"]
    assert study.models["SimSiam"].pretrain["method"] == "simsiam"
    assert set(study.tables["mine"].columns) <= set(study.models)


def test_its_ten_lines_of_python_do_what_the_commands_do(
    small_cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in ("finetune", "probe"):
        flags = f"--cohort {small_cohort} --backbone resnet10 --image-size 32 --batch 4 --epochs 1".split()
        result = CliRunner().invoke(make_cli(lambda: plugin_manager([])), [command, *flags])
        assert result.exit_code == 0, result.output
    (code,) = [block for block in blocks("py") if "check_saliency" in block]
    assert len([line for line in code.splitlines() if line]) <= 10
    capsys.readouterr()
    given: dict[str, Any] = {}
    exec(code, given)
    printed = capsys.readouterr().out
    stored = json.loads((tmp_path / "runs" / "finetune" / "scores.json").read_text())
    auc = given["evaluation"].scores["full"].auc
    assert f"{auc.macro.sentence}\n" in printed
    assert stored["inputs"]["full"]["auc"]["macro"]["value"] == auc.macro.value
    assert f"runs/probe BG-gap: {given['evaluation'].comparisons[-1].pair.auc.macro.estimate}" in printed
    assert printed.count("layercam") > 1
    checks = [line.split(":")[0] for line in printed.splitlines()[-5:]]
    assert set(checks) <= {"passes", "fails", "not assessed"}


def test_every_public_name_is_in_it() -> None:
    section = README.split("### From Python")[1].split("\n#")[0]
    assert [name for name in cmrbias.__all__ if name != "hookimpl" and name not in section] == []


def test_its_scores_of_maps_can_be_had() -> None:
    (code,) = [block for block in blocks("py") if "ops.gradcam" in block]
    generator = torch.Generator().manual_seed(0)
    given = {
        "activations": torch.rand(2, 8, 7, 7, generator=generator),
        "gradients": torch.rand(2, 8, 7, 7, generator=generator),
        "masks": torch.rand(2, 56, 56, generator=generator) < 0.1,
    }
    exec(code, given)
    assert given["scores"].aks(given["found"]).isfinite().all()
    assert torch.equal(ops.overlap(given["maps"], given["projected"]).inside, given["found"].inside)


COMMANDS = ["", "cohort", "cohort phantom", "cohort import", "cohort import dicom", "cohort check"]
COMMANDS += [
    "cohort import table",
    "cohort show",
    "cohort export",
    "pretrain",
    "finetune",
    "probe",
    "evaluate",
    "plugins",
]
COMMANDS += ["study", "study all", "study figure2", "study run", "study plan", "study cell"]
COMMANDS += ["saliency", "plugins show", "benchmark", "benchmark saliency", "benchmark swap", "benchmark auc"]


@pytest.mark.parametrize("words", COMMANDS)
def test_help_of_every_command_prints(words: str) -> None:
    result = CliRunner().invoke(make_cli(lambda: plugin_manager([])), [*words.split(), "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.output
