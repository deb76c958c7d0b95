"""Which cases of a cohort a classifier is tested on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cmrbias.backbones import Classifier
from cmrbias.cohorts.format import Cohort
from cmrbias.errors import CmrbiasError
from cmrbias.inputs import InputMode
from cmrbias.training.cases import Cases
from cmrbias.training.labelled import refuse_maskless
from cmrbias.training.run import Run


def tested_cohort(run: Run, given: Path | str | None) -> Cohort:
    """Returns the cohort to test on: the one that is given, else the one that the run was trained on.

    Raises:
        CmrbiasError: it is none, or the one that the run was trained on has changed since.
    """
    if given is not None:
        return Cohort.open(given)
    cohort = Cohort.open(run.info["settings"]["cohort"])
    if cohort.digest != run.info["cohort"]["digest"]:
        raise CmrbiasError(
            f"{cohort.path}: has changed since {run.path} was trained on it: expected digest "
            f"{run.info['cohort']['digest'][:12]}, found {cohort.digest[:12]}; to test on it as it is now, "
            f"add --cohort {cohort.path}"
        )
    return cohort


def selected_cases(classifier: Classifier, cohort: Cohort, split: str) -> Cases:
    """Returns the cases of a split with the frames that the classifier takes.

    Images of another size than the classifier's are resampled as in training (see ``Cases.shown``).

    Raises:
        CmrbiasError: the cohort lacks a frame, no case is in the split, or images differ in size.
    """
    missing = [name for name in classifier.frames if name not in cohort.frames]
    if missing:
        raise CmrbiasError(
            f"{cohort.path}: expected the frames {', '.join(classifier.frames)}, which the classifier takes, "
            f"found {', '.join(cohort.frames)}: choose a cohort that has them, or train on its own frames"
        )
    return Cases(cohort, cohort.cases(split), classifier.frames)


def shown_rows(cases: Cases, mode: InputMode, split: str) -> np.ndarray:
    """Returns the row numbers (n,) int64 of the cases that can be shown in the mode.

    For a mode that needs masks they are those with complete masks in all frames.

    Raises:
        CmrbiasError: there is none.
    """
    if not mode.needs_masks:
        return np.arange(len(cases))
    refuse_maskless(cases, split)
    return np.flatnonzero(cases.complete.all(1))
