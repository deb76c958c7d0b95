"""A CSV table of images: a row a case, or a row a frame.

Rows are counted as a spreadsheet does: the header is row 1. Paths are relative to the table's folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from cmrbias.cohorts.case import STRUCTURES, Case, Reader, SourceError
from cmrbias.cohorts.format import AREA_COLUMNS, ROW_COLUMNS
from cmrbias.cohorts.readers.alignment import labels_on
from cmrbias.cohorts.readers.checks import check_finite, checked_labels, common_spacing
from cmrbias.cohorts.readers.imagefile import ImageFile, open_image, open_labels
from cmrbias.cohorts.readers.table_rows import Roles, Row, assign_roles, read_rows
from cmrbias.cohorts.readers.table_targets import MISSING, Target, parse_targets
from cmrbias.options import option

SPLITS = ("train", "test")


@dataclass(frozen=True)
class TableOptions:
    """How a table is read; a column that is not named is used under its own name if it is there."""

    path_column: tuple[str, ...] = option(
        ("path",), "column of the image's path; or one a frame: ED=path_ed,ES=path_es"
    )
    path_template: str = option("{}", "how a cell becomes a path, for example png/{}.png")
    mask_column: tuple[str, ...] = option(
        (), "column of the mask's path, or one a frame like --path-column; without it: mask"
    )
    mask_template: str = option("{}", "how a cell becomes the mask's path")
    binary_mask: Literal["RV", "MYO", "LV"] | None = option(
        None, "what any non-zero pixel of a mask is; without it: 1 RV, 2 MYO, 3 LV"
    )
    case_column: str | None = option(None, "column of the case's name; without it: case, else the path's")
    patient_column: str | None = option(
        None,
        "column of the patient; without it: patient (the case's column makes each case a patient of its own)",
    )
    study_column: str | None = option(None, "column of the study; without it: study")
    split_column: str | None = option(None, "column that says train, test or nothing; without it: split")
    frame_column: str | None = option(
        None, "column of the frame's name, where a row is a frame; without it: frame"
    )
    target: tuple[str, ...] = option(
        (),
        "targets, each NAME[=COLUMN][:class|binary|present] (present: 1 where the cell is not empty); "
        "without it: label, if there is such a column",
    )


class TableReader(Reader):
    """Import what a CSV table lists: NIfTI, DICOM, NumPy, PNG or JPEG files, masks, targets."""

    Options = TableOptions
    source = "CSV file"

    def read(self, source: Path) -> Iterator[Case | SourceError]:
        """Returns the cases, ordered by first row; the reader's attributes are set when it returns.

        Raises:
            CmrbiasError: the table cannot be read, or lacks a column that the options name.
        """
        header, rows, errors = read_rows(source)
        roles = assign_roles(source, header, rows, self.options)
        named = self.options.target or (("label",) if "label" in header else ())
        targets = parse_targets(named, {name: [row.cells[name] for row in rows] for name in header})
        self.frames = roles.frames
        self.targets = {target.name: target.declared for target in targets}
        self.structures = _structures(self.options, roles)
        reading = _Reading(source.parent, self.options, roles, targets)
        return _chain(errors, reading, _grouped(roles, rows))


def _chain(
    errors: list[SourceError], reading: _Reading, groups: list[list[Row]]
) -> Iterator[Case | SourceError]:
    yield from errors
    for rows in groups:
        try:
            yield reading.case(rows)
        except SourceError as error:
            yield error


def _structures(options: TableOptions, roles: Roles) -> tuple[str, ...]:
    """Returns what a complete mask holds (``--mask-structures`` restricts it later)."""
    if not roles.masks:
        return ()
    return (options.binary_mask,) if options.binary_mask else tuple(STRUCTURES)


def _grouped(roles: Roles, rows: Sequence[Row]) -> list[list[Row]]:
    """Returns the rows of each case."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.cells[roles.case], []).append(row)
    return list(groups.values())


@dataclass(frozen=True)
class _Reading:
    """All that a case is made by, but its rows."""

    folder: Path
    options: TableOptions
    roles: Roles
    targets: Sequence[Target]

    def case(self, rows: list[Row]) -> Case:
        first, roles = rows[0], self.roles
        name = first.cells[roles.case]
        if not name:
            raise SourceError(f"{first.where}: column {roles.case!r} is empty; expected the case's name")
        case = Case(case=name, patient=self._patient(first, name), frames={}, sources=[first.path])
        case.study = first.cells[roles.study] if roles.study else ""
        case.split = self._split(first)
        case.columns = self._columns(first)
        if not roles.patient:
            case.notes.append("the table names no patient: each case counts as a patient of its own")
        missing = [(target.name, cell) for target, cell in self._target_cells(first) if cell in MISSING]
        case.notes += [f"target {name!r}: {cell!r} counts as an empty cell" for name, cell in missing]
        by_frame = self._rows_by_frame(rows)
        self._check_agreement(case, rows)
        images = {}
        for frame, row in by_frame.items():
            with row.told():
                images[frame] = self._add_frame(case, frame, row)
        shapes = {frame: stack.shape for frame, stack in case.frames.items()}
        if len(set(shapes.values())) > 1:
            raise SourceError(f"{first.where}: frames differ in shape (slices, rows, columns): {shapes}")
        spacings = {frame: image.spacing for frame, image in images.items()}
        case.spacing = common_spacing(spacings, f"{first.where}: case {name!r}")
        case.transform = "; ".join(dict.fromkeys(image.transform for image in images.values()))
        return case

    def _patient(self, row: Row, case: str) -> str:
        patient = row.cells[self.roles.patient] if self.roles.patient else case
        if not patient:
            raise SourceError(f"{row.where}: column {self.roles.patient!r} is empty; expected the patient")
        return patient

    def _split(self, row: Row) -> str | None:
        split = row.cells[self.roles.split] if self.roles.split else ""
        if split and split not in SPLITS:
            raise SourceError(
                f"{row.where}: column {self.roles.split!r}: expected train, test or nothing, found {split!r}"
            )
        return split or None

    def _target_cells(self, row: Row) -> list[tuple[Target, str]]:
        return [(target, row.cells[target.column]) for target in self.targets]

    def _columns(self, row: Row) -> dict[str, str | int | None]:
        """Targets, then every column without a role; one that bears a cohort's own name is renamed."""
        used = {*ROW_COLUMNS, *AREA_COLUMNS, "pixel_size", *(target.name for target in self.targets)}
        with row.told():
            found = {target.name: target.value(cell) for target, cell in self._target_cells(row)}
        for name, cell in row.cells.items():
            if name not in self.roles.names and not any(t.name == t.column == name for t in self.targets):
                taken = name in used or name.startswith("mask_")
                found[f"table_{name}" if taken else name] = cell or None
        return found

    def _check_agreement(self, case: Case, rows: list[Row]) -> None:
        """The rows of one case must agree in who it is and in its targets; of the rest the first counts."""
        roles = self.roles
        own = {roles.frame, *roles.paths.values(), *roles.masks.values()}
        decisive = {roles.patient, roles.study, roles.split, *(target.column for target in self.targets)}
        for row in rows[1:]:
            for name, cell in row.cells.items():
                first = rows[0].cells[name]
                if name in own or cell == first:
                    continue
                if name in decisive:
                    raise SourceError(
                        f"{row.where}: column {name!r} holds {cell!r}, but {first!r} in row {rows[0].number} "
                        "of the same case"
                    )
                case.notes.append(
                    f"column {name!r} differs between the frames; that of the first row was kept"
                )

    def _rows_by_frame(self, rows: list[Row]) -> dict[str, Row]:
        """Returns the row that holds each frame."""
        if self.roles.frame is None:
            if len(rows) > 1:
                raise SourceError(
                    f"{rows[1].where}: the case {rows[0].cells[self.roles.case]!r} stands in row "
                    f"{rows[0].number} already; expected one row a case, or a column 'frame'"
                )
            return dict.fromkeys(self.roles.frames, rows[0])
        found: dict[str, Row] = {}
        for row in rows:
            frame = row.cells[self.roles.frame]
            if frame in found:
                raise SourceError(f"{row.where}: frame {frame!r} stands in row {found[frame].number} already")
            found[frame] = row
        if set(found) != set(self.roles.frames):
            raise SourceError(
                f"{rows[0].where}: expected the frames {', '.join(self.roles.frames)} of this case, found "
                f"{', '.join(sorted(found))}"
            )
        return {frame: found[frame] for frame in self.roles.frames}

    def _add_frame(self, case: Case, frame: str, row: Row) -> ImageFile:
        path = self._path(row, self.roles.paths[frame], self.options.path_template)
        if path is None:
            raise SourceError(f"column {self.roles.paths[frame]!r} is empty; expected the image's path")
        image = open_image(path)
        check_finite(image.pixels, path)
        case.frames[frame] = image.pixels
        case.sources.append(path)
        case.notes += [note for note in image.notes if note not in case.notes]
        mask = (
            self._path(row, self.roles.masks[frame], self.options.mask_template) if self.roles.masks else None
        )
        if mask is not None:
            case.masks[frame] = self._labels(mask, image)
            case.sources.append(mask)
        return image

    def _path(self, row: Row, column: str, template: str) -> Path | None:
        cell = row.cells[column]
        return self.folder / template.replace("{}", cell) if cell else None

    def _labels(self, path: Path, image: ImageFile) -> np.ndarray:
        labels = labels_on(image, open_labels(path))
        if self.options.binary_mask:
            labels = (labels != 0) * np.uint8(STRUCTURES[self.options.binary_mask])
        return checked_labels(labels, image.pixels.shape, path)
