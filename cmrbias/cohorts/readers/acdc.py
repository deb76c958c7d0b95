"""The official layout of ACDC (Bernard et al., IEEE TMI 2018), and any cohort exported to it.

training/patient001/Info.cfg                     ED: 1, ES: 12, Group: DCM, ...: one "key: value" a line
training/patient001/patient001_frame01.nii.gz    the stack at ED, and at ES: _frame12
training/patient001/patient001_frame01_gt.nii.gz its labels: 0 background, 1 RV, 2 myocardium, 3 LV
testing/patient101/...                           likewise
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cmrbias.cohorts.case import Case, Reader, SourceError
from cmrbias.cohorts.readers.checks import check_finite, checked_labels, common_spacing
from cmrbias.cohorts.readers.grid import Grid
from cmrbias.cohorts.readers.nifti import described, read_nifti
from cmrbias.errors import CmrbiasError

GROUPS = ("DCM", "HCM", "MINF", "NOR", "RV")
FOLDERS = {"training": "train", "testing": "test"}
KEPT = ("Height", "Weight", "NbFrame")  # keys of Info.cfg that become columns


@dataclass(frozen=True)
class Patient:
    """A patient's folder and what its Info.cfg says."""

    folder: Path
    split: str | None
    info: dict[str, str]


class AcdcReader(Reader):
    """Import ACDC's NIfTI layout: end-diastole and end-systole, labels, diagnoses."""

    source = "folder that holds training/ and testing/, one of these two, or a folder of patient folders"
    frames = ("ED", "ES")
    structures = ("RV", "MYO", "LV")

    def read(self, source: Path) -> Iterator[Case | SourceError]:
        """Returns the cases, ordered by folder; ``targets`` is set when it returns.

        Raises:
            CmrbiasError: ``source`` is no such folder.
        """
        patients = find_patients(source)
        groups = {p.info["Group"] for p in patients if isinstance(p, Patient)}
        classes = {"classes": list(GROUPS)} if groups <= set(GROUPS) else {}
        self.targets = {"label": {"kind": "class", **classes}}
        return (p if isinstance(p, SourceError) else _try_case(p) for p in patients)


def find_patients(source: Path) -> list[Patient | SourceError]:
    """Returns the patients below ``source`` in order, an error in place of each without a usable Info.cfg."""
    if not source.is_dir():
        raise CmrbiasError(f"{source}: no such folder; expected ACDC's, which holds training/ and testing/")
    parts: list[tuple[Path, str | None]] = [
        (source / name, split) for name, split in FOLDERS.items() if (source / name).is_dir()
    ]
    found: list[Patient | SourceError] = []
    whole = (source, FOLDERS.get(source.resolve().name))
    for part, split in parts or [whole]:
        folders = sorted(f for f in part.iterdir() if f.is_dir() and _is_patient(f))
        if not folders:
            raise CmrbiasError(
                f"{part}: holds no patient folder; expected {part.name}/patient001/Info.cfg and so on"
            )
        for folder in folders:
            try:
                found.append(Patient(folder, split, read_info(folder / "Info.cfg")))
            except SourceError as error:
                found.append(error)
    return found


def _is_patient(folder: Path) -> bool:
    return folder.name.startswith("patient") or (folder / "Info.cfg").is_file()


def read_info(path: Path) -> dict[str, str]:
    """Returns an Info.cfg as a dictionary; ``ED``, ``ES`` and ``Group`` are there for certain.

    Raises:
        SourceError: missing, or a line or one of these keys is not as it should be.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file; expected ED, ES and Group in it") from None
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not a text file: {error}") from None
    info = {}
    for number, line in enumerate(lines, start=1):
        key, colon, value = line.partition(":")
        if not colon and line.strip():
            raise SourceError(f"{path}: line {number}: expected 'key: value', found {line.strip()!r}")
        info[key.strip()] = value.strip()
    for key in ("ED", "ES"):
        if not info.get(key, "").isdecimal():
            raise SourceError(f"{path}: expected '{key}: N', a frame's number, found {info.get(key)!r}")
    if not info.get("Group"):
        raise SourceError(f"{path}: has no 'Group'; expected one of {', '.join(GROUPS)}")
    return info


def _try_case(patient: Patient) -> Case | SourceError:
    try:
        return _case(patient)
    except SourceError as error:
        return error


def _case(patient: Patient) -> Case:
    name, group = patient.folder.name, patient.info["Group"]
    case = Case(
        case=name,
        patient=name,
        frames={},
        split=patient.split,
        columns={"label": group, **{key: patient.info.get(key) for key in KEPT}},
        sources=[patient.folder / "Info.cfg"],
        notes=[] if group in GROUPS else [f"group {group} is none of ACDC's five"],
    )
    grids = {}
    for frame in AcdcReader.frames:
        stem = f"{name}_frame{int(patient.info[frame]):02d}"
        grids[frame] = _add_frame(
            case, frame, _nifti(patient.folder, stem), _nifti(patient.folder, f"{stem}_gt")
        )
    ed, es = (case.frames[frame].shape for frame in AcdcReader.frames)
    if ed != es:
        raise SourceError(f"{patient.folder}: ED and ES differ in shape (slices, rows, columns): {ed}, {es}")
    case.spacing = common_spacing({f: grid.spacing for f, grid in grids.items()}, str(patient.folder))
    case.transform = "; ".join(dict.fromkeys(described(grid) for grid in grids.values()))
    return case


def _nifti(folder: Path, stem: str) -> Path:
    """Returns the file of that name, unpacked if only that is there."""
    packed, plain = folder / f"{stem}.nii.gz", folder / f"{stem}.nii"
    return plain if plain.is_file() and not packed.is_file() else packed


def _add_frame(case: Case, frame: str, image: Path, mask: Path) -> Grid:
    """Adds a frame's stack and labels; the labels lie on the image's grid, whatever their own header says."""
    stored, grid = read_nifti(image)
    check_finite(stored.T, image)  # (x, y, z), as whoever looks for the voxel opens it
    if grid.spacing is None:
        raise SourceError(f"{image}: its header holds no pixel size")
    labels, _ = read_nifti(mask)
    stack = grid.turn(stored)
    case.frames[frame] = stack
    case.masks[frame] = checked_labels(grid.turn(labels), stack.shape, mask)
    case.sources += [image, mask]
    return grid
