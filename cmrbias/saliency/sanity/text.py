"""Sanity checks as tables to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cmrbias.evaluation.text import aligned
from cmrbias.saliency.sanity.networks import DRAWS
from cmrbias.saliency.sanity.result import Null, Sanity, Similarity, Stage
from cmrbias.saliency.sanity.similarity import MEASURES, window_of
from cmrbias.saliency.sanity.verdicts import measure_name

HEADER = ("check", "measure", "found (95 % interval)", "null (95 % quantile)", "undefined maps", "verdict")
_CHECKS = {
    "randomisation": "all layers random",
    "repeat": "another seed",
    "reproduce": "another backbone",
}


def tables(sanity: Sanity) -> Iterator[str]:
    """Yields lines: what was checked, what to know of it, and by method the checks and the stages."""
    subject = sanity.subject
    yield (
        f"{subject.run.path} (trained on input {subject.classifier.input.name}) on "
        f"{subject.cases.cohort.path}, split {subject.split}, input {subject.mode.name}: "
        f"{len(subject.rows)} cases"
    )
    yield from sanity.notes
    for method in sanity.methods:
        height, width = sanity.grids[method.name]
        side = window_of(height, width)
        yield ""
        yield (
            f"{method.name}, maps of {height} x {width} cells, of the class that the run predicts; SSIM of "
            f"min-max maps (range 1) in windows of {side} x {side} cells"
        )
        yield from aligned([HEADER, *_checks(sanity, method.name)])
        if method.name in sanity.shared_grids:
            rows, columns = sanity.shared_grids[method.name]
            yield f"  another backbone: on {rows} x {columns} cells, the coarser of both runs' grids"
        yield "  similarity to the run's own maps once blocks are drawn anew"
        yield from aligned(list(_stages([s for s in sanity.stages if s.method == method.name])))
    yield ""
    yield (
        f"null: similarity between the maps of two independently initialised networks, {DRAWS} pairs (across "
        "backbones: one network of each); its mean, and in brackets the quantile that decides"
    )


def _checks(sanity: Sanity, method: str) -> Iterator[tuple[str, ...]]:
    for each in sanity.verdicts:
        if each.method == method:
            found = each.similarity
            yield (
                _CHECKS[each.check],
                measure_name(each.measure),
                "" if found is None else str(found.value),
                "" if each.null is None else _null(each.null),
                "" if found is None else f"{found.undefined} of {found.maps}",
                each.sentence,
            )
    for heart in sanity.localisation:
        if heart.method == method:
            yield (
                "on the heart",
                "AUPRC",
                str(heart.auprc),
                f"prevalence {heart.prevalence:.3f}, Gaussian {heart.gaussian:.3f}",
                f"{heart.undefined} of {heart.maps}",
                heart.sentence,
            )


def _null(null: Null) -> str:
    return f"{null.mean:.3f} ({null.quantile:.3f})"


def _stages(stages: Sequence[Stage]) -> Iterator[tuple[str, ...]]:
    """Yields a row a block: similarity with it and all nearer the head random, and with it alone."""
    orders = {"cascading": "from the head to it", "independent": "it alone"}
    yield (
        "block",
        *(f"{measure_name(measure)}, {said}" for said in orders.values() for measure in MEASURES),
        "undefined maps",
    )
    found = {(each.block, each.order, each.measure): each.similarity for each in stages}
    blocks = dict.fromkeys(each.block for each in stages)
    for block in blocks:
        cells = [found[block, order, measure] for order in orders for measure in MEASURES]
        first, alone = found[block, "cascading", MEASURES[0]], found[block, "independent", MEASURES[0]]
        yield (
            block,
            *(_short(cell) for cell in cells),
            f"{first.undefined} of {first.maps}, {alone.undefined} of {alone.maps}",
        )


def _short(similarity: Similarity) -> str:
    value = similarity.value.value
    return "undefined" if value != value else f"{value:.3f}"
