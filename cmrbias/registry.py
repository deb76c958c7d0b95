"""What plugins offer, by kind and name.

A registry is built anew from a plugin manager each time it is asked for; nothing here is global.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from cmrbias.errors import CmrbiasError, unknown

if TYPE_CHECKING:
    from cmrbias.plugins import Fault, Plugins

# kind (plural, as in ``register_<kind>``) -> what one of them is called in messages
KINDS = {
    "methods": "method",
    "pairings": "pairing",
    "augmentations": "augmentation",
    "saliency": "saliency method",
    "scores": "score",
    "backbones": "backbone",
    "readers": "reader",
    "tasks": "task",
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """One registered thing and where it came from."""

    kind: str
    name: str
    thing: Any
    plugin: str
    distribution: str
    version: str


class Registry:
    """The things of one kind, by name.

    A name that two plugins offer is registered for neither; asking for it names both.
    """

    def __init__(self, kind: str, entries: list[Entry], faults: list[Fault]) -> None:
        self.kind = kind
        self.faults = faults
        offered: dict[str, list[Entry]] = {}
        for entry in entries:
            offered.setdefault(entry.name, []).append(entry)
        self._entries = {name: found[0] for name, found in offered.items() if len(found) == 1}
        self.clashes = {name: found for name, found in offered.items() if len(found) > 1}

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def names(self) -> list[str]:
        """Returns the names that can be asked for, sorted."""
        return sorted(self._entries)

    def entry(self, name: str) -> Entry:
        """Returns what is registered as ``name``.

        Raises:
            CmrbiasError: nothing is, or two plugins offer it.
        """
        if name in self._entries:
            return self._entries[name]
        if name in self.clashes:
            both = " and ".join(f"{e.distribution} ({e.plugin})" for e in self.clashes[name])
            raise CmrbiasError(
                f"{KINDS[self.kind]} {name!r} is offered by {both}, so neither is used: uninstall one"
            )
        error = unknown(KINDS[self.kind], name, self._entries)
        if self.faults:
            broken = ", ".join(sorted({f.plugin for f in self.faults}))
            error = CmrbiasError(
                f"{error}; these plugins could not be used: {broken} (see cmrbias plugins list --load)"
            )
        raise error

    def get(self, name: str) -> Any:
        """Returns the class or function registered as ``name``; raises as ``entry`` does."""
        return self.entry(name).thing


def collect(plugins: Plugins, kind: str) -> Registry:
    """Asks every plugin what it offers of a kind, each inside its own fault barrier.

    A plugin that raises, or registers a name that is no plain word, offers nothing of that kind.
    """
    entries: list[Entry] = []
    faults = list(plugins.faults)
    for implementation, origin in plugins.implementations(f"register_{kind}"):
        mine: list[Entry] = []
        try:
            implementation(register=_registrar(kind, origin, mine))
        except Exception as error:  # a stranger's code: reported, not swallowed
            faults.append(plugins.fault(origin.plugin, f"register_{kind}", error))
        else:
            entries += mine
    return Registry(kind, entries, faults)


def _registrar(kind: str, origin: Any, into: list[Entry]) -> Callable[[str, Any], None]:
    def register(name: str, thing: Any) -> None:
        if not isinstance(name, str) or not name.replace("-", "").isalnum():
            raise ValueError(f"a {KINDS[kind]} needs a name of letters, digits and '-', got {name!r}")
        if any(entry.name == name for entry in into):
            raise ValueError(f"{KINDS[kind]} {name!r} is registered twice")
        into.append(Entry(kind, name, thing, origin.plugin, origin.distribution, origin.version))

    return register
