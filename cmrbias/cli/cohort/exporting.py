"""``cmrbias cohort export``: a cohort in another layout."""

from __future__ import annotations

from pathlib import Path

import click

from cmrbias.cli.hints import say_next


@click.group()
def command() -> None:
    """Write a cohort in another layout."""


@command.command()
@click.argument("cohort", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--label", default="label", help="Column that becomes Info.cfg's Group.")
def acdc(cohort: Path, out: Path, label: str) -> None:
    """Write COHORT into the new folder OUT in ACDC's layout: NIfTI files with Info.cfg."""
    from cmrbias.cohorts.export import export_acdc
    from cmrbias.cohorts.format import Cohort

    report = export_acdc(Cohort.open(cohort), out, label)
    counts = ", ".join(f"{folder}/ {count}" for folder, count in report.patients.items())
    click.echo(f"wrote {report.out}: patients in {counts}; cases.csv says which case is which")
    for note in report.notes:
        click.echo(f"note: {note}")
    say_next(["cohort", "import", "acdc", report.out, "NEW-COHORT"])
