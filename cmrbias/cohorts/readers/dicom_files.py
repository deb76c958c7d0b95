"""Opening DICOM files: what a header says of an image, and its pixels.

An enhanced multi-frame file holds many images; each is described as if it had a file of its own.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cmrbias.cohorts.case import SourceError
from cmrbias.errors import MissingExtra

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

# the only header fields that a cohort keeps: column -> DICOM keyword; the import makes dates day offsets
HEADER_COLUMNS = {
    "study_date": "StudyDate",
    "manufacturer": "Manufacturer",
    "scanner": "ManufacturerModelName",
    "field_strength": "MagneticFieldStrength",
    "sex": "PatientSex",
    "age": "PatientAge",
}

# values of ImageType, FrameType and ComplexImageComponent: of single-frame files by Siemens and Philips, and
# of enhanced ones
NO_MAGNITUDE = {"P", "PHASE MAP", "VELOCITY MAP", "PHASE", "VELOCITY"}
NO_MAGNITUDE |= {"R", "R_FFE", "REAL", "I", "I_FFE", "IMAGINARY"}


@dataclass(frozen=True)
class Image:
    """What the header says of one 2-D image; None or an empty text where it says nothing.

    Attributes:
        path, frame: the file, and the image's number (from 0) in an enhanced multi-frame file.
        patient, study, series: PatientID, StudyInstanceUID, SeriesInstanceUID.
        date: StudyDate, ``YYYYMMDD``.
        description, modality: SeriesDescription, Modality.
        technique: ScanningSequence and SequenceVariant, which tell cine from tagging or late enhancement.
        magnitude: nothing says that pixels are phases, velocities, or a real or imaginary part.
        series_number, acquisition, instance: SeriesNumber, AcquisitionNumber, InstanceNumber (the
            frame's number, from 1, in an enhanced file); 0 where absent.
        time: acquisition date and time, or those of the content; as text, later is greater.
        trigger: TriggerTime, in an enhanced file NominalCardiacTriggerDelayTime (ms after the R wave).
        temporal: TemporalPositionIdentifier, in an enhanced file TemporalPositionIndex.
        size: rows and columns.
        spacing: PixelSpacing, (row, column) in mm.
        position: ImagePositionPatient, (x, y, z) in mm of the first pixel's centre.
        orientation: ImageOrientationPatient, six direction cosines.
        burned_in: BurnedInAnnotation is YES.
        columns: the fields of ``HEADER_COLUMNS``.
    """

    path: Path
    patient: str
    study: str
    series: str
    date: str
    description: str
    modality: str
    technique: str
    magnitude: bool
    series_number: int
    acquisition: int
    instance: int
    time: str
    trigger: float | None
    temporal: float | None
    size: tuple[int, int]
    spacing: tuple[float, float] | None
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    burned_in: bool
    columns: dict[str, Any]
    frame: int | None = None


def is_dicom(path: Path) -> bool:
    """Tells whether a file starts with DICOM's 128-byte preamble and magic word."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def read_images(path: Path) -> list[Image]:
    """Returns the images that a DICOM file holds, from its header alone; none in a report or DICOMDIR.

    Raises:
        SourceError: the header is damaged, or the file is of a multi-frame class other than enhanced MR
            and its like (named).
    """
    header = _read_header(path)
    with _told(path, "its header cannot be read"):
        if "Rows" not in header or "Columns" not in header:
            return []
        count = int(header.get("NumberOfFrames") or 1)
        shared = "SharedFunctionalGroupsSequence" in header  # some single-frame files hold empty frame groups
        if "PerFrameFunctionalGroupsSequence" in header and (count > 1 or shared):
            frames = [_image(path, _frame_header(header, number)) for number in range(count)]
            return [replace(image, frame=n, instance=n + 1) for n, image in enumerate(frames)]
        if count > 1:
            raise SourceError(
                f"{path}: multi-frame files of class {header.SOPClassUID.name!r} are not supported; expected "
                "single-frame or enhanced multi-frame images: export single-frame ones"
            )
        return [_image(path, header)]


def read_pixels(image: Image) -> np.ndarray:
    """Returns an image's pixels (rows, columns) float32 in the modality's units.

    The modality LUT or rescale slope and intercept are applied, MONOCHROME1 is inverted (within the range
    of stored values), and padding pixels (PixelPaddingValue) are 0.

    Raises:
        SourceError: the transfer syntax cannot be decoded here (names packages to install), the pixel data
            are damaged or cut short, or in colour.
    """
    header = _read_header(image.path)
    from pydicom.pixels.utils import pixel_array

    with _told(image.path, "its pixel data cannot be read (damaged or cut short?)"):
        if image.frame is not None:
            header = _frame_header(header, image.frame)
        kind = header.PhotometricInterpretation
        if kind not in ("MONOCHROME1", "MONOCHROME2"):
            raise SourceError(f"{image.path}: expected a grey image (MONOCHROME1 or 2), found {kind!r}")
        _check_decodable(image.path, header.file_meta.TransferSyntaxUID)
        stored = pixel_array(image.path, index=image.frame or 0)
        return _modality_values(stored, header)


def _modality_values(stored: np.ndarray, header: Dataset) -> np.ndarray:
    from pydicom.pixels.processing import apply_modality_lut

    values = np.asarray(apply_modality_lut(stored, header), dtype=np.float32)
    if header.PhotometricInterpretation == "MONOCHROME1":
        signed = int(header.PixelRepresentation)
        lowest = -signed << (int(header.BitsStored) - 1)
        highest = lowest + (1 << int(header.BitsStored)) - 1
        ends = apply_modality_lut(np.array([lowest, highest]).astype(stored.dtype), header)
        values = np.float32(ends[0] + ends[1]) - values
    if "PixelPaddingValue" in header:
        first = int(header.PixelPaddingValue)
        second = int(header.get("PixelPaddingRangeLimit", first))
        values[(stored >= min(first, second)) & (stored <= max(first, second))] = 0
    return values


def _image(path: Path, header: Dataset) -> Image:
    """Returns the description of one image; wrongly typed fields raise ValueError or TypeError."""

    def first(convert: Callable[[Any], Any], *keywords: str, default: Any = None) -> Any:
        """Returns the first of these fields that is there and not empty."""
        filled = (header[k].value for k in keywords if k in header and header[k].value not in (None, ""))
        return next((convert(value) for value in filled), default)

    # of a frame its own type: the file's may be MIXED, or that of other frames
    kinds = [*first(_texts, "FrameType", "ImageType", default=()), first(_text, "ComplexImageComponent")]
    return Image(
        path=path,
        patient=first(_text, "PatientID", default=""),
        study=first(_text, "StudyInstanceUID", default=""),
        series=first(_text, "SeriesInstanceUID", default=""),
        date=first(_text, "StudyDate", default=""),
        description=first(_text, "SeriesDescription", default=""),
        modality=first(_text, "Modality", default=""),
        technique=f"{header.get('ScanningSequence', '')} {header.get('SequenceVariant', '')}",
        magnitude=NO_MAGNITUDE.isdisjoint(kinds),
        series_number=first(int, "SeriesNumber", default=0),
        acquisition=first(int, "AcquisitionNumber", "FrameAcquisitionNumber", default=0),
        instance=first(int, "InstanceNumber", default=0),
        time=_time(first),
        trigger=first(float, "TriggerTime", "NominalCardiacTriggerDelayTime"),
        temporal=first(float, "TemporalPositionIdentifier", "TemporalPositionIndex"),
        size=(int(header.Rows), int(header.Columns)),
        spacing=first(_spacing, "PixelSpacing"),
        position=first(_numbers(3), "ImagePositionPatient"),
        orientation=first(_numbers(6), "ImageOrientationPatient"),
        burned_in=first(_text, "BurnedInAnnotation", default="").upper() == "YES",
        columns={name: _column(first(_text, keyword)) for name, keyword in HEADER_COLUMNS.items()},
    )


def _time(first: Callable[..., Any]) -> str:
    """Returns the time of acquisition as sortable text, date before time of day."""
    whole = first(_text, "FrameAcquisitionDateTime", "AcquisitionDateTime")
    if whole is not None:
        return str(whole)
    date = first(_text, "AcquisitionDate", "ContentDate", "SeriesDate", default="")
    return str(date + first(_text, "AcquisitionTime", "ContentTime", "SeriesTime", default=""))


def _text(value: Any) -> str:
    return str(value).strip()


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(part) for part in value]


def _numbers(count: int) -> Callable[[Any], tuple[float, ...]]:
    def convert(value: Any) -> tuple[float, ...]:
        result = tuple(float(number) for number in value)
        if len(result) != count or not np.isfinite(result).all():
            raise ValueError(f"expected {count} finite numbers, found {value}")
        return result

    return convert


def _spacing(value: Any) -> tuple[float, ...]:
    spacing = _numbers(2)(value)
    if min(spacing) <= 0:
        raise ValueError(f"expected a PixelSpacing over 0 mm, found {value}")
    return spacing


def _column(text: str | None) -> str | int | None:
    """Returns a field's text; an age like ``053Y`` becomes a number of years."""
    age = re.fullmatch(r"(\d{3})Y", text or "")
    return int(age[1]) if age else text


def _frame_header(header: Dataset, frame: int) -> Dataset:
    """Returns a header like a single-frame file's for one frame of an enhanced file.

    The fields of the shared functional groups and of the frame's own stand at its top level.
    """
    from pydicom.dataset import Dataset

    flat = Dataset()
    flat.update(header)
    flat.file_meta = header.file_meta
    shared = header.get("SharedFunctionalGroupsSequence") or []
    for groups in (*shared, header.PerFrameFunctionalGroupsSequence[frame]):
        for element in groups:
            if element.VR == "SQ" and element.value:
                flat.update(element.value[0])
    return flat


def _check_decodable(path: Path, syntax: UID) -> None:
    """Raises SourceError with the packages to install if no installed one decodes the transfer syntax."""
    from pydicom.pixels.decoders.base import get_decoder

    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise SourceError(
            f"{path}: transfer syntax {syntax.name!r} is not one that pydicom decodes; convert the file"
        ) from None
    if not decoder.is_available:
        # pydicom says "pylibjpeg - requires pylibjpeg>=2.0 and pylibjpeg-libjpeg>=2.1"
        choices = [line.partition(" requires ")[2] for line in decoder.missing_dependencies]
        raise SourceError(
            f"{path}: transfer syntax {syntax.name!r} cannot be decoded here; to decode it pip install "
            + ", or ".join(choices)
        )


@contextmanager
def _told(path: Path, what: str) -> Iterator[None]:
    """Turns whatever pydicom raises at damaged bytes into a SourceError that names the file.

    It raises errors of a dozen types, so all are taken. Its warnings (about identifiers that
    anonymisers made, mostly) are of no use to who cannot change the file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except SourceError:
        raise
    except Exception as error:
        raise SourceError(f"{path}: {what}: {' '.join(str(error).split()) or type(error).__name__}") from None


def _read_header(path: Path) -> Dataset:
    try:
        from pydicom import dcmread
    except ImportError:
        raise MissingExtra("pydicom", "imaging", "reading DICOM files") from None
    with _told(path, "its header cannot be read"):
        return dcmread(path, stop_before_pixels=True)
