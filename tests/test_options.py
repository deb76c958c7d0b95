"""Options from frozen dataclasses: what is parsed, what is refused, what is described."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmrbias.errors import CmrbiasError
from cmrbias.options import build, describe, option, options, options_of, pairs


@dataclass(frozen=True)
class Everything:
    queue: int = option(1024, "keys kept", minimum=1)
    rate: float = option(0.1, "a rate", minimum=0, maximum=1)
    on: bool = option(False, "a switch")
    fill: Literal["donor", "mean"] = option("mean", "a choice")
    scale: tuple[float, float] = option((0.1, 1.0), "a pair")
    names: tuple[str, ...] = option((), "a list")
    limit: int | None = option(None, "maybe a number")
    folder: Path = option(Path("."), "a path")
    exclude_own_patient: bool = option(False, "dashes and underscores are the same")


def make(**values: Any) -> Everything:
    return build(Everything, {k.replace("_", "-"): v for k, v in values.items()}, "method 'x'")


def test_strings_become_the_field_types() -> None:
    made = make(
        queue="7", rate="0.5", on="yes", fill="donor", scale="0.2,0.9", names="a,b", limit="3", folder="x"
    )
    assert made == Everything(7, 0.5, True, "donor", (0.2, 0.9), ("a", "b"), 3, Path("x"))
    assert make(limit="none").limit is None
    assert make(exclude_own_patient="true").exclude_own_patient is True


def test_values_of_the_right_type_pass_as_they_are() -> None:
    assert make(scale=[0.2, 0.9], queue=5, rate=1, on=True, names=["a"]) == Everything(
        5, 1.0, True, scale=(0.2, 0.9), names=("a",)
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"queue": "0"}, "method 'x': option 'queue': expected at least 1, got 0"),
        ({"queue": "many"}, "method 'x': option 'queue': expected int, got 'many'"),
        ({"queue": "1.5"}, "option 'queue': expected int, got '1.5'"),
        ({"rate": "1.5"}, "option 'rate': expected 0 to 1, got 1.5"),
        ({"rate": "nan"}, "option 'rate': expected 0 to 1, got nan"),
        ({"scale": "0.1,nan"}, "option 'scale': expected a finite number, got nan"),
        ({"scale": "-inf,1"}, "option 'scale': expected a finite number, got -inf"),
        ({"on": "maybe"}, "option 'on': expected bool, got 'maybe'"),
        ({"fill": "none"}, "option 'fill': expected donor|mean, got 'none'"),
        ({"scale": "0.1"}, "option 'scale': expected float,float, got '0.1'"),
    ],
)
def test_wrong_values_are_named_with_what_was_expected(values: dict[str, str], expected: str) -> None:
    with pytest.raises(CmrbiasError) as caught:
        make(**values)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_option_lists_the_nearest_and_all_with_types_and_defaults() -> None:
    with pytest.raises(
        CmrbiasError, match=r"unknown option 'queues'.*did you mean.*queue \(int, default 1024\)"
    ):
        make(queues="3")


def test_a_required_option_is_asked_for() -> None:
    @dataclass(frozen=True)
    class Needs:
        name: str = option(help="a name")

    with pytest.raises(CmrbiasError, match="option 'name' is required"):
        build(Needs, {}, "reader 'r'")
    assert describe(Needs)[0].required


def test_describe_names_types_defaults_and_help() -> None:
    first, *_, last = describe(Everything)
    assert (first.name, first.type, first.default, first.help) == ("queue", "int", 1024, "keys kept")
    assert last.name == "exclude-own-patient"
    assert [o.type for o in describe(Everything)][3:7] == ["donor|mean", "float,float", "str,...", "int|none"]


def test_functions_carry_options_too() -> None:
    @options(Everything)
    def network() -> None:
        """A function."""

    assert options_of(network) is Everything
    with pytest.raises(TypeError, match="frozen dataclass"):
        options_of(type("Bad", (), {"Options": 3}))


@given(st.dictionaries(st.text("abc-", min_size=1), st.text("xyz=1 ")))
def test_pairs_split_at_the_first_equals_sign(values: dict[str, str]) -> None:
    assert pairs([f"{k}={v}" for k, v in values.items()], "-o") == values


@pytest.mark.parametrize("text", ["novalue", "=3", ""])
def test_pairs_refuse_what_is_no_pair(text: str) -> None:
    with pytest.raises(CmrbiasError, match="-o: expected KEY=VALUE"):
        pairs([text], "-o")
