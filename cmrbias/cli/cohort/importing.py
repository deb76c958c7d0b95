"""``cmrbias cohort import``: a subcommand for each reader, built from its options when it is called."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import click

from cmrbias.cli.cohort.text import counted
from cmrbias.cli.flags import click_options, take
from cmrbias.cli.hints import say_next
from cmrbias.cli.lazy import LazyGroup
from cmrbias.errors import CmrbiasError
from cmrbias.options import options_of
from cmrbias.registry import Entry, Registry

_NOTES = 12  # printed; all are in cohort.json


class ReaderGroup(LazyGroup):
    """The readers that are registered, built-in ones and those of plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return _readers(ctx).names()

    def summaries(self, ctx: click.Context) -> list[tuple[str, str]]:
        readers = _readers(ctx)
        return [(name, _summary(readers.get(name))) for name in readers.names()]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        try:
            entry = _readers(ctx).entry(name)
        except CmrbiasError as error:
            ctx.fail(str(error))
        return reader_command(entry)


@click.group(cls=ReaderGroup, lazy={})
def command() -> None:
    """Make a cohort of SRC by one of these readers."""


def reader_command(entry: Entry) -> click.Command:
    """Returns the command that imports with one reader: its options, the preparation's, and the core's.

    Raises:
        CmrbiasError: an option of the reader has the name of another flag.
    """
    from cmrbias.cohorts.prepare import PrepareOptions

    reader = entry.thing
    own = click_options(options_of(reader))
    others: list[click.Parameter] = [
        click.Argument(["src"], type=click.Path(path_type=Path)),
        click.Argument(["out"], type=click.Path(path_type=Path)),
        *click_options(PrepareOptions),
        *_core_options(),
    ]
    clashes = {option.name for option in own} & {parameter.name for parameter in others}
    if clashes:
        raise CmrbiasError(
            f"reader {entry.name!r} of {entry.distribution}: the option {sorted(map(str, clashes))[0]!r} has "
            "the name of a flag of 'cohort import': rename it"
        )

    def call(**values: Any) -> None:
        options: Any = take(options_of(reader), values, f"reader {entry.name!r}")
        _import(entry.name, reader(options), values, take(PrepareOptions, values, "preparation"))

    text = f"{_summary(reader)}\n\nSRC is a {reader.source}; OUT is the cohort to make."
    return click.Command(entry.name, callback=call, params=[*others[:2], *own, *others[2:]], help=text)


def _core_options() -> list[click.Option]:
    path = click.Path(path_type=Path)
    return [
        click.Option(["--name"], help="The cohort's name; OUT's by default."),
        click.Option(
            ["--split"],
            metavar="TRAIN/TEST",
            help="Draw the split by patient, for example 70/30, even if SRC has one.",
        ),
        click.Option(["--seed"], type=int, default=0, help="Of the drawn split."),
        click.Option(["--skip-bad"], is_flag=True, help="Leave out cases that cannot be used and list them."),
        click.Option(
            ["--keep-ids"],
            is_flag=True,
            help="Keep identifiers, columns that look so, and dates as in SRC.",
        ),
        click.Option(
            ["--salt-from"],
            type=path,
            metavar="FILE",
            help="An earlier import's .ids.json: the same patients get the same pseudonyms.",
        ),
    ]


def _import(reader_name: str, reader: Any, values: dict[str, Any], prepare: Any) -> None:
    from cmrbias.cohorts.importing import import_cohort
    from cmrbias.cohorts.pseudonyms import read_salt

    salt_from = values["salt_from"]
    if salt_from is not None and values["keep_ids"]:
        raise click.UsageError("--salt-from has no meaning with --keep-ids: give one of them")
    report = import_cohort(
        reader,
        values["src"],
        values["out"],
        prepare,
        reader_name=reader_name,
        name=values["name"],
        keep_ids=values["keep_ids"],
        salt=None if salt_from is None else read_salt(salt_from),
        skip_bad=values["skip_bad"],
        split=values["split"],
        seed=values["seed"],
        progress=_progress,
    )
    _print(report)


def _progress(cases: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{cases} cases read\r", err=True, nl=False)


def _print(report: Any) -> None:
    """Says what was written, what was chosen and left out, and what to run next."""
    from cmrbias.cohorts.importing import listed

    splits = ", ".join(f"{split} {count}" for split, count in report.splits.items())
    size = f"{counted(report.cases, 'case')} of {counted(report.patients, 'patient')}"
    click.echo(f"wrote {report.path}: {size} ({splits})")
    for target, values in report.targets.items():
        told = ", ".join(f"{value or '(empty)'} {count}" for value, count in values.items())
        click.echo(f"  {target}: {told}")
    if report.masks is None:
        click.echo("  masks: none")
    else:
        click.echo(f"  masks: complete in all frames in {report.masks} of {report.cases} cases")
    common = sorted(report.notes.items(), key=lambda item: -item[1])
    for note, count in common[:_NOTES]:
        click.echo(f"  note ({counted(count, 'case')}): {note}")
    if len(common) > _NOTES:
        click.echo(f"  and {len(common) - _NOTES} rarer notes: {report.path / 'cohort.json'}")
    if report.left_out:
        click.echo(f"left out {counted(len(report.left_out), 'case')}:")
        for line in listed(report.left_out, f", all in {report.ids or report.path / 'cohort.json'}"):
            click.echo(f"  {line}")
    if report.identifying:
        columns = ", ".join(report.identifying)
        click.echo(f"left out columns that look like identifiers: {columns} (--keep-ids keeps them)")
    if report.ids is not None:
        click.echo(f"identifiers are pseudonyms; salt and map, for you alone: {report.ids}")
    say_next(["cohort", "check", report.path], ["cohort", "show", report.path])


def _readers(ctx: click.Context) -> Registry:
    registry: Registry = ctx.find_root().obj().registry("readers")
    return registry


def _summary(reader: Any) -> str:
    return (inspect.getdoc(reader) or "").split("\n")[0]
