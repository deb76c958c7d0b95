"""What trains, before a phantom has been made: how many cases, which frames, which classes."""

from __future__ import annotations

from cmrbias.cohorts.format import Cohort
from cmrbias.cohorts.phantom.patients import draw_classes, draw_split
from cmrbias.cohorts.phantom.settings import CLASSES, PhantomOptions
from cmrbias.errors import CmrbiasError
from cmrbias.options import build
from cmrbias.studies.cells import Cell, Given
from cmrbias.training.labelled import class_target

PHANTOM_FRAMES = ("ED", "ES")


def extent(cohort: Cell | Given, label: str | None) -> tuple[int, int, int]:
    """Returns a cohort's training cases, its frames a case, and its classes.

    Args:
        cohort: given, or the cell of a phantom, whose patients follow from its options.
        label: column of the classes; None is the first of kind ``class``.

    Raises:
        CmrbiasError: a cohort without such a column, or without training cases; a twin.
    """
    if isinstance(cohort, Given):
        opened = Cohort.open(cohort.path)
        return len(opened.cases("train")), len(opened.frames), len(class_target(opened, label)[1])
    options = phantom_options(cohort)
    classes = draw_classes(options.patients, list(CLASSES[options.classes].values()), options.seed)
    training = list(draw_split(classes, options.seed)).count("train")
    return training, len(PHANTOM_FRAMES), len(options.class_names)


def phantom_options(cohort: Cell) -> PhantomOptions:
    """Returns what a phantom's cell asks for.

    Raises:
        CmrbiasError: it is a twin, whose patients are another phantom's.
    """
    words = list(cohort.options)
    if cohort.cohort is not None or len(words) % 2:
        raise CmrbiasError(f"cohort {cohort.name!r}: expected a phantom of its own, not a twin")
    values = {flag.removeprefix("--"): value for flag, value in zip(words[::2], words[1::2], strict=True)}
    return build(PhantomOptions, values, f"cohort {cohort.name!r}")
