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
from cmrbias.training.stored_images import StoredImages, size_notes


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


def selected_cases(run: Run, classifier: Classifier, cohort: Cohort, split: str) -> Cases:
    """Returns the cases of a split with the frames that the run's classifier takes.

    Images of another size than the classifier's are resampled as in training (see ``Cases.shown``);
    ``cohort_notes`` tells of it.

    Raises:
        CmrbiasError: the cohort lacks a frame, no case is in the split, or images differ in size.
    """
    missing = [name for name in classifier.frames if name not in cohort.frames]
    if missing:
        raise CmrbiasError(
            f"{cohort.path}: expected the frames {', '.join(classifier.frames)}, which {run.path} takes, "
            f"found {', '.join(cohort.frames)}: choose a cohort that has them, or train on its own frames"
        )
    return Cases(cohort, cohort.cases(split), classifier.frames)


def run_notes(run: Run) -> list[str]:
    """Returns what is unusual about the weights of a run of ``finetune`` or ``probe``, a line each.

    A line if ``best.pt`` is gone, so that those of the last epoch are taken, and one if the training was
    stopped before its last epoch.
    """
    said, trained = [], [line["epoch"] for line in run.log if line["epoch"] > 0]
    if any("val_auc" in line for line in run.log if line["epoch"] > 0) and not run.best.exists():
        said.append(
            f"warning: {run.best}: is gone, though epochs were selected by validation: the weights are "
            f"those of {run.last.name}, the last epoch; train again to have the best"
        )
    epochs = run.info["settings"]["recipe"]["epochs"]
    done = max(trained, default=0)
    if done < epochs:
        said.append(
            f"warning: {run.path}: trained {done} of {epochs} epochs: to end it, "
            f"--resume {run.path} of the command that it was trained by"
        )
    return said


def cohort_notes(run: Run, classifier: Classifier, cohort: Cohort) -> list[str]:
    """Returns how a cohort's images differ from those that the run was trained on, a line each.

    A line if its table was edited, one for the images' size (see ``size_notes``), one for the frames of a
    case.
    """
    said = [*filter(None, [cohort.edited]), *size_notes(run, cohort, classifier.image_size)]
    trained = StoredImages.of_run(run)
    if trained is not None and trained.frames != cohort.frames:
        said.append(
            f"{cohort.path}: cases have the frames {', '.join(cohort.frames)}, those that {run.path} was "
            f"trained on {', '.join(trained.frames)}: shown are {', '.join(classifier.frames)}"
        )
    return said


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
