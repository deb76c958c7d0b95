"""CheXpert (Irvin et al. 2019), small and full release: the official tables and the folders beside them.

SRC is the folder that holds ``train.csv`` and ``valid.csv``, or of the full release the folder of its
batches, whose first holds them. A path in a table, such as
``CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg``, names patient, study and view; images
are looked for at that path below SRC or its parent, and in the batches.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cmrbias.cohorts.case import Case, Reader, SourceError
from cmrbias.cohorts.readers.imagefile import open_image
from cmrbias.cohorts.readers.table_rows import ONLY_FRAME
from cmrbias.errors import CmrbiasError, unknown
from cmrbias.options import option

TABLES = {"train.csv": "train", "valid.csv": "test", "test.csv": "test"}  # table -> split
DESCRIBING = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA")  # every other column is a finding
VALUES = {"1": 1, "0": 0, "-1": -1, "1.0": 1, "0.0": 0, "-1.0": -1, "": None}
LATERALITIES = {"frontal": "frontal", "lateral": "lateral"}
_VIEW = re.compile(
    r"(?P<patient>patient\d+)/(?P<study>study\d+)/(?P<view>[^/]+)\.(?:jpe?g|png)$", re.IGNORECASE
)
_EXAMPLES = 3


@dataclass(frozen=True)
class CheXpertOptions:
    """Which of CheXpert's images and findings are imported."""

    findings: tuple[str, ...] = option((), "findings to keep as targets, such as Edema; without it: all")
    views: Literal["all", "frontal", "lateral"] = option("all", "only images of this laterality")


class CheXpertReader(Reader):
    """Import CheXpert: frontal and lateral X-rays, findings with uncertain labels kept as -1.

    The columns ``laterality`` (frontal, lateral), ``projection`` (AP, PA), ``sex`` and ``age`` are kept;
    the official validation and test tables are split test.
    """

    Options = CheXpertOptions
    source = "folder with train.csv, valid.csv and the images"
    frames = (ONLY_FRAME,)

    def read(self, source: Path) -> Iterator[Case | SourceError]:
        """Returns the cases in the tables' order, images read one at a time.

        Raises:
            CmrbiasError: no table, a missing column, or cells that are none of the known values: one line a
                column, with counts and examples of rows.
        """
        tables = _tables(source)
        findings = self._findings(tables)
        _check(tables, findings)
        self.targets = {name: {"kind": "binary", "uncertain": -1, "missing": 0} for name in findings}
        return self._cases(source, tables, findings)

    def _findings(self, tables: list[Path]) -> tuple[str, ...]:
        """Returns the findings that the options name, else all; every table must have them."""
        headers = [_header(path) for path in tables]
        listed = [name for name in headers[0] if name not in DESCRIBING]
        for name in self.options.findings:
            if name not in listed:
                raise CmrbiasError(f"{tables[0]}: --findings: {unknown('finding', name, listed)}")
        chosen = self.options.findings or tuple(listed)
        for path, header in zip(tables, headers, strict=True):
            for name in ("Path", *chosen):
                if header.count(name) != 1:
                    said = "is there twice" if name in header else f"is missing; found {', '.join(header)}"
                    advice = "" if name == "Path" else "; --findings names those to keep"
                    raise CmrbiasError(f"{path}: column {name!r} {said}{advice}")
        return chosen

    def _cases(
        self, source: Path, tables: list[Path], findings: tuple[str, ...]
    ) -> Iterator[Case | SourceError]:
        places = [source.parent, source, *sorted(p for p in source.glob("CheXpert*") if p.is_dir())]
        for path in tables:
            for number, row in _rows(path):
                laterality = _laterality(row)
                if self.options.views not in ("all", laterality):
                    continue
                try:
                    yield _case(places, path, row, laterality, findings)
                except SourceError as error:
                    yield SourceError(f"{path} row {number}: {error}")


def _tables(source: Path) -> list[Path]:
    """Returns the tables in the folder, or else in the first batch of the full release within it."""
    for folder in (source, *sorted(source.glob("CheXpert*batch 1*"))):
        found = [folder / name for name in TABLES if (folder / name).is_file()]
        if found:
            return found
    raise CmrbiasError(f"{source}: expected {' or '.join(TABLES)} in it, found none of them")


def _case(
    places: list[Path], table: Path, row: dict[str, str], laterality: str, findings: tuple[str, ...]
) -> Case:
    named = _VIEW.search(row["Path"])
    assert named is not None  # the table was checked
    patient, study, view = named["patient"], named["study"], named["view"]
    file = _find(places, row["Path"], named[0])
    image = open_image(file)
    described = {
        "laterality": laterality,
        "projection": row.get("AP/PA"),
        "sex": row.get("Sex"),
        "age": row.get("Age"),
    }
    return Case(
        case=f"{patient}/{study}/{view}",
        patient=patient,
        study=study,
        frames={ONLY_FRAME: image.pixels},
        split=TABLES[table.name],
        columns={**{name: VALUES[row[name]] for name in findings}, **described},
        sources=[file],
        notes=image.notes,
        transform=image.transform,
    )


def _find(places: list[Path], path: str, ending: str) -> Path:
    """Returns the image's file: at its path, without the release's name before it, or in a batch folder."""
    for relative in (path, path.partition("/")[2], ending):
        for place in places:
            if relative and (place / relative).is_file():
                return place / relative
    raise SourceError(f"{path}: no such image in {places[1]}")


def _laterality(row: dict[str, str]) -> str:
    """Returns the column's laterality, or where the table has no such column that of the file's name."""
    cell = row.get("Frontal/Lateral")
    if cell is None:
        cell = Path(row["Path"]).stem.rpartition("_")[2]
    return LATERALITIES.get(cell.lower(), "")


@dataclass
class _Strange:
    """Cells of one column that are no known value."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, number: int, cell: str) -> None:
        self.count += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(f"row {number}: {cell!r}")


def _check(tables: list[Path], findings: tuple[str, ...]) -> None:
    """Raises a CmrbiasError with a line for each column that holds what cannot be understood."""
    said = []
    for path in tables:
        strange: dict[tuple[str, str], _Strange] = {}
        total = 0
        for number, row in _rows(path):
            total += 1
            wrong = [
                (name, "1, 0, -1 (uncertain) or nothing", row[name])
                for name in findings
                if row[name] not in VALUES
            ]
            if not _laterality(row):
                wrong.append(
                    ("Frontal/Lateral", "Frontal or Lateral", row.get("Frontal/Lateral", row["Path"]))
                )
            if not _VIEW.search(row["Path"]):
                wrong.append(("Path", ".../patientN/studyN/NAME.jpg", row["Path"]))
            for column, expected, cell in wrong:
                strange.setdefault((column, expected), _Strange()).add(number, cell)
        said += [
            f"{path}: column {column!r}: expected {expected}, found others in {found.count} of {total} "
            f"rows ({', '.join(found.examples)}{', ...' if found.count > _EXAMPLES else ''})"
            for (column, expected), found in strange.items()
        ]
    if said:
        raise CmrbiasError("\n  ".join(said))


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [name.strip() for name in next(csv.reader(file), [])]


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the number of each row, as a spreadsheet counts, and its cells by column."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            header = [name.strip() for name in next(lines, [])]
            for number, cells in enumerate(lines, start=2):
                if len(cells) == len(header):
                    yield number, dict(zip(header, (cell.strip() for cell in cells), strict=True))
                elif cells:
                    raise CmrbiasError(
                        f"{path} row {number}: expected {len(header)} cells, found {len(cells)}"
                    )
    except (UnicodeDecodeError, csv.Error) as error:
        raise CmrbiasError(f"{path}: cannot be read as UTF-8 CSV: {error}") from None
