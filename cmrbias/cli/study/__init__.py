"""``cmrbias study``: the group."""

from __future__ import annotations

import click

from cmrbias.cli.lazy import LazyGroup

_COMPUTE = "cmrbias.cli.study.compute"
COMMANDS = {
    "all": (f"{_COMPUTE}:everything", "All tables and figures, and report.html."),
    "table1": (f"{_COMPUTE}:table1", "Input modes: AUC, AKS and DSC at home and after a transfer."),
    "table2": (f"{_COMPUTE}:table2", "Contrastive self-supervision beside supervised training."),
    "table3": (f"{_COMPUTE}:table3", "Overlap of saliency and heart by diagnosis."),
    "behaviour": (f"{_COMPUTE}:behaviour", "Training input against test input, and BG-gap."),
    "figure2": (f"{_COMPUTE}:figure2", "Does overlap go with accuracy? One point a model."),
    "figure3": (f"{_COMPUTE}:figure3", "Where the models look: the same cases, a column a model."),
    "calibration": (
        "cmrbias.cli.study.calibration:command",
        "Which measure detects a shortcut, from phantoms whose bias is known.",
    ),
    "run": (f"{_COMPUTE}:run", "Compute a study of your own, a TOML file."),
    "plan": (f"{_COMPUTE}:plan", "Print a shell command a cell, for a cluster's scheduler."),
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
