"""What a user should know of the cases that are explained, and of the maps' size."""

from __future__ import annotations

import numpy as np

from cmrbias.evaluation.selection import cohort_notes, run_notes
from cmrbias.saliency.dilation import MARGINS
from cmrbias.saliency.subject import Subject

FEWEST = 7  # cells a side from which a map says where


def coarse_note(method: str, height: int, width: int, stride: int) -> list[str]:
    """Returns the warning that maps of a method have too few cells, if they have.

    Args:
        method: its name.
        height, width: of the maps in cells.
        stride: of the network.
    """
    if min(height, width) >= FEWEST:
        return []
    finer = " or at --stride 16" if stride > 16 else ""
    return [
        f"warning: {method}: maps have {height} x {width} cells, too few to say where in the heart; "
        f"expected {FEWEST} x {FEWEST} or more: train on larger images{finer}"
    ]


def subject_notes(subject: Subject) -> list[str]:
    """Returns what is said of the run, other image sizes, what was left out, donors, labels, who was seen."""
    said = run_notes(subject.run)
    said += cohort_notes(subject.run, subject.classifier, subject.cases.cohort)
    if subject.left_out:
        each = ", ".join(f"{name} {count}" for name, count in subject.left_out.items())
        said.append(f"left out: frames without a complete heart mask ({each})")
    if subject.donors is not None:
        said.append(f"input {subject.mode.name}: the mean over {subject.draws} fixed donors a case")
    if subject.without_donor:
        said.append(f"left out: {subject.without_donor} cases without a donor, or of an unknown class")
    said += _pixel_notes(subject)
    unknown = int((subject.labels[subject.rows] < 0).sum())
    if unknown:
        said.append(
            f"{unknown} cases have a label that is none of the run's classes: no map of their true class"
        )
    if str(subject.seen):
        said.append(f"warning: {subject.seen}")
    return said


def _pixel_notes(subject: Subject) -> list[str]:
    """Returns what pixel sizes do to scores with dilated masks."""
    margins = " and ".join(map(str, MARGINS))
    spacing = subject.cases.spacing(subject.rows, subject.classifier.image_size)
    unknown = int(np.isnan(spacing[:, 0]).sum())
    if unknown == len(spacing):
        return [f"no pixel size in this cohort: no scores with the mask dilated by {margins} mm"]
    said = []
    if unknown:
        said.append(
            f"{unknown} cases have no pixel size: not among those with the mask dilated by {margins} mm"
        )
    smallest = float(np.nanmin(spacing))
    if smallest > MARGINS[0]:
        said.append(
            f"pixels of {smallest:.1f} mm or more: a mask dilated by {MARGINS[0]} mm is the mask as it is"
        )
    return said
