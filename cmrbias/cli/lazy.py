"""Command groups that know their commands' names and summaries but import one only when it is called."""

from __future__ import annotations

import errno
import importlib
from collections.abc import Callable, Mapping
from typing import Any

import click

from cmrbias.errors import CmrbiasError, unknown


class LazyGroup(click.Group):
    """A group over a table of commands: name -> (``module:attribute``, one-line summary)."""

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.lazy)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.lazy:
            return None
        module, _, attribute = self.lazy[name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        return command if isinstance(command, click.Command) else None

    def summaries(self, ctx: click.Context) -> list[tuple[str, str]]:
        """Returns (name, summary) of each command without importing any."""
        return [(name, summary) for name, (_, summary) in self.lazy.items()]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(self.summaries(ctx))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            ctx.fail(str(unknown("command", args[0], self.list_commands(ctx))))
        return super().resolve_command(ctx, args)


def one_line(call: Callable[[], Any]) -> Any:
    """Calls ``call``; what a user can put right becomes one line on stderr and exit status 1."""
    try:
        return call()
    except CmrbiasError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        where = f"{error.filename}: " if error.filename else ""
        todo = "free some space or choose" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "choose"
        raise click.ClickException(
            f"{where}{error.strerror}: nothing half-written was kept; {todo} another directory, then run the "
            "command again"
        ) from None
