"""Turns an options dataclass into click options, and their values back into the dataclass.

@click.command()
@flags(PrepareOptions)
def command(**values):
    prepare = take(PrepareOptions, values, "preparation")
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from cmrbias.options import build, describe, type_name

T = TypeVar("T")


def flags(cls: type) -> Callable[[T], T]:
    """Returns a decorator that gives a click command one option for each field of ``cls``."""

    def decorate(command: T) -> T:
        for parameter in reversed(click_options(cls)):
            _attach(command, parameter)
        return command

    return decorate


def click_options(cls: type) -> list[click.Option]:
    """Returns one click option for each field of an options dataclass, in the order of its fields.

    ``contours`` becomes ``--contours``; booleans become ``--x/--no-x``, Literals choices, tuples
    comma-separated lists (``tuple[x, ...]`` may also be given several times); help text and range
    come from the field (see ``options.option``).
    """
    hints = typing.get_type_hints(cls)
    ranges = {f.name: f.metadata for f in dataclasses.fields(cls)}
    found = []
    for info in describe(cls):
        name = info.name.replace("-", "_")
        hint, flag = _without_none(hints[name]), f"--{info.name}"
        common: dict[str, Any] = {"help": info.help, "required": info.required}
        if not info.required:
            common["default"] = info.default
        if hint is bool:
            flag = f"{flag}/--no-{info.name}"
        elif _is_list(hint):
            common |= {"multiple": True, "callback": _split_all, "type": str}
        else:
            common["type"] = _click_type(hint, ranges[name].get("minimum"), ranges[name].get("maximum"))
        if typing.get_origin(hint) is tuple:
            common["metavar"] = type_name(hint).upper()
        found.append(click.Option([flag, name], **common))
    return found


def take(cls: type[T], values: dict[str, Any], owner: str) -> T:
    """Builds ``cls`` from the values of a command's parameters, taking its fields out of ``values``.

    Raises:
        CmrbiasError: a value of the wrong type or out of range, named with ``owner``.
    """
    mine = {f.name: values.pop(f.name) for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    return build(cls, mine, owner)


def _attach(command: Any, parameter: click.Option) -> None:
    """Adds a parameter as click's own decorators do: to a command, or to a function not yet one."""
    if isinstance(command, click.Command):
        command.params.insert(0, parameter)
    else:
        command.__click_params__ = [*getattr(command, "__click_params__", []), parameter]


def _without_none(hint: Any) -> Any:
    """``int | None`` -> ``int``: an optional flag that is not given is None."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        inner = [a for a in typing.get_args(hint) if a is not type(None)]
        return inner[0] if len(inner) == 1 else str
    return hint


def _is_list(hint: Any) -> bool:
    return typing.get_origin(hint) is tuple and Ellipsis in typing.get_args(hint)


def _split_all(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """``--x a,b --x c`` as ``("a", "b", "c")``: a second flag adds, it does not replace the first."""
    return tuple(part for value in values for part in value.split(",") if part)


def _comma_list(value: str | tuple[Any, ...]) -> tuple[Any, ...]:
    """``a,b`` as a tuple of strings; what the parts may be is checked by ``options.build``."""
    return tuple(value.split(",")) if isinstance(value, str) else value


def _click_type(hint: Any, minimum: Any, maximum: Any) -> Any:
    if typing.get_origin(hint) is Literal:
        return click.Choice([str(choice) for choice in typing.get_args(hint)])
    if typing.get_origin(hint) is tuple:
        return _comma_list
    if hint is Path:
        return click.Path(path_type=Path)
    if hint is int and (minimum, maximum) != (None, None):
        return click.IntRange(minimum, maximum)
    if hint is float and (minimum, maximum) != (None, None):
        return click.FloatRange(minimum, maximum)
    return hint
