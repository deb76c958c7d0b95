"""Finding plugins, loading them one by one, and keeping their faults apart."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pluggy

from cmrbias import hookspecs
from cmrbias.registry import Registry, collect

GROUP = "cmrbias"


@dataclasses.dataclass(frozen=True)
class Origin:
    """Which installed distribution a plugin came from."""

    plugin: str
    distribution: str
    version: str


@dataclasses.dataclass(frozen=True)
class Fault:
    """What went wrong in a plugin, and when (``load``, ``register`` or the hook's name)."""

    plugin: str
    distribution: str
    when: str
    message: str
    details: str


class Plugins:
    """The built-ins and the installed plugins that could be loaded, and the faults of the others."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager(GROUP)
        self.manager.add_hookspecs(hookspecs)
        self.origins: dict[str, Origin] = {}
        self.faults: list[Fault] = []

    def registry(self, kind: str) -> Registry:
        """Returns what all plugins offer of a kind (a key of ``registry.KINDS``)."""
        return collect(self, kind)

    def implementations(self, hook: str) -> Iterator[tuple[Callable[..., Any], Origin]]:
        """Yields each plugin's implementation of a hook, to be called with keywords."""
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            yield _by_keyword(implementation), self.origins[implementation.plugin_name]

    def fault(self, plugin: str, when: str, error: BaseException) -> Fault:
        """Returns the record of an error that a plugin raised."""
        origin = self.origins.get(plugin, Origin(plugin, "unknown", ""))
        message = f"{type(error).__name__}: {error}".split("\n")[0]
        return Fault(plugin, origin.distribution, when, message, "".join(traceback.format_exception(error)))

    def add(self, module: object, origin: Origin) -> None:
        """Registers one plugin; a fault takes it out again and is recorded."""
        if origin.plugin in self.origins:
            first = self.origins[origin.plugin].distribution
            message = f"the plugin name is taken by {first}"
            self.faults.append(Fault(origin.plugin, origin.distribution, "register", message, message))
            return
        self.origins[origin.plugin] = origin
        try:
            self.manager.register(module, origin.plugin)
            self.manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            # pluggy 1.6 leaves the plugin registered after a validation error, 1.7 does not
            if self.manager.has_plugin(origin.plugin):
                self.manager.unregister(name=origin.plugin)
            self.faults.append(self.fault(origin.plugin, "register", error))
            del self.origins[origin.plugin]

    def load(self, entry_point: importlib.metadata.EntryPoint) -> None:
        """Imports one entry point and registers what it names."""
        origin = origin_of(entry_point)
        try:
            module = entry_point.load()
        except (Exception, SystemExit) as error:  # a stranger's import: reported
            fault = self.fault(origin.plugin, "load", error)
            self.faults.append(dataclasses.replace(fault, distribution=origin.distribution))
        else:
            self.add(module, origin)


def plugin_manager(
    entry_points: Iterable[importlib.metadata.EntryPoint] | None = None,
) -> Plugins:
    """Returns a fresh manager with the built-ins and the plugins of ``entry_points``.

    Args:
        entry_points: which to load; None means those of the installed distributions.
    """
    from cmrbias import builtin

    plugins = Plugins()
    version = importlib.metadata.version("cmrbias")
    plugins.add(builtin, Origin("builtin", "cmrbias", version))
    for entry_point in installed() if entry_points is None else entry_points:
        plugins.load(entry_point)
    return plugins


def installed(group: str = GROUP) -> list[importlib.metadata.EntryPoint]:
    """Returns the entry points of installed distributions, in the order of their names; loads none."""
    found = importlib.metadata.entry_points(group=group)
    return sorted(found, key=lambda e: (origin_of(e).distribution, e.name))


def origin_of(entry_point: importlib.metadata.EntryPoint) -> Origin:
    """Returns the plugin's name and its distribution's name and version, from metadata alone."""
    distribution = entry_point.dist
    if distribution is None:
        return Origin(entry_point.name, "unknown", "")
    return Origin(entry_point.name, distribution.name, distribution.version)


def _by_keyword(implementation: pluggy.HookImpl) -> Callable[..., Any]:
    """An implementation may take fewer arguments than the specification offers."""

    def call(**arguments: Any) -> Any:
        return implementation.function(*[arguments[name] for name in implementation.argnames])

    return call
