"""``cohort import``: a subcommand for each registered reader, with its options as flags."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cmrbias.cli.main import make_cli
from cmrbias.cohorts.case import Case, Reader, SourceError
from cmrbias.cohorts.format import Cohort
from cmrbias.hookspecs import hookimpl
from cmrbias.options import option
from cmrbias.plugins import Origin, plugin_manager


@dataclass(frozen=True)
class FakeOptions:
    """As a plugin would write them."""

    bad: int = option(0, "cases that cannot be read", minimum=0)
    plane: Literal["short", "long"] = option("short", "which plane")


class FakeReader(Reader):
    """Make up cases, as many as the folder has files."""

    Options = FakeOptions
    source = "folder of anything"
    structures = ("LV",)
    frames = ("F",)
    targets = {"label": {"kind": "class"}}  # noqa: RUF012

    def read(self, source: Path) -> Iterator[Case | SourceError]:
        for number, file in enumerate(sorted(source.iterdir())):
            if number < self.options.bad:
                yield SourceError(f"{file.name}: truncated")
                continue
            image = np.random.default_rng(number).integers(1, 99, (1, 20, 20))
            yield Case(
                case=file.name,
                patient=f"{file.name}-{self.options.plane}",
                frames={"F": image},
                spacing=(1.5, 1.5),
                columns={"label": "AB"[number % 2]},
                notes=["made up"],
            )


@dataclass(frozen=True)
class ClashingOptions:
    """One option has the name of a flag of the preparation."""

    size: int = option(3, "of something else")


class ClashingReader(FakeReader):
    """Clash with the preparation."""

    Options = ClashingOptions


def cmrbias(*arguments: object) -> Result:
    @hookimpl
    def register_readers(register) -> None:
        register("fake", FakeReader)
        register("clashing", ClashingReader)

    def plugins():
        found = plugin_manager(entry_points=[])
        found.add(SimpleNamespace(register_readers=register_readers), Origin("fake", "cmrbias-fake", "1.0"))
        return found

    return CliRunner().invoke(make_cli(plugins), [str(a) for a in ("cohort", "import", *arguments)])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for number in range(10):
        (folder / f"file{number}").touch()
    return folder


def test_help_lists_readers_and_flags() -> None:
    text = cmrbias("--help").output
    assert "fake" in text
    assert "Make up cases, as many as the folder has files." in text
    assert "acdc" in text
    text = cmrbias("fake", "--help").output
    for expected in (
        "SRC is a folder of anything",
        "--bad",
        "--plane [short|long]",
        "--scaling",
        "--keep-ids",
    ):
        assert expected in text


def test_an_import_says_what_it_wrote_and_what_is_next(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = cmrbias("fake", source, out, "--size", 32, "--plane", "long", "--keep-ids", "--name", "mine")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        f"wrote {out}: 10 cases of 10 patients (test 3, train 7)",
        "  label: A 5, B 5",
        "  masks: none",
        "  note (10 cases): made up",
        f"next: cmrbias cohort check {out}   or   cmrbias cohort show {out}",
    ]
    cohort = Cohort.open(out)
    assert cohort.image_shape == (32, 32)
    assert cohort.meta["name"] == "mine"
    assert cohort.meta["provenance"]["reader"] == "fake"
    assert cohort.column("patient")[0] == "file0-long"


def test_bad_cases_end_with_one_line_each_and_status_1(source: Path, tmp_path: Path) -> None:
    result = cmrbias("fake", source, tmp_path / "out", "--bad", 2)
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "Error: 2 of 10 cases cannot be used, nothing was written; put them right, or leave them out with "
        "--skip-bad:",
        "  file0: truncated",
        "  file1: truncated",
    ]
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


def test_left_out_cases_are_listed(source: Path, tmp_path: Path) -> None:
    result = cmrbias("fake", source, tmp_path / "out", "--bad", 2, "--skip-bad")
    assert result.exit_code == 0, result.output
    assert "left out 2 cases:\n  file0: truncated\n  file1: truncated\n" in result.output
    assert f"salt and map, for you alone: {tmp_path / 'out.ids.json'}" in result.output


def test_of_many_left_out_cases_the_file_that_lists_all_is_named(tmp_path: Path) -> None:
    source = tmp_path / "many"
    source.mkdir()
    for number in range(31):
        (source / f"file{number:02d}").touch()
    result = cmrbias("fake", source, tmp_path / "out", "--bad", 30, "--skip-bad")
    assert result.exit_code == 0, result.output
    assert "1 case of 1 patient (" in result.output
    ids = tmp_path / "out.ids.json"
    assert f"  file19: truncated\n  ... and 10 more, all in {ids}\n" in result.output
    assert len(json.loads(ids.read_text())["left_out"]) == 30


def test_the_salt_of_an_earlier_import(source: Path, tmp_path: Path) -> None:
    for name, more in (("a", []), ("b", ["--salt-from", tmp_path / "a.ids.json"]), ("c", [])):
        assert cmrbias("fake", source, tmp_path / name, *more).exit_code == 0
    first, same, other = (Cohort.open(tmp_path / name).column("patient").tolist() for name in "abc")
    assert first == same
    assert not set(first) & set(other)
    result = cmrbias("fake", source, tmp_path / "d", "--keep-ids", "--salt-from", tmp_path / "a.ids.json")
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["fak", "x", "y"], 2, "unknown reader 'fak': did you mean 'fake'?"),
        (["fake", "x"], 2, "Missing argument 'OUT'"),
        (["fake", "absent", "y"], 1, "absent: there is no such file or folder"),
        (["fake", "x", "y", "--plane", "diagonal"], 2, "'short', 'long'"),
        (["fake", "x", "y", "--split", "70"], 1, "--split: expected TRAIN/TEST in percent"),
        (["fake", "x", "y", "--mask-structures", "LA"], 1, "option 'mask_structures': expected RV|MYO|LV"),
        (
            ["clashing", "x", "y"],
            1,
            "reader 'clashing' of cmrbias-fake: the option 'size' has",
        ),
    ],
)
def test_wrong_input(arguments, status, message) -> None:
    result = cmrbias(*arguments)
    assert (result.exit_code, message in result.output) == (status, True), result.output
