"""``cmrbias study``: the group."""

from __future__ import annotations

import click

from cmrbias.cli.lazy import LazyGroup

COMMANDS = {
    "calibration": (
        "cmrbias.cli.study.calibration:command",
        "Hold saliency measures against known reliance on a cue.",
    ),
    "cell": ("cmrbias.cli.study.cell:command", "Compute one cell, as study plan prints it."),
}
HIDDEN = {"worker": ("cmrbias.cli.study.cell:worker", "Computes cells for --jobs.")}


class StudyGroup(LazyGroup):
    """Does not list what only cmrbias itself calls."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def summaries(self, ctx: click.Context) -> list[tuple[str, str]]:
        return [(name, summary) for name, (_, summary) in COMMANDS.items()]


@click.group(cls=StudyGroup, lazy=COMMANDS | HIDDEN)
def command() -> None:
    """Compute the paper's tables and figures, or those of a study of your own."""
