"""``explain``: where a run's classifier looks, on all cases of a split, and what that scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cmrbias.errors import CmrbiasError
from cmrbias.plugins import Plugins, plugin_manager
from cmrbias.saliency.aggregates import Group, aggregates
from cmrbias.saliency.baselines import untrained
from cmrbias.saliency.comparisons import Comparison, comparisons
from cmrbias.saliency.method import Method, make_methods
from cmrbias.saliency.notes import coarse_note, subject_notes
from cmrbias.saliency.scoring import Scaling, score_batches
from cmrbias.saliency.subject import Subject, open_subject
from cmrbias.saliency.table import Rows, records
from cmrbias.training.precision import pick_device

TARGETS = ("predicted", "true", "all")
NORMALISE = ("frame", "joint")


@dataclass(frozen=True)
class Explanation:
    """Maps of a cohort as scores.

    Attributes:
        subject: classifier, cases and what was shown of them.
        methods: those that made the maps.
        target: what was asked for.
        scaling: how maps were scaled and thresholded.
        rows: the scores as columns.
        aggregates: means over patients.
        comparisons: of the patients' classes, plain and adjusted for the mask's area.
        notes: what the user should know, a sentence each.
        maps: method to the maps (n, F, h, w) float32 of the predicted class, a row each of
            ``subject.rows``; empty unless asked for.
    """

    subject: Subject
    methods: tuple[Method, ...]
    target: str
    scaling: Scaling
    rows: Rows
    aggregates: list[Group]
    comparisons: list[Comparison]
    notes: list[str]
    maps: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def threshold(self) -> float:
        """Of the thresholded scores."""
        return self.scaling.threshold

    @cached_property
    def overlap(self) -> list[dict[str, Any]]:
        """The rows of ``overlap.csv``, one a case, frame, method and map, as dictionaries."""
        return list(records(self.rows, self.subject, [method.name for method in self.methods]))


def explain(
    run: Path | str,
    cohort: Path | str | None = None,
    *,
    split: str = "test",
    input: str | None = None,
    methods: Sequence[str] = ("gradcam",),
    method_options: Mapping[str, Mapping[str, Any]] | None = None,
    target: str = "predicted",
    layer: str | None = None,
    threshold: float = 0.5,
    normalise: str = "frame",
    allow_seen: bool = False,
    resamples: int = 2000,
    seed: int = 0,
    device: str = "auto",
    keep_maps: bool = False,
    plugins: Plugins | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Explanation:
    """Scores a classifier's saliency maps against the heart masks; images are held a batch at a time.

    Args:
        run: a run of ``finetune`` or ``probe``.
        cohort: another than that of the training.
        split: of the cohort.
        input: test input; None is that in which the classifier is tested.
        methods: names of saliency methods.
        method_options: method to its options by name.
        target: whose logit is explained: ``predicted`` or ``true`` (the rows hold both, and either is
            aggregated), or ``all`` classes.
        layer: of the methods that look at one.
        threshold: of thresholded scores, inside (0, 1).
        normalise: ``frame``: each map has its own min-max; ``joint``: one over the frames of a case.
        allow_seen: explain patients that the run has seen in training.
        resamples, seed: of the bootstrap over patients; the seed is also that of the untrained network
            and of donors.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        keep_maps: hold the maps of all cases, a few hundred bytes each.
        plugins: what is installed; None means all that is.
        progress: called with cases done and cases in all.

    Raises:
        CmrbiasError: no run, method, option, layer, class or mask, or a map is not what it must be.
    """
    if target not in TARGETS:
        raise CmrbiasError(f"target: expected one of {', '.join(TARGETS)}, got {target!r}")
    if normalise not in NORMALISE:
        raise CmrbiasError(f"normalise: expected one of {', '.join(NORMALISE)}, got {normalise!r}")
    plugins = plugins or plugin_manager()
    where = Path(run), None if cohort is None else Path(cohort)
    subject = open_subject(*where, split, input, allow_seen, pick_device(device), plugins, seed)
    if target == "true" and (subject.labels[subject.rows] < 0).all():
        raise CmrbiasError(
            f"{subject.cases.cohort.path}: no case's {subject.classifier.target!r} is one of the classes "
            f"{', '.join(subject.classifier.classes)}, which --target true explains: use --target predicted"
        )
    if keep_maps and subject.draws > 1:
        raise CmrbiasError(
            f"--maps: input {subject.mode.name} shows a case before {subject.draws} donors: expected an "
            "input that shows it once"
        )
    made = make_methods(methods, layer, method_options, plugins)
    notes = [f"{m.name}: {note}" for m in made for note in m.saliency.notes(subject.classifier)]
    scores = {entry.name: entry.thing for entry in plugins.registry("scores")}
    scaling = Scaling(threshold, normalise == "joint")
    parts, done = [], 0
    kept: dict[str, list[np.ndarray]] = {method.name: [] for method in made}
    with untrained(subject.classifier, plugins, subject.training_images(), seed) as unknowing:
        batches = score_batches(
            subject, list(made), scores, unknowing, target, scaling, kept if keep_maps else None
        )
        for part in batches:
            parts.append(part)
            if progress and part.method[0] == len(made) - 1:
                done += len(np.unique(part.row))
                progress(done, len(subject.rows) * subject.draws)
    rows = Rows.joined(parts)
    names = [method.name for method in made]
    groups = aggregates(rows, subject, names, target == "all", resamples, seed)
    compared = list(comparisons(rows, subject, names, resamples, seed))
    stride = subject.classifier.backbone.stride
    for number, name in enumerate(names):
        mine = rows.method == number
        notes += coarse_note(name, int(rows.height[mine][0]), int(rows.width[mine][0]), stride)
    notes += subject_notes(subject)
    maps = {name: np.concatenate(found) for name, found in kept.items() if found}
    return Explanation(subject, made, target, scaling, rows, groups, compared, notes, maps)
