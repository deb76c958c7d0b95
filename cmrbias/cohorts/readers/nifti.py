"""Opening NIfTI files: slices as stored, and how to turn them into canonical ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cmrbias.cohorts.case import SourceError
from cmrbias.cohorts.orientation import canonical
from cmrbias.cohorts.readers.grid import Grid
from cmrbias.errors import MissingExtra

_MILLIMETRES = {"meter": 1000.0, "mm": 1.0, "micron": 0.001}
_TO_LPS = np.array([-1.0, -1.0, 1.0])  # NIfTI's world is RAS


def read_nifti(path: Path) -> tuple[np.ndarray, Grid]:
    """Returns a file's slices (Z, Y, X), rows first, scaled as its header says, and their grid.

    A two-dimensional file, or a time series of one volume, counts as a volume.

    Raises:
        SourceError: the file is missing, damaged, cut short, a time series, or in colour.
        MissingExtra: nibabel is not installed.
    """
    try:
        import nibabel
    except ImportError:
        raise MissingExtra("nibabel", "imaging", "reading NIfTI files") from None
    if not path.is_file():
        raise SourceError(f"{path}: no such file")
    try:
        image: Any = nibabel.load(path)
        voxels = np.asanyarray(image.dataobj)
    except Exception as error:  # nibabel, gzip, zlib and numpy each have their own for damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(f"{path}: not a readable NIfTI file (damaged or cut short?): {reason}") from None
    shape = voxels.shape
    if voxels.dtype.kind not in "iuf":
        raise SourceError(f"{path}: expected a grey image, found voxels of type {voxels.dtype}")
    while voxels.ndim > 3 and voxels.shape[-1] == 1:
        voxels = voxels[..., 0]
    if voxels.ndim == 2:
        voxels = voxels[..., None]
    if voxels.ndim != 3 or voxels.size == 0:
        raise SourceError(f"{path}: expected one volume (x, y, z), found an array of shape {shape}")
    return voxels.T, _grid(path, image)


def described(grid: Grid) -> str:
    """Returns what was done to a file's voxels, in words, for provenance."""
    if not grid.oriented:
        return "NIfTI (x, y, z) to (z, y, x); no orientation in the header (sform and qform codes are 0)"
    return f"NIfTI (x, y, z) to (z, y, x), then {grid.text}"


def _grid(path: Path, image: Any) -> Grid:
    header = image.header
    scale = _MILLIMETRES.get(header.get_xyzt_units()[0], 1.0)
    x, y = (float(zoom) * scale for zoom in header.get_zooms()[:2])
    known = bool(np.isfinite([x, y]).all() and min(x, y) > 0)
    if int(header["sform_code"]) == 0 and int(header["qform_code"]) == 0:
        return Grid(spacing=(y, x) if known else None)
    steps = image.affine[:3, :3].T * _TO_LPS * scale  # a row an array axis (x, y, z): its step in LPS
    try:
        orientation = canonical(steps[0], steps[1])
    except ValueError as error:
        raise SourceError(f"{path}: its affine gives no in-plane orientation: {error}") from None
    reverse = bool(steps[2] @ np.array(orientation.normal) < 0)
    spacing = orientation.spacing(y, x) if known else None
    place = np.stack([image.affine[:3, 3] * _TO_LPS * scale, *steps[::-1]])
    return Grid(orientation, reverse, spacing, oriented=True, place=place)
