"""A table of patients: one row a patient, with the diagnosis and whatever else is known."""

from __future__ import annotations

import csv
from pathlib import Path

from cmrbias.errors import CmrbiasError, unknown


def read_patients(path: Path, patient_column: str, label_column: str) -> dict[str, dict[str, str]]:
    """Returns patient -> row (column -> text) of a CSV file with a header line, read as ``utf-8-sig``.

    Raises:
        CmrbiasError: the file cannot be read, lacks one of the two columns, has a row of the wrong length,
            or has a patient twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [[cell.strip() for cell in line] for line in csv.reader(file) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CmrbiasError(f"{path}: expected a CSV file with a row a patient: {error}") from None
    header = lines[0] if lines else []
    for column, flag in ((patient_column, "--patient-column"), (label_column, "--label-column")):
        if column not in header:
            raise CmrbiasError(f"{path}: {flag}: {unknown('column', column, header)}")
    patients: dict[str, dict[str, str]] = {}
    for number, cells in enumerate(lines[1:], start=2):
        if len(cells) != len(header):
            raise CmrbiasError(f"{path}: row {number}: expected {len(header)} cells, found {len(cells)}")
        row = dict(zip(header, cells, strict=True))
        patient = row[patient_column]
        if patient in patients:
            raise CmrbiasError(
                f"{path}: row {number}: patient {patient!r} is there twice; expected one row each"
            )
        patients[patient] = row
    return patients
