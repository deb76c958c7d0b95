"""``cmrbias study cell``, and the process that several jobs are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from cmrbias.plugins import Plugins


@click.command()
@click.argument("cell", type=click.Path(path_type=Path))
@click.pass_context
def command(ctx: click.Context, cell: Path) -> None:
    """Compute the cell in the directory CELL, unless it is finished; stopped, the same command goes on."""
    from cmrbias.studies.execute import LOG, execute

    seconds = execute(cell, caller(ctx.obj))
    click.echo(
        f"finished {cell} ({seconds:.1f} s; {LOG} has what it printed)"
        if seconds
        else f"was finished: {cell}"
    )


@click.command(hidden=True)
@click.pass_context
def worker(ctx: click.Context) -> None:
    """Compute the cells whose directories come in by lines."""
    from cmrbias.studies.worker import serve

    serve(caller(ctx.obj))


def caller(plugins: Callable[[], Plugins]) -> Callable[[Sequence[str]], Any]:
    """Returns what runs ``cmrbias`` with some arguments in this process."""
    from cmrbias.cli.main import make_cli

    def call(words: Sequence[str]) -> Any:
        return make_cli(plugins).main(list(words), prog_name="cmrbias", standalone_mode=False)

    return call
