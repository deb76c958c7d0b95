"""A table as CSV, Markdown and LaTeX, and its numbers a line each."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cmrbias.files import write_atomically
from cmrbias.studies.tables.table import Line, Table

_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
}  # fmt: skip


def write_table(table: Table, folder: Path) -> list[Path]:
    """Writes NAME.csv, NAME.md, NAME.tex and, of a table with numbers, NAME-numbers.csv, a line each."""
    texts = {
        f"{table.name}.csv": _csv([_header(table), *_rows(table)]),
        f"{table.name}.md": markdown(table),
        f"{table.name}.tex": latex(table),
    }
    if any(line.numbers for block in table.blocks for line in block.lines):
        texts[f"{table.name}-numbers.csv"] = _csv(_numbers(table))
    paths = []
    for name, text in texts.items():
        paths.append(folder / name)
        _write(paths[-1], text)
    return paths


def markdown(table: Table) -> str:
    """Returns the table as Markdown: a table a block."""
    parts = [f"# {_md(table.title)}\n"]
    parts += [f"**{_md(warning)}**\n" for warning in table.warnings]
    for block in table.blocks:
        rows = [("", "", "", *table.columns), *(_cells(line) for line in block.lines)]
        lines = [f"| {' | '.join(map(_md, row))} |" for row in rows]
        lines.insert(1, "|" + " --- |" * (3 + len(table.columns)))
        parts.append(f"## {_md(block.title)}\n\n" + "\n".join(lines) + "\n")
    parts.append("\n".join(f"- {_md(note)}" for note in table.notes) + "\n")
    return "\n".join(parts)


def latex(table: Table) -> str:
    """Returns the table as LaTeX: a ``tabular`` a block, with no package needed."""
    parts = [f"% {line}" for line in (table.title, *table.warnings)]
    for block in table.blocks:
        rows = [("", "", "", *table.columns), *(_cells(line) for line in block.lines)]
        lines = [" & ".join(map(_tex, row)) + r" \\" for row in rows]
        lines.insert(1, r"\hline")
        columns = "lll" + "c" * len(table.columns)
        body = "\n".join(lines)
        parts.append(
            f"% {block.title}\n\\begin{{tabular}}{{{columns}}}\n\\hline\n{body}\n\\hline\n\\end{{tabular}}\n"
        )
    notes = "\n".join(f"\\item {_tex(note)}" for note in (*table.warnings, *table.notes))
    parts.append(f"\\begin{{itemize}}\n{notes}\n\\end{{itemize}}\n")
    return "\n".join(parts)


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))


def _header(table: Table) -> Sequence[str]:
    return ("block", "measure", "row", "what", *table.columns)


def _rows(table: Table) -> Iterator[Sequence[str]]:
    for block in table.blocks:
        for line in block.lines:
            yield (block.title, *_cells(line))
    for note in (*table.warnings, *table.notes):
        yield ("note", "", "", note, *[""] * len(table.columns))


def _numbers(table: Table) -> Iterator[Sequence[str]]:
    every = [
        {"block": block.title, **number}
        for block in table.blocks
        for line in block.lines
        for number in line.numbers
    ]
    names = list(dict.fromkeys(name for number in every for name in number))
    yield names
    for number in every:
        yield [_plain(number.get(name, "")) for name in names]


def _cells(line: Line) -> tuple[str, ...]:
    return (line.measure, line.row, line.what, *line.cells)


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    return str(value)


def _csv(rows: Any) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()


def _md(text: str) -> str:
    """Escapes what Markdown, or the HTML in it, would take for markup."""
    for char in "\\|*_`[]":
        text = text.replace(char, "\\" + char)
    return text.replace("<", "&lt;").replace("\n", " ")


def _tex(text: str) -> str:
    return "".join(_LATEX.get(char, char) for char in text)
