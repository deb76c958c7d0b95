"""What a command says last: what its user may want to run next, as one can paste it into a shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import click


def shell(words: Sequence[object]) -> str:
    """Returns a ``cmrbias`` command's words as one line, quoted where a shell needs it."""
    return shlex.join(["cmrbias", *map(str, words)])


def say_next(*commands: Sequence[object]) -> None:
    """Prints commands, each as its words without ``cmrbias``, between which the user may choose."""
    click.echo("next: " + "   or   ".join(map(shell, commands)))
