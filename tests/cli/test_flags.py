"""An options dataclass becomes click options that say and check what the dataclass says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click
import pytest
from click.testing import CliRunner

from cmrbias.cli.flags import click_options, flags, take
from cmrbias.errors import CmrbiasError
from cmrbias.options import option


@dataclass(frozen=True)
class Everything:
    """One field of each type."""

    count: int = option(3, "how many", minimum=1)
    share: float = option(0.5, "of what", minimum=0, maximum=1)
    kind: Literal["min-max", "z-score"] = option("min-max", "which scaling")
    keep: bool = option(False, "keep it")
    only: tuple[Literal["RV", "LV"], ...] = option((), "these alone")
    window: tuple[float, float] = option((1.0, 99.0), "two percentiles")
    where: Path | None = option(None, "a folder")
    limit: int | None = option(None, "at most", minimum=0)
    free_text: str = option("x", "any text")


@dataclass(frozen=True)
class Needed:
    """A field without a default."""

    label: str = option(help="what it is called")


def call(*arguments: str, cls: type = Everything) -> tuple[Any, dict[str, Any]]:
    """Runs a command with ``cls``'s flags; returns the built options and what was left."""
    seen: list[Any] = []

    @click.command(context_settings={"show_default": True})
    @click.argument("src")
    @flags(cls)
    @click.option("--last")
    def command(**values: Any) -> None:
        seen.extend([take(cls, values, "test"), values])

    result = CliRunner().invoke(command, ["here", *arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return seen[0], seen[1]


def test_defaults_are_the_dataclass_s() -> None:
    assert call() == (Everything(), {"src": "here", "last": None})


def test_every_type_is_parsed() -> None:
    given = "--count 7 --share 1 --kind z-score --keep --only LV,RV --window 2,98 --limit 0 --free-text a,b"
    options, _ = call(*given.split(), "--where", "some/folder")
    assert options == Everything(
        7, 1.0, "z-score", True, ("LV", "RV"), (2.0, 98.0), Path("some/folder"), 0, "a,b"
    )
    assert call("--no-keep")[0].keep is False
    assert call("--only", "LV", "--only", "RV,LV")[0].only == ("LV", "RV", "LV")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--count", "0"], "x>=1"),
        (["--count", "many"], "not a valid integer"),
        (["--share", "1.5"], "0<=x<=1"),
        (["--kind", "log"], "'min-max', 'z-score'"),
        (["--limit", "-1"], "x>=0"),
        (["--nothing"], "No such option"),
    ],
)
def test_wrong_values_are_usage_errors(arguments, message) -> None:
    with pytest.raises(click.UsageError) as caught:
        call(*arguments)
    assert message in caught.value.format_message()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "LV,LA"], r"test: option 'only': expected RV\|LV,..., got \('LV', 'LA'\)"),
        (["--window", "2"], "option 'window': expected float,float"),
    ],
)
def test_wrong_lists_are_told_by_the_options(arguments, message) -> None:
    with pytest.raises(CmrbiasError, match=message):
        call(*arguments)


def test_a_field_without_a_default_is_required() -> None:
    with pytest.raises(click.MissingParameter, match="label"):
        call(cls=Needed)
    assert call("--label", "a", cls=Needed)[0] == Needed("a")


def test_help_tells_meaning_default_and_order() -> None:
    @click.command(context_settings={"show_default": True})
    @click.option("--first")
    @flags(Everything)
    @click.option("--last")
    def command(**values: Any) -> None:
        """Does nothing."""

    text = CliRunner().invoke(command, ["--help"]).output
    names = ["--first", *(f"--{o.name.replace('_', '-')}" for o in click_options(Everything)), "--last"]
    assert [text.index(name) for name in names] == sorted(text.index(name) for name in names)
    assert "RV|LV,..." in text
    assert "--keep / --no-keep" in text
    assert "[default: 3; x>=1]" in text
    assert "these alone" in text


def test_a_finished_command_can_get_flags_too() -> None:
    command = click.Command("made", callback=lambda **values: take(Everything, values, "made"))
    result = CliRunner().invoke(flags(Everything)(command), ["--count", "9"], standalone_mode=False)
    assert result.return_value == Everything(count=9)
