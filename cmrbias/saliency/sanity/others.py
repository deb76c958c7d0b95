"""The runs that a run's maps are compared with: the same with another seed, or with another backbone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cmrbias.backbones import Classifier, load_classifier
from cmrbias.errors import CmrbiasError
from cmrbias.evaluation.seen import Seen, count_seen
from cmrbias.plugins import Plugins
from cmrbias.saliency.subject import Subject
from cmrbias.training.run import Run


@dataclass(frozen=True)
class Other:
    """Another run that takes the same images.

    Attributes:
        path: of the run.
        classifier: in eval mode, on the subject's device.
        order: (K,) its number of each of the subject's classes.
        seen: how many of the subject's patients it was trained on.
    """

    path: Path
    classifier: Classifier
    order: list[int]
    seen: Seen


def open_other(path: Path, subject: Subject, flag: str, allow_seen: bool, plugins: Plugins) -> Other:
    """Returns the run that ``flag`` names.

    Args:
        path: of the run.
        subject: what it is compared with.
        flag: ``--repeat`` (same backbone, other seed) or ``--reproduce`` (other backbone).
        allow_seen: whether it may have seen the subject's patients.
        plugins: what is installed.

    Raises:
        CmrbiasError: no run or no classifier, or one that differs in anything else than it must.
    """
    run, ours = Run.open(path), subject.classifier
    classifier = load_classifier(path, plugins)
    named = f"{flag} {path}"
    _same(named, "the classes", sorted(ours.classes), sorted(classifier.classes))
    _same(named, "the frames", ours.frames, classifier.frames)
    _same(named, "images of", f"{ours.image_size} px", f"{classifier.image_size} px")
    _same(named, "the training input", ours.input.name, classifier.input.name)
    trained = (each.info["cohort"]["digest"][:12] for each in (subject.run, run))
    _same(named, "training on the cohort with digest", *trained)
    networks = [f"{c.backbone.name} at stride {c.backbone.stride}" for c in (ours, classifier)]
    seeds = [each.info["settings"]["seed"] for each in (subject.run, run)]
    if flag == "--repeat":
        _same(named, "the backbone", *networks)
        _same_settings(named, subject.run, run)
        if seeds[0] == seeds[1]:
            raise CmrbiasError(f"{named}: expected another seed than {seeds[0]}, found the same: train anew")
    elif ours.backbone.name == classifier.backbone.name:
        raise CmrbiasError(
            f"{named}: expected another backbone than {ours.backbone.name}, found the same: give it as "
            "--repeat"
        )
    patients = subject.cases.cohort.column("patient")[subject.cases.case[subject.rows]]
    seen = count_seen(run, patients, allow_seen)
    device: torch.device = subject.device
    moved = classifier.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Other(path, moved, [classifier.classes.index(name) for name in ours.classes], seen)


def _same_settings(named: str, ours: Run, theirs: Run) -> None:
    """Refuses a training with another recipe or option; its weights may come from another seed too."""
    for part in ("recipe", "options"):
        mine, other = (each.info["settings"][part] for each in (ours, theirs))
        for key, value in mine.items():
            if key != "weights":
                _same(named, f"{part.removesuffix('s')} {key}", value, other.get(key))


def _same(named: str, what: str, ours: Any, theirs: Any) -> None:
    if ours != theirs:
        mine, other = (
            ", ".join(each) if isinstance(each, list | tuple) else str(each) for each in (ours, theirs)
        )
        raise CmrbiasError(f"{named}: expected {what} {mine}, as in RUN, found {other}: choose another run")
