"""The command line as a whole: lazy, quick, one line for what a user can put right."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cmrbias.cli import main as cli
from cmrbias.cli.main import make_cli

SCRIPT = str(Path(sys.executable).parent / "cmrbias")


def installed_script(
    arguments: Sequence[str], cwd: Path, plugins: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ) | ({"PYTHONPATH": str(plugins)} if plugins else {})
    return subprocess.run([SCRIPT, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


def test_help_lists_commands_without_loading_them(tmp_path: Path) -> None:
    done = installed_script(["--help"], tmp_path)
    assert done.returncode == 0
    for name in ("cohort", "pretrain", "plugins"):
        assert f"  {name}" in done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["plugins", "list"]])
def test_start_up_imports_neither_torch_nor_numpy_with_a_plugin_installed(
    arguments: list[str], tmp_path: Path, example_plugin: Path
) -> None:
    code = (
        "import sys\nfrom cmrbias.cli.main import make_cli\n"
        f"try: make_cli()({arguments!r})\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print('HEAVY', sorted({'torch', 'numpy', 'cmrbias_example'} & set(sys.modules)))"
    )
    environment = dict(os.environ) | {"PYTHONPATH": str(example_plugin)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip().endswith("HEAVY []"), done.stdout + done.stderr


def test_an_unknown_command_suggests_the_nearest() -> None:
    result = CliRunner().invoke(make_cli(), ["pretrian"])
    assert result.exit_code == 2
    assert "did you mean 'pretrain'" in result.output


def test_the_version_is_the_distribution_s() -> None:
    result = CliRunner().invoke(make_cli(), ["--version"])
    assert importlib.metadata.version("cmrbias") in result.output


class _Distribution:
    name, version = "dist-c", "1.0"


def _offer(monkeypatch: pytest.MonkeyPatch, value: str, count: int = 1) -> None:
    entry_point = importlib.metadata.EntryPoint("extra", value, "cmrbias.commands")
    vars(entry_point)["dist"] = _Distribution
    monkeypatch.setattr(cli, "plugin_commands", lambda: {"extra": [entry_point] * count})


@click.command()
def extra() -> None:
    """A plugin's command."""
    click.echo("it ran")


def test_a_plugin_s_command_is_listed_from_metadata_and_loaded_when_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "a_command_plugin", sys.modules[__name__])
    _offer(monkeypatch, "a_command_plugin:extra")
    assert re.search(r"  extra +\(from dist-c\)", CliRunner().invoke(make_cli(), ["--help"]).output)
    assert CliRunner().invoke(make_cli(), ["extra"]).output == "it ran\n"


def test_a_broken_or_doubled_command_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    _offer(monkeypatch, "not_there:command")
    result = CliRunner().invoke(make_cli(), ["extra"])
    assert result.exit_code == 1
    assert "command 'extra' of dist-c 1.0 cannot be loaded: ModuleNotFoundError" in result.output
    _offer(monkeypatch, "not_there:command", count=2)
    result = CliRunner().invoke(make_cli(), ["extra"])
    assert "is offered by dist-c and dist-c" in result.output
    assert CliRunner().invoke(make_cli(), ["--help"]).exit_code == 0


def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def full() -> None:
        raise OSError(28, "No space left on device", "somewhere/last.pt")

    monkeypatch.setitem(sys.modules, "a_command_plugin", sys.modules[__name__])
    monkeypatch.setattr(sys.modules[__name__], "extra", full)
    _offer(monkeypatch, "a_command_plugin:extra")
    result = CliRunner().invoke(make_cli(), ["extra"])
    assert result.exit_code == 1
    assert "somewhere/last.pt: No space left on device" in result.output
    assert "Traceback" not in result.output
