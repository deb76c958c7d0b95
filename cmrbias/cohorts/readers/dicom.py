"""The reader of DICOM folders: cine stacks as ED and ES, or localizers as single images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from cmrbias.cohorts.case import Case, Reader, SourceError
from cmrbias.cohorts.orientation import Orientation
from cmrbias.cohorts.readers.contours import Contours, find_contours
from cmrbias.cohorts.readers.dicom_files import Image, read_pixels
from cmrbias.cohorts.readers.dicom_stacks import (
    Series,
    count_slices,
    make_stack,
    merge_series,
    name_of,
    orientation_of,
)
from cmrbias.cohorts.readers.dicom_studies import Found, Study, find_studies
from cmrbias.cohorts.readers.heart_phases import contoured_phases, guessed_phases
from cmrbias.cohorts.readers.patients import read_patients
from cmrbias.errors import CmrbiasError
from cmrbias.options import option


@dataclass(frozen=True)
class DicomOptions:
    """What ``cohort import dicom`` offers besides the preparation."""

    contours: Path | None = option(None, "folder of Sunnybrook contour files, a subfolder a patient")
    labels: Path | None = option(None, "CSV file with a row a patient; its other columns are kept")
    patient_column: str = option("PatientID", "column of --labels that holds the DICOM PatientID")
    label_column: str = option("Pathology", "column of --labels that becomes the target 'label'")
    contour_column: str = option(
        "OriginalID", "column of --labels that names a patient's subfolder of --contours (else the PatientID)"
    )
    kind: Literal["auto", "cine", "single"] = option(
        "auto", "import cine stacks, or single images such as localizers; auto: cine if there is any"
    )
    series: str | None = option(None, "read only series whose SeriesDescription contains this text")
    allow_burned_in: bool = option(False, "accept images whose header says that text is burned in")


class DicomReader(Reader):
    """Import DICOM cine or localizers; keeps study_date, manufacturer, scanner, field_strength, sex, age.

    These columns are all that a header gives to the cohort (``HEADER_COLUMNS``); the import makes the date
    days since the patient's first, unless ``--keep-ids``. A localizer also has its plane, by its orientation.

    A case is the cine stack of a study with the most slices or, in a source without cine, one image. With
    ``--contours`` a complete mask holds myocardium and LV pool; Sunnybrook's experts drew the outer contour
    at ED only, so ES masks are incomplete unless ``--mask-structures LV`` restricts the cohort.
    """

    Options = DicomOptions
    source = "folder of DICOM files, searched through"

    def read(self, source: Path) -> Iterator[Case | SourceError]:
        """Reads all headers at once, then yields cases as their pixels (of ED and ES alone) are read.

        Raises:
            CmrbiasError: SRC, ``--labels`` or ``--contours`` cannot be used.
        """
        options: DicomOptions = self.options
        patients = None
        if options.labels is not None:
            patients = read_patients(options.labels, options.patient_column, options.label_column)
            self.targets = {"label": {"kind": "class"}}
        if options.contours is not None and not options.contours.is_dir():
            raise CmrbiasError(f"--contours {options.contours}: expected a folder, found none")
        found = find_studies(source, options.series)
        cine = options.kind == "cine" or (options.kind == "auto" and any(s.cines for s in found.studies))
        self.frames = ("ED", "ES") if cine else ("single",)
        self.structures = ("MYO", "LV") if cine and options.contours is not None else ()
        return self._cases(found, patients, cine)

    def _cases(
        self, found: Found, patients: dict[str, dict[str, str]] | None, cine: bool
    ) -> Iterator[Case | SourceError]:
        yield from found.errors
        for study in found.studies:
            try:
                row = self._row(study, patients)
                for item in self._cine(study, row) if cine else self._singles(study):
                    if isinstance(item, Case):
                        item.columns |= self._kept(row)
                        item.notes += found.notes
                    yield item
            except SourceError as error:
                yield error

    def _row(self, study: Study, patients: dict[str, dict[str, str]] | None) -> dict[str, str]:
        """Returns the patient's row of ``--labels``; empty without that option."""
        if patients is None:
            return {}
        row = patients.get(study.patient, {})
        if not row.get(self.options.label_column):
            raise SourceError(
                f"{self.options.labels}: expected a {self.options.label_column} in a row whose "
                f"{self.options.patient_column} is {study.patient!r}, found none"
            )
        return row

    def _kept(self, row: dict[str, str]) -> dict[str, str]:
        """Returns what the cohort keeps of a row of ``--labels``: the target, and all but identifiers."""
        options: DicomOptions = self.options
        used = (options.patient_column, options.contour_column, options.label_column)
        kept = {name: text for name, text in row.items() if name not in used}
        return kept | {"label": row[options.label_column]} if row else {}

    def _cine(self, study: Study, row: dict[str, str]) -> Iterator[Case | SourceError]:
        """Yields the one case of a study: its largest cine stack."""
        group, left_out = largest_stack(study)
        self._refuse_burned_in([image for series in group for image in series])
        stack = make_stack(group)
        contours = self._contours(study, row)
        phases = guessed_phases(stack) if contours is None else contoured_phases(stack, contours)
        used = {frame: [slice_[phase] for slice_ in stack.slices] for frame, phase in phases.chosen.items()}
        turn = stack.orientation.apply
        first = stack.slices[0][0]
        yield Case(
            case=study.name,
            patient=study.patient,
            study=study.uid,
            frames={
                frame: turn(np.stack([read_pixels(i) for i in images])) for frame, images in used.items()
            },
            masks={frame: turn(labels) for frame, labels in phases.masks.items()},
            structures=phases.structures,
            spacing=_spacing(first, stack.orientation),
            columns=dict(first.columns),
            sources=_unique([i.path for images in used.values() for i in images] + phases.sources),
            notes=[*stack.notes, *phases.notes, *left_out],
            transform=stack.orientation.text,
        )

    def _contours(self, study: Study, row: dict[str, str]) -> dict[int, Contours] | None:
        """Returns the patient's contour files by InstanceNumber; None without ``--contours``."""
        folder = self.options.contours
        if folder is None:
            return None
        names = [name for name in (row.get(self.options.contour_column), study.patient) if name]
        found = [folder / name for name in names if (folder / name).is_dir()]
        if not found:
            raise SourceError(
                f"{folder}: expected a subfolder {' or '.join(names)} with the contours of patient "
                f"{study.patient!r}, found none{self._advice()}"
            )
        return find_contours(found[0])

    def _advice(self) -> str:
        """Says how a subfolder may be named otherwise, where no table was given."""
        if self.options.labels is not None:
            return (
                f" (named by the column {self.options.contour_column!r} of --labels, else by the PatientID)"
            )
        return "; a table may name it: --labels FILE, its column by --contour-column"

    def _singles(self, study: Study) -> Iterator[Case | SourceError]:
        """Yields each image of a study's series that are no cine as a case."""
        yield from study.faults
        cine = sum(len(series) for series in study.cines)
        if not study.stills and not study.faults:
            yield SourceError(
                f"patient {study.patient!r}: expected single images, found only cine ({cine} images)"
            )
        notes = [f"left out: {cine} images of cine series of this study"] if cine else []
        images = [i for series in study.stills for i in sorted(series, key=lambda image: image.instance)]
        for number, image in enumerate(images, start=1):
            try:
                yield self._single(study, image, f"{study.name}-{number}", notes)
            except SourceError as error:
                yield error

    def _single(self, study: Study, image: Image, name: str, notes: list[str]) -> Case:
        self._refuse_burned_in([image])
        orientation = orientation_of([image]) if image.orientation is not None else Orientation()
        return Case(
            case=name,
            patient=study.patient,
            study=study.uid,
            frames={"single": orientation.apply(read_pixels(image)[None])},
            spacing=_spacing(image, orientation),
            columns={**image.columns, "plane": plane(image)},
            sources=[image.path],
            notes=list(notes),
            transform=orientation.text,
        )

    def _refuse_burned_in(self, images: list[Image]) -> None:
        burned = [image for image in images if image.burned_in]
        if burned and not self.options.allow_burned_in:
            raise SourceError(
                f"{burned[0].path}: BurnedInAnnotation is YES in {len(burned)} of {len(images)} images of "
                f"series {burned[0].series_number}: the pixels may show the patient's name; "
                "--allow-burned-in accepts them"
            )


def largest_stack(study: Study) -> tuple[list[Series], list[str]]:
    """Returns the series of a study's cine stack with the most slices, and notes on what is left out.

    Raises:
        SourceError: the study has no cine, a series that cannot be placed, or two stacks equally large.
    """
    if study.faults:
        raise study.faults[0]
    stills = sum(len(series) for series in study.stills)
    groups = merge_series(study.cines)
    if not groups:
        raise SourceError(
            f"patient {study.patient!r}: expected a cine stack, found {stills} single images only"
        )
    if len(groups) > 1 and count_slices(groups[0]) == count_slices(groups[1]):
        raise SourceError(
            f"{name_of(groups[0][0])}: has {count_slices(groups[0])} slices like series "
            f"{groups[1][0][0].series_number} of another orientation or technique; choose by --series TEXT "
            "or leave one out"
        )
    notes = [
        f"left out: cine series {', '.join(str(series[0].series_number) for series in group)} "
        f"({count_slices(group)} slices)"
        for group in groups[1:]
    ]
    if stills:
        notes.append(f"left out: {stills} single images")
    return groups[0], notes


def plane(image: Image) -> str | None:
    """Returns axial, coronal, sagittal or oblique (over 25 degrees from all three); None for a radiograph."""
    if image.orientation is None:
        return None
    normal = np.abs(np.cross(image.orientation[:3], image.orientation[3:]))
    names = ("sagittal", "coronal", "axial")
    return names[int(normal.argmax())] if normal.max() > np.cos(np.radians(25)) else "oblique"


def _spacing(image: Image, orientation: Orientation) -> tuple[float, float] | None:
    return None if image.spacing is None else orientation.spacing(*image.spacing)


def _unique(paths: list[Path]) -> list[Path]:
    return list(dict.fromkeys(paths))
