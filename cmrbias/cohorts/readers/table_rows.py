"""The rows of a CSV table, and which of its columns means what."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cmrbias.cohorts.case import SourceError
from cmrbias.cohorts.identifiers import patient_columns
from cmrbias.errors import CmrbiasError, unknown

if TYPE_CHECKING:
    from cmrbias.cohorts.readers.table import TableOptions

ONLY_FRAME = "single"  # its name where a case has but one


@dataclass(frozen=True)
class Row:
    """One row: its number in the table ``path`` (the header is row 1) and its cells by column, stripped."""

    path: Path
    number: int
    cells: dict[str, str]

    @property
    def where(self) -> str:
        """How errors name it."""
        return f"{self.path} row {self.number}"

    @contextmanager
    def told(self) -> Iterator[None]:
        """Adds the row to a SourceError that is raised inside."""
        try:
            yield
        except SourceError as error:
            raise SourceError(f"{self.where}: {error}") from None


@dataclass(frozen=True)
class Roles:
    """Which column means what; None where the table has none.

    ``paths`` and ``masks`` map each frame to its column (where a row is a frame, all to the same one);
    ``masks`` is empty where the table names none.
    """

    paths: dict[str, str]
    masks: dict[str, str]
    case: str
    patient: str | None
    study: str | None
    split: str | None
    frame: str | None

    @property
    def frames(self) -> tuple[str, ...]:
        """The frames of every case."""
        return tuple(self.paths)

    @property
    def names(self) -> set[str]:
        """The columns that have a role."""
        single = {self.case, self.patient, self.study, self.split, self.frame}
        return {name for name in (*self.paths.values(), *self.masks.values(), *single) if name}


def read_rows(path: Path) -> tuple[list[str], list[Row], list[SourceError]]:
    """Returns a table's header, its rows, and an error for each row with another number of cells.

    Raises:
        CmrbiasError: missing, not UTF-8 CSV, another delimiter, without rows, or a column is there twice.
    """
    rows: list[Row] = []
    errors: list[SourceError] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            header = [name.strip() for name in next(lines, [])]
            for number, cells in enumerate(lines, start=2):
                if len(cells) == len(header):
                    named = zip(header, (cell.strip() for cell in cells), strict=True)
                    rows.append(Row(path, number, dict(named)))
                elif cells:
                    errors.append(
                        SourceError(f"{path} row {number}: expected {len(header)} cells, found {len(cells)}")
                    )
    except (FileNotFoundError, IsADirectoryError):
        raise CmrbiasError(f"{path}: no such file; expected a CSV table") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise CmrbiasError(f"{path}: cannot be read as UTF-8 CSV: {error}") from None
    _check_header(path, header)
    if not rows:
        raise CmrbiasError(str(errors[0]) if errors else f"{path}: there is no row below the header")
    return header, rows, errors


def _check_header(path: Path, header: list[str]) -> None:
    if not any(header):
        raise CmrbiasError(f"{path}: the file is empty; expected a header and a row an image")
    other = next((mark for mark in ";\t|" if len(header) == 1 and mark in header[0]), None)
    if other:
        raise CmrbiasError(f"{path}: its delimiter seems to be {other!r}; expected commas: save it with them")
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise CmrbiasError(f"{path}: column {twice[0]!r} is there twice; expected different names")


def assign_roles(path: Path, header: Sequence[str], rows: Sequence[Row], options: TableOptions) -> Roles:
    """Returns which column means what, by the options and else by the columns' own names.

    Raises:
        CmrbiasError: a column that an option names, or the path's, is not there, or they contradict.
    """

    def one(flag: str, given: str | None, usual: str) -> str | None:
        if given is not None and given not in header:
            raise CmrbiasError(f"{path}: {flag}: {unknown('column', given, header)}")
        return given or (usual if usual in header else None)

    frame = one("--frame-column", options.frame_column, "frame")
    paths = _by_frame(path, "--path-column", options.path_column, header, frame, rows)
    wanted = options.mask_column or (("mask",) if "mask" in header else ())
    masks = _by_frame(path, "--mask-column", wanted, header, frame, rows) if wanted else {}
    if masks and set(masks) != set(paths):
        raise CmrbiasError(f"--mask-column names the frames {list(masks)}, --path-column {list(paths)}")
    case = one("--case-column", options.case_column, "case")
    if frame and not case:
        raise CmrbiasError(f"{path}: with a row a frame, a column must name the case: --case-column NAME")
    roles = Roles(
        paths=paths,
        masks=masks,
        case=case or next(iter(paths.values())),
        patient=one("--patient-column", options.patient_column, "patient"),
        study=one("--study-column", options.study_column, "study"),
        split=one("--split-column", options.split_column, "split"),
        frame=frame,
    )
    if roles.patient is None:
        _refuse_unnamed_patients(path, header, roles)
    return roles


def _refuse_unnamed_patients(path: Path, header: Sequence[str], roles: Roles) -> None:
    """Without a patient's column each case is a patient: images of one would be on both sides of the split.

    Raises:
        CmrbiasError: a column without a role looks like the patient's.
    """
    found = patient_columns(name for name in header if name not in roles.names)
    if found:
        raise CmrbiasError(
            f"{path}: {found[0]!r} looks like the patient's column, but is not named: say --patient-column "
            f"'{found[0]}' (or --patient-column '{roles.case}' if each case is a patient of its own)"
        )


def _by_frame(
    path: Path, flag: str, given: Sequence[str], header: Sequence[str], frame: str | None, rows: Sequence[Row]
) -> dict[str, str]:
    """Returns the column of each frame, of ``COLUMN`` or ``ED=COLUMN,ES=COLUMN``."""
    named = [text.rpartition("=") for text in given]
    for _, _, column in named:
        if column not in header:
            raise CmrbiasError(f"{path}: {flag}: {unknown('column', column, header)}")
    if len(named) == 1 and not named[0][0]:
        frames = sorted({row.cells[frame] for row in rows} - {""}) if frame else [ONLY_FRAME]
        if not frames:
            raise CmrbiasError(f"{path}: column {frame!r}: expected names of frames, all its cells are empty")
        return dict.fromkeys(frames, named[0][2])
    found = {name: column for name, _, column in named}
    if "" in found or len(found) < len(named):
        raise CmrbiasError(f"{flag}: expected one column, or FRAME=COLUMN for each, got {','.join(given)}")
    if frame:
        raise CmrbiasError(
            f"{path}: expected a column a frame ({flag}) or a row a frame ({frame!r}), not both"
        )
    return found
