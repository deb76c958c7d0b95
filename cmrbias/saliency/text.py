"""An explanation as tables to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cmrbias.evaluation.text import aligned
from cmrbias.saliency.aggregates import ALL, Group
from cmrbias.saliency.explain import Explanation
from cmrbias.saliency.table import MODEL

HEADER = (
    "cases", "frames", "AKS (95 % interval)", "undefined as 0", "normalised AKS", "DSC",
    "chance", "ceiling", "Gaussian", "gradient", "untrained", "n", "undefined", "",
)  # fmt: skip


def tables(explanation: Explanation) -> Iterator[str]:
    """Yields lines: what was explained, what to know of it, a table a method."""
    subject = explanation.subject
    yield (
        f"{subject.run.path} (trained on input {subject.classifier.input.name}) on "
        f"{subject.cases.cohort.path}, split {subject.split}, input {subject.mode.name}: "
        f"{len(subject.rows)} cases"
    )
    yield from explanation.notes
    for number, method in enumerate(explanation.methods):
        mine = explanation.rows.method == number
        height, width = (int(side[mine][0]) for side in (explanation.rows.height, explanation.rows.width))
        yield ""
        yield f"{method.name}, maps of {height} x {width} cells; logit of the {_said(explanation.target)}"
        groups = [group for group in explanation.aggregates if group.method == method.name]
        yield from aligned([HEADER, *_lines(groups, explanation.target)])
        if any(group.marked for group in groups):
            yield "  * not above a centred Gaussian in the paired comparison (vanished maps count 0)"
    yield ""
    yield "a uniform map's AKS is not defined (min-max makes it 0): chance is what it stands for"


def _said(target: str) -> str:
    return {"predicted": "predicted class", "true": "true class", "all": "predicted class, then each class"}[
        target
    ]


def _lines(groups: Sequence[Group], target: str) -> Iterator[tuple[str, ...]]:
    """Yields the rows of the asked target, then one of the other, all cases, to compare."""
    first = "true" if target == "true" else "predicted"
    second = "predicted" if first == "true" else "true"
    model = [group for group in groups if group.map == MODEL]
    for group in model:
        if group.target == first:
            yield _line(group, groups, group.label if group.label != ALL else "all")
    for group in model:
        other = group.target == second or (target == "all" and group.target not in (first, second))
        if other and group.label == ALL and group.frame == ALL:
            named = f"all, {group.target} class" if group.target == second else f"all, class {group.target}"
            yield _line(group, groups, named)


def _line(group: Group, groups: Sequence[Group], name: str) -> tuple[str, ...]:
    beside = {
        other.map: f"{other.scores['aks'].mean.value:.3f}"
        for other in groups
        if other.map != MODEL and other.label == group.label and group.frame == ALL
    }
    aks = group.scores["aks"]
    return (
        name,
        group.frame,
        str(aks.mean),
        f"{aks.mean_with_zeros.value:.3f}",
        f"{group.scores['normalised-aks'].mean.value:.3f}",
        f"{group.scores['dsc'].mean.value:.3f}",
        f"{group.chance:.3f}",
        f"{group.ceiling:.3f}",
        *(beside.get(map, "") for map in ("centred-gaussian", "image-gradient", "untrained")),
        str(aks.n),
        ", ".join(f"{frame} {count}" for frame, count in aks.undefined.items() if count) or "0",
        "*" if group.marked else "",
    )
