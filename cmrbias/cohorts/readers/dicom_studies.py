"""Searching a folder for DICOM images and sorting them by patient and study, into cine and still series."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from cmrbias.cohorts.case import SourceError
from cmrbias.cohorts.readers.dicom_files import Image, is_dicom, read_images
from cmrbias.cohorts.readers.dicom_stacks import Series, is_cine, split_series
from cmrbias.errors import CmrbiasError


@dataclass
class Study:
    """The images of one study.

    Attributes:
        patient, uid: PatientID (or the folder that stands for it), StudyInstanceUID.
        name: what cases are called: the patient, and which study where there are several.
        cines, stills: its series that show a slice at several phases, and the others.
        faults: MR series that do not say where they lie, so that they can be neither.
    """

    patient: str
    uid: str
    name: str
    cines: list[Series] = field(default_factory=list)
    stills: list[Series] = field(default_factory=list)
    faults: list[SourceError] = field(default_factory=list)


@dataclass
class Found:
    """What a folder holds: studies by patient and date, unreadable files, and what was ignored."""

    studies: list[Study]
    errors: list[SourceError]
    notes: list[str]


def find_studies(source: Path, description: str | None = None) -> Found:
    """Reads the headers of all DICOM files under ``source``.

    Args:
        source: a folder, or one file.
        description: only series whose SeriesDescription contains this text, if given.

    Raises:
        CmrbiasError: there is no such folder, or no DICOM image in it.
    """
    if not source.exists():
        raise CmrbiasError(f"{source}: expected a folder of DICOM files, found nothing there")
    images: list[Image] = []
    errors: list[SourceError] = []
    notes: Counter[str] = Counter()
    for path in sorted(p for p in source.rglob("*") if p.is_file()) if source.is_dir() else [source]:
        if not is_dicom(path):
            notes["files without DICOM's preamble"] += 1
            continue
        try:
            held = read_images(path)
        except SourceError as error:
            errors.append(error)
            continue
        chosen = [i for i in held if description is None or description in i.description]
        wanted = [i for i in chosen if i.magnitude]
        notes["DICOM files without an image"] += not held
        notes["images of other series"] += len(held) - len(chosen)
        notes["images that are no magnitudes (phase, velocity, real, imaginary)"] += len(chosen) - len(wanted)
        images.extend(_with_patient(image, source) for image in wanted)
    if not images and not errors:
        raise CmrbiasError(f"{source}: expected DICOM images, found none; {_counted(notes)}")
    return Found(_studies(images), errors, [f"ignored: {_counted(notes)}"] if notes.total() else [])


def _counted(notes: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in notes.items() if count) or "no file at all"


def _with_patient(image: Image, source: Path) -> Image:
    """Returns the image with a patient: where PatientID is empty, the folder below ``source``."""
    if image.patient:
        return image
    folders = image.path.relative_to(source).parts[:-1] if source.is_dir() else ()
    return replace(image, patient=folders[0] if folders else source.resolve().name)


def _studies(images: list[Image]) -> list[Study]:
    groups: dict[tuple[str, str], list[Image]] = {}
    for image in images:
        groups.setdefault((image.patient, image.study), []).append(image)
    ordered = sorted(groups.items(), key=lambda item: (item[0][0], item[1][0].date, item[0][1]))
    seen: Counter[str] = Counter()
    several = Counter(patient for patient, _ in groups)
    studies = []
    for (patient, uid), group in ordered:
        seen[patient] += 1
        name = f"{patient}-{seen[patient]}" if several[patient] > 1 else patient
        study = Study(patient, uid, name)
        _sort_series(study, group)
        studies.append(study)
    return studies


def _sort_series(study: Study, images: list[Image]) -> None:
    for series in split_series(images):
        try:
            cine = not _is_projection(series) and is_cine(series)
        except SourceError as error:
            study.faults.append(error)
        else:
            (study.cines if cine else study.stills).append(series)


def _is_projection(series: Series) -> bool:
    """Tells whether a series is of a kind that has no plane in the patient: radiographs, screenshots."""
    return all(i.position is None and i.orientation is None and i.modality != "MR" for i in series)
