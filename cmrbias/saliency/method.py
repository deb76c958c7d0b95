"""A saliency method by its name, with its options."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cmrbias.api import Saliency
from cmrbias.errors import CmrbiasError
from cmrbias.options import build, options_of
from cmrbias.plugins import Plugins


@dataclass(frozen=True)
class Method:
    """A saliency method that is asked for, and how errors name it."""

    name: str
    source: str
    saliency: Saliency


def make_methods(
    names: Sequence[str],
    layer: str | None,
    options: Mapping[str, Mapping[str, Any]] | None,
    plugins: Plugins,
) -> tuple[Method, ...]:
    """Returns saliency methods.

    Args:
        names: as registered.
        layer: of the methods that look at one; None is their default.
        options: method to its options by name.
        plugins: what is installed.

    Raises:
        CmrbiasError: no such method, an option that it does not have, or a layer where it looks at none.
    """
    return tuple(_method(name, layer, (options or {}).get(name, {}), plugins) for name in names)


def _method(name: str, layer: str | None, given: Mapping[str, Any], plugins: Plugins) -> Method:
    entry = plugins.registry("saliency").entry(name)
    cls = options_of(entry.thing)
    takes = "layer" in {field.name for field in dataclasses.fields(cls)}
    if layer is not None and not takes:
        raise CmrbiasError(f"--layer: saliency method {name!r} looks at no layer: leave it out")
    options = {**given, "layer": layer} if layer is not None else given
    owner = f"saliency method {name!r}"
    return Method(name, f"{owner} ({entry.distribution})", entry.thing(build(cls, options, owner)))
