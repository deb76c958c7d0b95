"""Options as frozen dataclasses: one documented field an option, read from ``key=value`` strings.

Everything that is registered (a method, an augmentation, a reader, ...) carries such a class:

    @dataclass(frozen=True)
    class Options:
        queue: int = option(1024, "keys kept as negatives", minimum=1)
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar

from cmrbias.errors import CmrbiasError, unknown

T = TypeVar("T")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def option(
    default: Any = dataclasses.MISSING,
    help: str = "",
    *,
    minimum: float | None = None,
    maximum: float | None = None,
) -> Any:
    """Returns a dataclass field with its help text and, for numbers, its inclusive range."""
    return dataclasses.field(default=default, metadata={"help": help, "minimum": minimum, "maximum": maximum})


@dataclasses.dataclass(frozen=True)
class NoOptions:
    """What is registered without options of its own."""


def options(cls: type) -> Callable[[T], T]:
    """Returns a decorator that gives a function its frozen dataclass of options as ``.Options``."""

    def mark(function: T) -> T:
        function.Options = cls  # type: ignore[attr-defined]
        return function

    return mark


def options_of(thing: Any) -> type:
    """Returns the options class that a registered class or function carries."""
    cls = getattr(thing, "Options", NoOptions)
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        raise TypeError(f"{thing!r}.Options must be a frozen dataclass, got {cls!r}")
    return cls


@dataclasses.dataclass(frozen=True)
class OptionInfo:
    """One option, for help texts and ``plugins show``."""

    name: str
    type: str
    default: Any
    help: str
    required: bool


def describe(cls: type) -> list[OptionInfo]:
    """Returns what an options class offers, in the order of its fields."""
    hints = typing.get_type_hints(cls)
    return [
        OptionInfo(
            f.name.replace("_", "-"),
            type_name(hints[f.name]),
            None if _required(f) else _default(f),
            f.metadata.get("help", ""),
            _required(f),
        )
        for f in dataclasses.fields(cls)
    ]


def build(cls: type[T], values: Mapping[str, Any], owner: str) -> T:
    """Builds ``cls`` from values by option name; strings are parsed by the field's type.

    Args:
        cls: a frozen dataclass.
        values: option name (``-`` and ``_`` are the same) to a string or a value of the right type.
        owner: who is named in errors, for example ``method 'moco'``.

    Raises:
        CmrbiasError: a name that does not exist, a value of the wrong type or out of range.
    """
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    kwargs = {}
    for given, value in values.items():
        name = given.replace("-", "_")
        if name not in fields:
            raise CmrbiasError(f"{owner}: {_unknown(cls, given)}")
        kwargs[name] = _checked(value, hints[name], fields[name], f"{owner}: option {given!r}")
    missing = [n for n, f in fields.items() if n not in kwargs and _required(f)]
    if missing:
        raise CmrbiasError(f"{owner}: option {missing[0].replace('_', '-')!r} is required")
    return cls(**kwargs)


def pairs(given: Iterable[str], flag: str) -> dict[str, str]:
    """Splits ``key=value`` strings, as given to ``flag``, into a dictionary."""
    result = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise CmrbiasError(f"{flag}: expected KEY=VALUE, got {text!r}")
        result[key] = value
    return result


def type_name(hint: Any) -> str:
    """Returns the short name of an option's type, as help texts print it."""
    if typing.get_origin(hint) is Literal:
        return "|".join(map(str, typing.get_args(hint)))
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        inner = [type_name(a) for a in typing.get_args(hint) if a is not type(None)]
        return "|".join(inner) + ("|none" if type(None) in typing.get_args(hint) else "")
    if typing.get_origin(hint) is tuple:
        return ",".join(type_name(a) for a in typing.get_args(hint) if a is not Ellipsis) + (
            ",..." if Ellipsis in typing.get_args(hint) else ""
        )
    return getattr(hint, "__name__", str(hint)).lower()


def _unknown(cls: type, name: str) -> CmrbiasError:
    details = {
        o.name: f"{o.type}, " + ("required" if o.required else f"default {o.default}") for o in describe(cls)
    }
    return unknown("option", name, details, details)


def _required(f: dataclasses.Field[Any]) -> bool:
    return f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING


def _default(f: dataclasses.Field[Any]) -> Any:
    return f.default_factory() if f.default_factory is not dataclasses.MISSING else f.default


def _checked(value: Any, hint: Any, f: dataclasses.Field[Any], where: str) -> Any:
    try:
        parsed = _parse(value, hint)
    except (ValueError, TypeError):
        raise CmrbiasError(f"{where}: expected {type_name(hint)}, got {value!r}") from None
    low, high = f.metadata.get("minimum"), f.metadata.get("maximum")
    for number in parsed if isinstance(parsed, tuple) else (parsed,):
        if isinstance(number, int | float) and not isinstance(number, bool):
            above = low is None or number >= low
            below = high is None or number <= high
            if not (above and below):  # also catches NaN
                span = f"at least {low}" if high is None else f"{low} to {high}"
                span = f"at most {high}" if low is None else span
                raise CmrbiasError(f"{where}: expected {span}, got {number}")
            if isinstance(number, float) and not math.isfinite(number):
                raise CmrbiasError(f"{where}: expected a finite number, got {number}")
    return parsed


def _parse(value: Any, hint: Any) -> Any:
    """Returns ``value`` as the type ``hint``; raises ValueError or TypeError if it is not one."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        for choice in arguments:
            if value == choice or (isinstance(value, str) and value == str(choice)):
                return choice
        raise ValueError
    if origin in (typing.Union, types.UnionType):
        if type(None) in arguments and (value is None or value in ("", "none")):
            return None
        for inner in arguments:
            if inner is not type(None):
                try:
                    return _parse(value, inner)
                except (ValueError, TypeError):
                    continue
        raise ValueError
    if origin is tuple:
        parts = value.split(",") if isinstance(value, str) else list(value)
        if arguments[-1] is Ellipsis:
            return tuple(_parse(p, arguments[0]) for p in parts if p != "")
        if len(parts) != len(arguments):
            raise ValueError
        return tuple(_parse(p, a) for p, a in zip(parts, arguments, strict=True))
    if hint is bool:
        if isinstance(value, str) and value.lower() in _BOOLEANS:
            return _BOOLEANS[value.lower()]
        if isinstance(value, bool):
            return value
        raise ValueError
    if isinstance(value, bool) or (hint is int and isinstance(value, float)):
        raise TypeError
    return hint(value)
