"""Patients that must not be tested on: the run's weights have seen them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmrbias.errors import CmrbiasError
from cmrbias.training.run import Run, patient_hash


@dataclass(frozen=True)
class Seen:
    """How many of the tested patients the run, or a run that its weights come from, was trained on."""

    patients: int
    tested: int

    def __str__(self) -> str:
        """For every table; empty if none was seen."""
        if not self.patients:
            return ""
        return f"{self.patients} of {self.tested} patients were SEEN in training (--allow-seen)"


def count_seen(run: Run, patients: np.ndarray, allow: bool) -> Seen:
    """Returns how many of ``patients`` (N,) str, one a case, the run has seen.

    Raises:
        CmrbiasError: there are some, and they are not allowed.
    """
    hashes = set(run.info.get("patients_seen", []))
    tested = np.unique(patients).tolist()
    seen = [patient for patient in tested if patient_hash(patient) in hashes]
    if seen and not allow:
        more = ", ..." if len(seen) > 3 else ""
        raise CmrbiasError(
            f"{run.path}: has seen {len(seen)} of {len(tested)} test patients in training "
            f"({', '.join(seen[:3])}{more}): test on others, or add --allow-seen, which every table then says"
        )
    return Seen(len(seen), len(tested))
