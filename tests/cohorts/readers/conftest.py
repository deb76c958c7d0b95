"""DICOM files made for the tests of readers: small images whose value tells slice and phase."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from cmrbias.cohorts.case import Case, SourceError
from cmrbias.cohorts.readers.dicom import DicomOptions, DicomReader

SHORT_AXIS = [0.712221, 0.701112, -0.0343949, -0.307716, 0.267798, -0.913015]  # canonical as stored
NORMAL = np.cross(SHORT_AXIS[:3], SHORT_AXIS[3:])


def write(path: Path, pixels: np.ndarray, **fields) -> Path:
    """Writes one MR image; ``fields`` change or, with None, remove header fields."""
    header = Dataset()
    header.SOPClassUID, header.SOPInstanceUID = MRImageStorage, generate_uid(entropy_srcs=[str(path)])
    header.Modality, header.Manufacturer = "MR", "ACME"
    header.PatientID, header.PatientName, header.StudyDate = "P1", "Doe^Jane", "20200131"
    header.StudyInstanceUID, header.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    header.SeriesNumber, header.InstanceNumber = 4, 1
    header.ImageOrientationPatient, header.ImagePositionPatient = SHORT_AXIS, [0, 0, 0]
    header.PixelSpacing = [1.25, 1.5]
    header.Rows, header.Columns = pixels.shape[-2:]
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 16, 15, 0
    header.PixelData = pixels.astype("<u2").tobytes()
    for name, value in fields.items():
        if value is None:
            header.pop(name, None)
        else:
            setattr(header, name, value)
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    path.parent.mkdir(parents=True, exist_ok=True)
    header.save_as(path, enforce_file_format=True)
    return path


def value_of(slice_: int, phase: int) -> int:
    return 100 * (slice_ + 1) + phase + 1


def write_slice(folder: Path, slice_: int, phases: int = 4, add: int = 0, shape=(6, 8), **fields) -> None:
    """Writes the phases of a slice; each image is constant, its value tells slice and phase."""
    for phase in range(phases):
        own = {
            "ImagePositionPatient": [float(v) for v in 8.0 * slice_ * NORMAL],
            "TriggerTime": 50.0 * phase,
            "InstanceNumber": slice_ * phases + phase + 1,
        }
        own |= {name: value(phase) if callable(value) else value for name, value in fields.items()}
        pixels = np.full(shape, value_of(slice_, phase) + add)
        write(folder / f"{slice_}-{phase}-{add}.dcm", pixels, **own)


def write_cine(folder: Path, slices: int = 3, phases: int = 4, **fields) -> None:
    for slice_ in range(slices):
        write_slice(folder, slice_, phases, **fields)


def read(source: Path, **options) -> list[Case | SourceError]:
    return list(DicomReader(DicomOptions(**options)).read(source))


def only(source: Path, **options) -> Case:
    (case,) = read(source, **options)
    if isinstance(case, SourceError):
        raise case
    return case


def values(case: Case, frame: str) -> list[float]:
    """The constant value of each slice."""
    assert all(np.ptp(slice_) == 0 for slice_ in case.frames[frame])
    return [float(slice_[0, 0]) for slice_ in case.frames[frame]]


def expected(slices: int, phase: int) -> list[float]:
    return [value_of(slice_, phase) for slice_ in range(slices)]


def write_labels(
    path: Path, rows: list[list[str]], header=("PatientID", "OriginalID", "Age", "Pathology")
) -> Path:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture(scope="session")
def dicom() -> SimpleNamespace:
    """The functions of this file."""
    functions = (write, write_slice, write_cine, write_labels, read, only, value_of, values, expected)
    return SimpleNamespace(**{f.__name__: f for f in functions}, SHORT_AXIS=SHORT_AXIS, NORMAL=NORMAL)
