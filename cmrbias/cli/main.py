"""The command ``cmrbias``: built-in commands and those of plugins, none imported before it is called."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from functools import cache
from typing import Any

import click

from cmrbias.cli.lazy import LazyGroup, one_line
from cmrbias.errors import CmrbiasError
from cmrbias.plugins import Plugins, installed, origin_of, plugin_manager

BUILT_IN = {
    "cohort": ("cmrbias.cli.cohort:command", "Make, import, check and show cohorts of prepared images."),
    "pretrain": ("cmrbias.cli.pretrain:command", "Pretrain a backbone by self-supervision."),
    "finetune": ("cmrbias.cli.finetune:command", "Train a classifier: encoder and linear layer."),
    "probe": ("cmrbias.cli.probe:command", "Train a linear layer on frozen features."),
    "evaluate": ("cmrbias.cli.evaluate:command", "Test a classifier: predictions, scores with intervals."),
    "saliency": ("cmrbias.cli.saliency:command", "See where a classifier looks: maps against heart masks."),
    "study": ("cmrbias.cli.study:command", "Compute the tables and figures of a study."),
    "benchmark": ("cmrbias.cli.benchmark:command", "Time the kernels beside plain ways to do the same."),
    "plugins": ("cmrbias.cli.plugins:command", "List plugins and show what they offer."),
}


class Root(LazyGroup):
    """Built-in commands, then the entry points of the group ``cmrbias.commands``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.lazy, *sorted(plugin_commands())]

    def summaries(self, ctx: click.Context) -> list[tuple[str, str]]:
        offered = plugin_commands()
        plugins = [(name, f"(from {_origins(offered[name])})") for name in sorted(offered)]
        return super().summaries(ctx) + plugins

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        offered = plugin_commands().get(name)
        if name in self.lazy or not offered:
            return super().get_command(ctx, name)
        if len(offered) > 1:
            raise click.ClickException(f"command {name!r} is offered by {_origins(offered)}: uninstall one")
        return load_command(offered[0])

    def invoke(self, ctx: click.Context) -> Any:
        return one_line(lambda: super(Root, self).invoke(ctx))


def plugin_commands() -> dict[str, list[importlib.metadata.EntryPoint]]:
    """Returns the commands that plugins offer, by name, from metadata alone.

    Two distributions that offer one name are both listed; a built-in's name is never theirs.
    """
    offered: dict[str, list[importlib.metadata.EntryPoint]] = {}
    for entry_point in installed("cmrbias.commands"):
        if entry_point.name not in BUILT_IN:
            offered.setdefault(entry_point.name, []).append(entry_point)
    return offered


def load_command(entry_point: importlib.metadata.EntryPoint) -> click.Command:
    """Imports a plugin's command.

    Raises:
        CmrbiasError: it cannot be imported, or is no ``click.Command``.
    """
    origin = origin_of(entry_point)
    try:
        command = entry_point.load()
    except (Exception, SystemExit) as error:
        raise CmrbiasError(
            f"command {entry_point.name!r} of {origin.distribution} {origin.version} cannot be loaded: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(command, click.Command):
        raise CmrbiasError(
            f"command {entry_point.name!r} of {origin.distribution}: expected a click.Command, "
            f"got {type(command).__name__}"
        )
    return command


def make_cli(plugins: Callable[[], Plugins] = plugin_manager) -> Root:
    """Returns the command line; commands find ``plugins``, called at most once, as ``ctx.obj``."""

    @click.group(
        cls=Root,
        lazy=BUILT_IN,
        context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    )
    @click.version_option(importlib.metadata.version("cmrbias"), prog_name="cmrbias")
    @click.pass_context
    def cmrbias(ctx: click.Context) -> None:
        """Does a cardiac-MR classifier look at the heart, and does contrastive self-supervision help?"""
        ctx.obj = cache(plugins)

    return cmrbias


def _origins(entry_points: list[importlib.metadata.EntryPoint]) -> str:
    return " and ".join(origin_of(e).distribution for e in entry_points)


def main() -> None:
    """The installed script."""
    make_cli()()
