"""Writing a cohort in the official layout of ACDC (see ``cohorts/readers/acdc.py``)."""

from __future__ import annotations

import csv
import gzip
import io
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cmrbias.cohorts.format import Cohort
from cmrbias.cohorts.readers.acdc import FOLDERS, GROUPS
from cmrbias.cohorts.writer import refuse_existing
from cmrbias.errors import CmrbiasError, MissingExtra, unknown
from cmrbias.files import write_atomically

FRAMES = ("ED", "ES")
_KEPT = ("Height", "Weight")


@dataclass(frozen=True)
class ExportReport:
    """What was written: how many patients into each folder, and what a reader should know."""

    out: Path
    patients: dict[str, int]
    notes: list[str]


def export_acdc(cohort: Cohort, out: Path, label: str = "label") -> ExportReport:
    """Writes a cohort as ``out/training/patient001/...``; all or nothing.

    A case becomes a patient of one slice, numbered in the cohort's order, training first;
    ``out/cases.csv`` says which is which. The 4D file holds the two frames that there are. Images are
    the stored integers; arrays lie so that an import gives them back unturned.

    Args:
        cohort: with frames ED and ES, masks and a pixel size.
        out: a new folder.
        label: the column that becomes ``Group``.

    Raises:
        CmrbiasError: the cohort lacks what ACDC's layout needs, or ``out`` exists.
        MissingExtra: nibabel is not installed.
    """
    refuse_existing(out)
    pixel_size = _check(cohort, label)
    numbered = _numbered(cohort)
    groups, names = cohort.column(label), cohort.column("case")
    further = {name: cohort.column(name) for name in _KEPT if name in cohort.columns}
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        for folder in FOLDERS:
            (partial / folder).mkdir(parents=True)
        for row, folder, patient in numbered:
            info = {"Group": groups[row], **{name: cells[row] for name, cells in further.items()}}
            _write_patient(partial / folder / patient, cohort, row, info, pixel_size)
        _write_names(partial / "cases.csv", [(f"{folder}/{p}", names[row]) for row, folder, p in numbered])
        refuse_existing(out)
        os.rename(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    counts = {name: sum(folder == name for _, folder, _ in numbered) for name in FOLDERS}
    return ExportReport(out, counts, _notes(cohort, groups))


def _check(cohort: Cohort, label: str) -> float:
    """Returns the pixel size in mm of a cohort that ACDC's layout can hold."""
    missing = [frame for frame in FRAMES if frame not in cohort.frames]
    if missing:
        raise CmrbiasError(
            f"{cohort.path}: ACDC's layout needs the frames ED and ES, this cohort has "
            f"{', '.join(cohort.frames)}"
        )
    if not cohort.has_masks:
        raise CmrbiasError(f"{cohort.path}: ACDC's layout needs masks, this cohort has none")
    if label not in cohort.columns:
        raise CmrbiasError(f"{cohort.path}: --label: {unknown('column', label, cohort.columns)}")
    empty = np.flatnonzero(cohort.column(label) == "")
    if empty.size:
        raise CmrbiasError(
            f"{cohort.path}: ACDC's layout needs a group for each case; column {label!r} is empty in row "
            f"{empty[0] + 2} of cases.csv ({empty.size} in all)"
        )
    pixel_size = cohort.meta.get("pixel_size")
    if not isinstance(pixel_size, int | float):
        raise CmrbiasError(f"{cohort.path}: ACDC's layout needs one pixel size in mm, this cohort has none")
    return float(pixel_size)


def _numbered(cohort: Cohort) -> list[tuple[int, str, str]]:
    """Returns (row, folder, patient's name) of each case, training first."""
    splits = cohort.column("split")
    strange = sorted(set(splits) - set(FOLDERS.values()))
    if strange:
        raise CmrbiasError(f"{cohort.path}: expected the splits train and test, found {str(strange[0])!r}")
    rows = [(int(row), f) for f, split in FOLDERS.items() for row in np.flatnonzero(splits == split)]
    return [(row, folder, f"patient{number:03d}") for number, (row, folder) in enumerate(rows, start=1)]


def _write_patient(
    folder: Path, cohort: Cohort, row: int, info: Mapping[str, str], pixel_size: float
) -> None:
    """Writes one patient: Info.cfg, the 4D file, and for each frame its image and its labels."""
    folder.mkdir()
    positions = [cohort.frames.index(frame) for frame in FRAMES]
    images = cohort.images(np.array([row]))[0, positions]
    images = images.astype(np.int16) if images.dtype == np.uint8 else images
    masks = cohort.masks(np.array([row]))[0, positions]
    _write_nifti(folder / f"{folder.name}_4d.nii.gz", images, pixel_size)
    for number, (image, mask) in enumerate(zip(images, masks, strict=True), start=1):
        stem = f"{folder.name}_frame{number:02d}"
        _write_nifti(folder / f"{stem}.nii.gz", image[None], pixel_size)
        _write_nifti(folder / f"{stem}_gt.nii.gz", mask[None], pixel_size)
    keys = {"ED": 1, "ES": 2, "NbFrame": len(FRAMES), **{k: v for k, v in info.items() if v}}
    text = "".join(f"{key}: {keys[key]}\n" for key in sorted(keys))
    write_atomically(folder / "Info.cfg", lambda file: file.write(text.encode()))


def _write_nifti(path: Path, images: np.ndarray, pixel_size: float) -> None:
    """Writes images (T, H, W) as voxels (x, y, 1, T), or (x, y, 1) if T is 1.

    The affine says that columns run to the patient's left and rows to the back, which an import leaves
    as it is. The slice's thickness is not known; 1 mm stands for it.
    """
    voxels = images.transpose(2, 1, 0)[:, :, None, :]
    affine = np.diag([-pixel_size, -pixel_size, 1.0, 1.0])
    image = _nibabel().Nifti1Image(voxels[..., 0] if len(images) == 1 else voxels, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = b"cmrbias: one slice, thickness unknown"
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    packed = gzip.compress(image.to_bytes(), mtime=0)  # no time in it: the same cohort, the same bytes
    write_atomically(path, lambda file: file.write(packed))


def _nibabel() -> Any:
    try:
        import nibabel
    except ImportError:
        raise MissingExtra("nibabel", "imaging", "writing NIfTI files") from None
    return nibabel


def _write_names(path: Path, names: list[tuple[str, str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("folder", "case"), *names])
    write_atomically(path, lambda file: file.write(text.getvalue().encode()))


def _notes(cohort: Cohort, groups: np.ndarray) -> list[str]:
    """Returns what in the export is not as in ACDC, one sentence each."""
    notes = ["each patient has one slice, and a 4D file of two frames (ED 1, ES 2)"]
    strange = sorted(set(groups) - set(GROUPS))
    if strange:
        notes.append(f"groups that ACDC does not have were written as they are: {', '.join(strange)}")
    positions = [cohort.frames.index(frame) for frame in FRAMES]
    incomplete = int((~cohort.complete()[:, positions]).any(axis=1).sum())
    if incomplete or set(cohort.structures) != {"RV", "MYO", "LV"}:
        held = ", ".join(cohort.structures)
        notes.append(f"masks hold {held}; those of {incomplete} of {len(cohort)} cases are incomplete")
    several = len(cohort) - len(set(cohort.column("patient")))
    if several:
        notes.append(
            f"{several} cases are further ones of a patient, but got a patient's number of their own"
        )
    left_out = [frame for frame in cohort.frames if frame not in FRAMES]
    if left_out:
        notes.append(f"frames left out: {', '.join(left_out)}")
    return notes
