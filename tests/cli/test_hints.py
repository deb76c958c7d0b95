"""What commands say to run next can be pasted into a shell."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from cmrbias.cli.hints import say_next, shell


def test_words_are_quoted_where_a_shell_needs_it() -> None:
    line = shell(["cohort", "show", Path("my hearts; it's"), "--cases", 3])
    assert line.startswith("cmrbias cohort show '")
    assert shlex.split(line) == ["cmrbias", "cohort", "show", "my hearts; it's", "--cases", "3"]


def test_commands_to_choose_from(capsys: pytest.CaptureFixture[str]) -> None:
    say_next(["cohort", "check", "a b"], ["evaluate", "runs/1", "--against", "RUN2"])
    expected = "next: cmrbias cohort check 'a b'   or   cmrbias evaluate runs/1 --against RUN2\n"
    assert capsys.readouterr().out == expected
