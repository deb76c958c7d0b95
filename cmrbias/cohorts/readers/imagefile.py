"""Opening one image file of any kind that a table may name: NIfTI, DICOM, NumPy, PNG or JPEG.

What the axes of a file mean: NIfTI (x, y, z), of which y are the rows; DICOM, PNG and JPEG rows and
columns; a NumPy array (rows, columns) or (slices, rows, columns). The headers of NIfTI and DICOM files may
say how they lie in the patient, by which they are turned (see ``orientation``); NumPy, PNG and JPEG are
taken as stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cmrbias.cohorts.case import SourceError
from cmrbias.cohorts.orientation import canonical
from cmrbias.cohorts.readers.dicom_files import Image, is_dicom, read_images, read_pixels
from cmrbias.cohorts.readers.grid import Grid
from cmrbias.cohorts.readers.nifti import described, read_nifti
from cmrbias.errors import MissingExtra

_LUMINANCE = np.array([0.299, 0.587, 0.114])  # of red, green and blue (ITU-R BT.601)


@dataclass(frozen=True)
class ImageFile:
    """What a file holds.

    Attributes:
        path: the file.
        kind: tells what its axes mean (see above); PNG and JPEG are pictures.
        stored: (Z, rows, columns) as in the file, in the source's dtype and units.
        grid: how they lie.
        transform: how the array was turned into (row, column) order.
        notes: what had to be chosen, one sentence each.
    """

    path: Path
    kind: Literal["NIfTI", "DICOM", "NumPy", "picture"]
    stored: np.ndarray
    grid: Grid = Grid()
    transform: str = "as stored"
    notes: list[str] = field(default_factory=list)

    @cached_property
    def pixels(self) -> np.ndarray:
        """(Z, H, W) in the canonical orientation, rows first."""
        return self.grid.turn(self.stored)

    @property
    def spacing(self) -> tuple[float, float] | None:
        """(row, column) of ``pixels`` in mm, or None where the file does not say."""
        return self.grid.spacing


def open_image(path: Path) -> ImageFile:
    """Returns the image in a file; its kind is told from the name, or DICOM's magic word.

    Raises:
        SourceError: missing, damaged, cut short, or of no kind that is known.
        MissingExtra: the package that reads this kind is not installed.
    """
    if not path.is_file():
        raise SourceError(f"{path}: no such file")
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        stored, grid = read_nifti(path)
        return ImageFile(path, "NIfTI", stored, grid, described(grid))
    if name.endswith(".npy"):
        return _numpy(path)
    if name.endswith((".png", ".jpg", ".jpeg")):
        return _picture(path, _grey)
    if name.endswith((".dcm", ".dicom")) or is_dicom(path):
        return _dicom(path)
    raise SourceError(f"{path}: unknown kind of file; expected .nii, .nii.gz, DICOM, .npy, .png or .jpg")


def open_labels(path: Path) -> ImageFile:
    """Returns the label image in a file; of a PNG with a palette the indices, not the colours.

    Raises:
        SourceError: as ``open_image``, or the file is a JPEG or in colour, which hold no labels.
    """
    name = path.name.lower()
    if name.endswith((".jpg", ".jpeg")):
        raise SourceError(f"{path}: JPEG blurs labels; expected a mask as .png, .npy or NIfTI")
    if name.endswith(".png") and path.is_file():
        return _picture(path, _indices)
    return open_image(path)


def _numpy(path: Path) -> ImageFile:
    try:
        pixels = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError):  # whose texts are of pickles
        raise SourceError(
            f"{path}: not a readable .npy file of numbers (damaged or cut short?): copy it again"
        ) from None
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8)
    if pixels.dtype.kind not in "iuf":
        raise SourceError(f"{path}: expected numbers, found dtype {pixels.dtype}")
    if pixels.ndim not in (2, 3) or pixels.size == 0:
        raise SourceError(
            f"{path}: expected (rows, columns) or (slices, rows, columns), found {pixels.shape}"
        )
    return ImageFile(path, "NumPy", pixels if pixels.ndim == 3 else pixels[None])


def _dicom(path: Path) -> ImageFile:
    images = read_images(path)
    if len(images) != 1:
        raise SourceError(
            f"{path}: expected one image, found {len(images)}; 'cohort import dicom' reads multi-frame files"
        )
    image = images[0]
    if image.burned_in:
        raise SourceError(f"{path}: BurnedInAnnotation is YES: the pixels may show the patient's name")
    pixels = read_pixels(image)[None]
    if image.orientation is None:
        return ImageFile(path, "DICOM", pixels, Grid(spacing=image.spacing))
    try:
        orientation = canonical(image.orientation[:3], image.orientation[3:])
    except ValueError as error:
        raise SourceError(f"{path}: ImageOrientationPatient: {error}") from None
    spacing = orientation.spacing(*image.spacing) if image.spacing else None
    grid = Grid(orientation, spacing=spacing, oriented=True, place=_place(image))
    return ImageFile(path, "DICOM", pixels, grid, orientation.text)


def _place(image: Image) -> np.ndarray | None:
    """Returns where a DICOM image lies, as ``Grid`` has it; it is one slice, so its next one is nowhere."""
    if image.position is None or image.orientation is None or image.spacing is None:
        return None
    along_columns, along_rows = np.reshape(image.orientation, (2, 3))
    row, column = image.spacing
    return np.stack([image.position, np.zeros(3), along_rows * row, along_columns * column])


def _picture(path: Path, read: Callable[[Any], tuple[np.ndarray, list[str]]]) -> ImageFile:
    """A PNG or JPEG; its resolution field says how to print it, so it is not taken for a spacing."""
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtra("pillow", "imaging", "reading PNG and JPEG files") from None
    try:
        with Image.open(path) as picture:
            picture.load()
            pixels, notes = read(picture)
    except Exception as error:  # Pillow raises SyntaxError, struct.error, OSError, ... at damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(f"{path}: not a readable picture (damaged or cut short?): {reason}") from None
    return ImageFile(path, "picture", pixels[None], notes=notes)


def _grey(picture: Any) -> tuple[np.ndarray, list[str]]:
    """Returns grey values (H, W) uint8, uint16 or int32 of a Pillow image, and notes."""
    if picture.mode == "1":
        return np.asarray(picture.convert("L")), []
    if picture.mode in ("L", "I", "F") or picture.mode.startswith("I;16"):
        return np.asarray(picture), []
    notes = []
    if "A" in picture.getbands() or "transparency" in picture.info:
        notes.append("the alpha channel was dropped")
    channels = np.asarray(picture.convert("RGB"))
    if (channels == channels[..., :1]).all():
        return channels[..., 0], notes
    notes.append("colours became grey by luminance (0.299 red + 0.587 green + 0.114 blue)")
    return np.rint(channels @ _LUMINANCE).astype(np.uint8), notes


def _indices(picture: Any) -> tuple[np.ndarray, list[str]]:
    """Returns the stored values (H, W) of a grey picture, a bitmap or one with a palette."""
    if len(picture.getbands()) > 1:
        raise ValueError(f"expected labels in one channel, found {picture.mode}")
    return np.asarray(picture).astype(np.int64), []
