"""``check_saliency``: are a run's saliency maps to be believed?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cmrbias.evaluation.selection import run_notes
from cmrbias.plugins import Plugins, plugin_manager
from cmrbias.saliency.method import make_methods
from cmrbias.saliency.notes import coarse_note, subject_notes
from cmrbias.saliency.sanity import verdicts
from cmrbias.saliency.sanity.blocks import blocks_of
from cmrbias.saliency.sanity.localisation import localise
from cmrbias.saliency.sanity.maps import MapMaker, on_one_grid
from cmrbias.saliency.sanity.networks import (
    RandomNetworks,
    Trained,
    compared,
    networks,
    partly_random,
    random_networks,
)
from cmrbias.saliency.sanity.others import open_other
from cmrbias.saliency.sanity.result import Sanity, Stage, Verdict
from cmrbias.saliency.sanity.similarity import MEASURES
from cmrbias.saliency.subject import open_subject
from cmrbias.training.precision import pick_device
from cmrbias.training.run import Run


def check_saliency(
    run: Path | str,
    cohort: Path | str | None = None,
    *,
    repeat: Path | str | None = None,
    reproduce: Path | str | None = None,
    split: str = "test",
    input: str | None = None,
    methods: Sequence[str] = ("gradcam",),
    method_options: Mapping[str, Mapping[str, Any]] | None = None,
    layer: str | None = None,
    allow_seen: bool = False,
    resamples: int = 2000,
    seed: int = 0,
    device: str = "auto",
    plugins: Plugins | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Sanity:
    """Checks whether saliency maps depend on what was learnt, come again, and lie on the heart.

    Always explained is the class that the run's classifier predicts, whatever network makes the map.
    Similarity is Spearman's correlation and SSIM of the maps' own cells, averaged over frames, cases,
    then patients. Its null is that between two independently initialised networks, ten pairs of them,
    whose running statistics are estimated on training images as those of all randomised layers are.

    - Randomisation (Adebayo et al. 2018): block by block from the head down until all are drawn anew,
      and each block alone. Maps fail if those of the fully random networks (the mean over the null's ten)
      are as like the trained one's as the null's 95 % quantile, or more.
    - Repetition, reproduction (Arun et al. 2021): the maps of a run with another seed, or backbone, must
      be more alike than the null's 95 % quantile, by the lower end of the interval over patients. For
      another backbone the null has one network of each, and maps are compared on the coarser grid.
    - The heart: area under the precision-recall curve of the map against the mask, beside the
      prevalence and a centred Gaussian.

    Maps of all frames are held at once, on their cells, in float32.

    Args:
        run: a run of ``finetune`` or ``probe``.
        cohort: another than that of the training.
        repeat: a run that differs in its seed alone; None: not assessed.
        reproduce: a run with another backbone; None: not assessed.
        split, input, methods, method_options, layer, allow_seen: as in ``explain``.
        resamples: of the bootstrap over patients.
        seed: of the resamples, and of all networks that are drawn.
        device, plugins: as in ``explain``.
        progress: called with the cases that networks have been shown, and with how many they will be.

    Raises:
        CmrbiasError: as in ``explain``; another run that differs in more than it must.
    """
    plugins = plugins or plugin_manager()
    where = Path(run), None if cohort is None else Path(cohort)
    subject = open_subject(*where, split, input, allow_seen, pick_device(device), plugins, seed)
    made = make_methods(methods, layer, method_options, plugins)
    notes = [f"{m.name}: {note}" for m in made for note in m.saliency.notes(subject.classifier)]
    others = {
        flag: open_other(Path(path), subject, f"--{flag}", allow_seen, plugins)
        for flag, path in (("repeat", repeat), ("reproduce", reproduce))
        if path is not None
    }
    for other, method in ((other, method) for other in others.values() for method in made):
        method.saliency.notes(other.classifier)  # refuses a layer that it does not have
    blocks, total = blocks_of(subject.classifier), len(subject.rows) * subject.draws
    total *= networks(len(blocks), len(others), "reproduce" in others)
    trained = Trained.of(MapMaker(subject, made, _counter(progress, total)), plugins, resamples, seed)
    stages = partly_random(trained)
    random = random_networks(trained, others.get("reproduce"))
    theirs = {
        flag: trained.maker.maps(other.classifier, trained.classes, other.order)
        for flag, other in others.items()
    }
    found = _verdicts(trained, random, theirs)
    stages += [
        Stage(each.method, each.measure, "cascading", blocks[-1], each.similarity)
        for each in found
        if each.check == "randomisation" and each.similarity is not None
    ]
    for method, maps in zip(made, trained.maps, strict=True):
        height, width = maps.shape[1:]
        notes += coarse_note(method.name, height, width, subject.classifier.backbone.stride)
    notes += subject_notes(subject)
    notes += [note for other in others.values() for note in run_notes(Run.open(other.path))]
    notes += [f"warning: {other.path}: {other.seen}" for other in others.values() if str(other.seen)]
    return Sanity(
        subject=subject,
        methods=made,
        blocks=blocks,
        grids={method.name: maps.shape[1:] for method, maps in zip(made, trained.maps, strict=True)},
        verdicts=found,
        stages=stages,
        localisation=localise(trained.maker, trained.maps, trained.patients),
        repeat=None if repeat is None else Path(repeat),
        reproduce=None if reproduce is None else Path(reproduce),
        notes=notes,
        shared_grids={
            method.name: on_one_grid(ours[:1], other[:1])[0].shape[1:]
            for method, ours, other in zip(made, trained.maps, theirs.get("reproduce", ()), strict=False)
        },
    )


def _verdicts(
    trained: Trained, random: RandomNetworks, theirs: Mapping[str, list[np.ndarray]]
) -> list[Verdict]:
    """Returns the lines of the table but for the localisation, a method after the other.

    Args:
        trained, random: the run's maps, and those of networks that were never trained.
        theirs: the maps of another run by its flag, an array a method.
    """
    nulls = {"repeat": random.null, "reproduce": random.across}
    beside = {flag: compared(trained.maps, maps) for flag, maps in theirs.items()}
    found = []
    for number, method in enumerate(trained.maker.methods):
        for measure in MEASURES:
            left = trained.similarity(random.to_trained, number, measure)
            null = trained.null(random.null, number, measure)
            found.append(verdicts.randomisation(method.name, measure, left, null))
        for flag, drawn in nulls.items():
            if flag not in beside:
                found.append(verdicts.not_given(method.name, flag))
                continue
            for measure in MEASURES:
                alike = trained.similarity([beside[flag]], number, measure)
                null = trained.null(drawn, number, measure)
                found.append(verdicts.again(method.name, flag, measure, alike, null))
    return found


def _counter(progress: Callable[[int, int], None] | None, total: int) -> Callable[[int], None]:
    """Returns what adds up the cases that are done and tells ``progress``."""
    done = 0

    def count(cases: int) -> None:
        nonlocal done
        done += cases
        if progress:
            progress(done, total)

    return count
