"""``cmrbias cohort check``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from cmrbias.cli.cohort.text import counted
from cmrbias.cli.hints import say_next, shell

_NAMED = 8  # cases named a finding; --json names all


@click.command()
@click.argument("path", metavar="COHORT", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.pass_context
def command(ctx: click.Context, path: Path, as_json: bool) -> None:
    """Look through COHORT for what would make numbers wrong; exit status 1 if there is an error.

    Reports patients in two splits, duplicates, constant images, empty and incomplete masks, class
    balance, and how well the heart's mean and SD of intensity alone tell each target.
    """
    from cmrbias.cohorts.checking import check
    from cmrbias.cohorts.format import Cohort

    report = check(Cohort.open(path), _progress)
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=2))
    else:
        _print(path, report)
    if report.errors:
        ctx.exit(1)


def _progress(cases: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{cases} cases checked\r", err=True, nl=False)


def _print(path: Path, report: Any) -> None:
    click.echo(f"{path}: {counted(report.cases, 'case')} of {counted(report.patients, 'patient')}")
    for target, values in report.balance.items():
        splits = list(next(iter(values.values())))
        _table(
            [target, *(split or "(no split)" for split in splits)],
            [[value or "(empty)", *map(str, counts.values())] for value, counts in values.items()],
        )
    if report.masks:
        kinds = list(next(iter(report.masks.values())))
        rows = [[frame, *(str(counts[kind]) for kind in kinds)] for frame, counts in report.masks.items()]
        _table(["masks", *kinds], rows)
    else:
        click.echo("\nno masks")
    if report.context:
        rows = [
            [f"{c.target}, {c.frame}, {c.measure}", f"{c.auc:.3f}", f"{c.chance:.3f}", str(c.patients)]
            for c in report.context
        ]
        _table(["heart's intensity", "AUC", "99 % of chance below", "patients"], rows)
    click.echo("")
    for finding in report.findings:
        named = ", ".join(finding.cases[:_NAMED])
        more = f" and {len(finding.cases) - _NAMED} more" if len(finding.cases) > _NAMED else ""
        click.echo(f"{finding.level}: {finding.message}{f': {named}{more}' if named else ''}")
    click.echo(f"errors: {report.errors}, warnings: {len(report.findings) - report.errors}")
    if report.errors:
        click.echo(f"next: put the errors right, then {shell(['cohort', 'check', path])}")
    else:
        say_next(["cohort", "show", path], ["pretrain", "--cohort", path])


def _table(header: list[str], rows: list[list[str]]) -> None:
    """Prints a table: the first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    click.echo("")
    for cells in [header, *rows]:
        padded = [f"{cell:>{width}}" for cell, width in zip(cells[1:], widths[1:], strict=True)]
        click.echo("  ".join([f"{cells[0]:<{widths[0]}}", *padded]))
