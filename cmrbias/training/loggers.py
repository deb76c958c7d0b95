"""Calling the loggers of plugins, so that a broken one costs a line and not the training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cmrbias.plugins import Plugins


class Loggers:
    """The ``on_*`` hooks of all plugins for one run; one that raises is named and dropped."""

    def __init__(self, plugins: Plugins, say: Callable[[str], None]) -> None:
        self._plugins = plugins
        self._say = say
        self._dropped: set[str] = set()

    def call(self, hook: str, **arguments: Any) -> None:
        """Calls one hook of every plugin that has not failed yet."""
        for implementation, origin in self._plugins.implementations(hook):
            if origin.plugin in self._dropped:
                continue
            try:
                implementation(**arguments)
            except Exception as error:  # a stranger's logger must not end a training
                self._dropped.add(origin.plugin)
                fault = self._plugins.fault(origin.plugin, hook, error)
                self._say(
                    f"warning: logger {fault.plugin} ({fault.distribution}) failed in {hook} and is "
                    f"not called again in this run: {fault.message}"
                )
