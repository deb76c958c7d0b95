"""What a study writes once its cells are finished: tables, figures, the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cmrbias.studies.build import Study
from cmrbias.studies.figure2 import figure2
from cmrbias.studies.figure3 import figure3
from cmrbias.studies.tables import Table, TableMaker
from cmrbias.studies.tables_text import write_table

Say = Callable[[str], None]


def write_outputs(study: Study, folder: Path, images: bool, say: Say) -> list[Table]:
    """Writes all tables and figures, then ``report.html``; returns the tables.

    Args:
        study: whose cells are finished.
        folder: the study's directory.
        images: whether pixels of patients may be shown.
        say: told of each file.
    """
    tables, figures = [], []
    for name in study.definition.tables:
        tables.append(TableMaker(study, name, folder).table())
    for name, entry in study.definition.figures.items():
        if entry.panels:
            files, beside = figure2(study, name, folder)
            figures.append((entry.title, files[0]))
            tables += beside
        elif images:
            files = figure3(study, name, folder)
            figures.append((entry.title, files[0]))
        else:
            (folder / f"{name}.png").unlink(missing_ok=True)  # one with pixels may be there from before
            say(f"{name}: left out, it shows pixels of patients")
            continue
        say(f"wrote {', '.join(str(file) for file in files)}")
    for table in tables:
        written = write_table(table, folder)
        say(f"wrote {written[0]} (also .md, .tex and -numbers.csv)")
    return tables
