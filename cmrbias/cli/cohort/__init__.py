"""``cmrbias cohort``: the group."""

from __future__ import annotations

import click

from cmrbias.cli.lazy import LazyGroup

COMMANDS = {
    "phantom": ("cmrbias.cli.cohort.phantom:command", "Make a synthetic cine cohort with known bias."),
    "import": ("cmrbias.cli.cohort.importing:command", "Make a cohort from ACDC, DICOM or a table."),
    "export": ("cmrbias.cli.cohort.exporting:command", "Write a cohort in another layout."),
    "check": ("cmrbias.cli.cohort.check:command", "Look for what would make numbers wrong."),
    "show": ("cmrbias.cli.cohort.show:command", "Draw a montage with mask outlines."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def command() -> None:
    """Make, import, check and show cohorts of prepared images."""
