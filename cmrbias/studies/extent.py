"""How many cases train, before a phantom has been made."""

from __future__ import annotations

from cmrbias.cohorts.format import Cohort
from cmrbias.cohorts.phantom.patients import draw_classes, draw_split
from cmrbias.cohorts.phantom.settings import CLASSES, PhantomOptions
from cmrbias.errors import CmrbiasError
from cmrbias.options import build
from cmrbias.studies.cells import Cell, Given


def extent(cohort: Cell | Given, label: str | None) -> tuple[int, int, int]:
    """Returns a cohort's training cases, its frames a case, and its classes.

    Args:
        cohort: given, or the cell of a phantom, whose patients follow from its options.
        label: column of the classes; None is the first.
    """
    if isinstance(cohort, Given):
        opened = Cohort.open(cohort.path)
        target = opened.targets.get(label or next(iter(opened.targets), ""), {})
        return len(opened.cases("train")), len(opened.frames), len(target.get("classes", ()))
    words = list(cohort.options)
    if cohort.cohort is not None or len(words) % 2:
        raise CmrbiasError(f"cohort {cohort.name!r}: expected a phantom of its own, not a twin")
    values = {flag.removeprefix("--"): value for flag, value in zip(words[::2], words[1::2], strict=True)}
    options = build(PhantomOptions, values, f"cohort {cohort.name!r}")
    classes = draw_classes(options.patients, list(CLASSES[options.classes].values()), options.seed)
    return list(draw_split(classes, options.seed)).count("train"), 2, len(CLASSES[options.classes])
