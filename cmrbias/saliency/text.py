"""An explanation as tables to read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from cmrbias.evaluation.text import aligned
from cmrbias.saliency.aggregates import ALL, Dilated, Group
from cmrbias.saliency.explain import Explanation
from cmrbias.saliency.table import BASELINES, MODEL
from cmrbias.statistics import Aggregate

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
        joint = "; one min-max over the frames of a case" if explanation.scaling.joint else ""
        logit = _said(explanation.target)
        yield f"{method.name}, maps of {height} x {width} cells; logit of the {logit}{joint}"
        groups = [group for group in explanation.aggregates if group.method == method.name]
        yield from aligned([HEADER, *_lines(groups, explanation.target)])
        if any(group.marked for group in groups):
            yield "  * not above a centred Gaussian in the paired comparison (vanished maps count 0)"
        yield from _dilated(groups, _first(explanation.target))
        yield from _compared(explanation, method.name)
    yield ""
    yield "a uniform map's AKS is not defined (min-max makes it 0): chance is what it stands for"


def _said(target: str) -> str:
    return {"predicted": "predicted class", "true": "true class", "all": "predicted class, then each class"}[
        target
    ]


def _first(target: str) -> str:
    """Returns the target that the tables are of."""
    return "true" if target == "true" else "predicted"


def _lines(groups: Sequence[Group], target: str) -> Iterator[tuple[str, ...]]:
    """Yields the rows of the asked target, then one of the other, all cases, to compare."""
    first = _first(target)
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


def _dilated(groups: Sequence[Group], target: str) -> Iterator[str]:
    """Yields a table of all cases with the mask as it is and dilated, if it is."""
    whole = [group for group in groups if (group.label, group.frame) == (ALL, ALL)]
    model = next(group for group in whole if (group.map, group.target) == (MODEL, target))
    beside = [next(group for group in whole if group.map == name) for name in BASELINES]
    if not model.dilated:
        return
    yield "  with the mask dilated, so that the heart's border is no background"
    rows: list[tuple[str, ...]] = [
        ("by mm", "AKS (95 % interval)", "normalised AKS", "DSC", "chance", "ceiling", "Gaussian", "gradient",
         "untrained")
    ]  # fmt: skip
    steps: list[tuple[int, Group | Dilated, list[dict[str, Aggregate]]]]
    steps = [(0, model, [each.scores for each in beside])]
    steps += [(d.margin, d, [each.dilated[i].scores for each in beside]) for i, d in enumerate(model.dilated)]
    for margin, of, others in steps:
        figures = (of.scores["normalised-aks"].mean.value, of.scores["dsc"].mean.value, of.chance, of.ceiling)
        of_others = (scores["aks"].mean.value for scores in others)
        shown = (f"{figure:.3f}" for figure in (*figures, *of_others))
        rows.append((str(margin), str(of.scores["aks"].mean), *shown))
    yield from aligned(rows)


def _compared(explanation: Explanation, method: str) -> Iterator[str]:
    """Yields a table of the differences in AKS between the patients' classes, if there are several."""
    wanted = (method, _first(explanation.target), "aks")
    for each in explanation.comparisons:
        if (each.method, each.target, each.score) != wanted:
            continue
        counts = ", ".join(f"{name} {count}" for name, count in each.patients.items())
        yield f"  AKS between classes, patients {counts}; p by t with HC3 standard errors, Holm over pairs"
        rows = [("less", "difference (95 % interval)", "p", "adjusted for mask area", "p")]
        rows += [
            (f"{p.first} - {p.second}", str(p.estimate), _p(p.holm), str(a.estimate), _p(a.holm))
            for p, a in zip(each.plain, each.adjusted, strict=True)
        ]
        yield from aligned(rows)


def _p(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.3g}"
