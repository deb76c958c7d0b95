"""What a study writes once its cells are finished: tables, figures, the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cmrbias.studies.build import Study
from cmrbias.studies.column import Finished
from cmrbias.studies.figure2 import figure2
from cmrbias.studies.figure3 import figure3
from cmrbias.studies.report import Drawn, report
from cmrbias.studies.tables import Table, make_table
from cmrbias.studies.tables.text import write_table

Say = Callable[[str], None]


def write_outputs(study: Study, folder: Path, images: bool, say: Say) -> list[Table]:
    """Writes all tables and figures, then ``report.html``; returns the tables.

    Args:
        study: whose cells are finished.
        folder: the study's directory.
        images: whether pixels of patients may be shown.
        say: told of each file.
    """
    finished = Finished(study, folder)
    tables = [make_table(finished, name) for name in study.definition.tables]
    figures = []
    for name, entry in study.definition.figures.items():
        if entry.panels:
            files, beside = figure2(finished, name)
            tables += beside
            alt = "Overlap of saliency and heart against AUC, one point a model; numbers in the table"
        elif images:
            files = figure3(study, name, folder)
            alt = "Saliency maps over images of the same cases, one column a model, the heart outlined"
        else:
            (folder / f"{name}.png").unlink(missing_ok=True)  # one with pixels may be there from before
            say(f"{name}: left out, it shows pixels of patients")
            continue
        figures.append(Drawn(name, entry.title, files[0], alt))
        say(f"wrote {', '.join(str(file) for file in files)}")
    for table in tables:
        written = write_table(table, folder)
        say(f"wrote {written[0]} (also .md and .tex)")
    say(f"wrote {report(study, tables, figures, folder, images)}")
    return tables
