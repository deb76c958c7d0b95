"""What a calibration trains and measures: cue kinds, strengths, replicates, models; and how long it takes.

A replicate is a new phantom with a new training seed. Each of its models is trained on the phantom and
measured on the phantom's own test patients and on their twins, never retrained.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cmrbias.cohorts.phantom.settings import CUES, PhantomOptions, check
from cmrbias.errors import CmrbiasError, unknown
from cmrbias.studies.cells import Cell, Kind, folder, ordered
from cmrbias.studies.execute import finished

NETWORK = ("--backbone", "resnet10", "--stride", "16")  # 7 x 7 cells at 112 px
TRAINING = ("--lr", "2e-3", "--augment", "flip")  # crops and rotations would cut off cues at the edge
VIEWS = ("--augment", "crop,flip,contrast,rotate")  # the paper's, without contours
FRAMES, TRAINED = 2, 0.7  # of a phantom's case; share of its patients
RENDERED, LEARNT, TESTED = 30.0, 300.0, 250.0  # images a second, seen on two cores at 112 px
STARTED = 0.5  # seconds a cell takes beside its images


UNSEEN = {
    "global": "changes the whole image: no background is left that a mask could separate, so that overlap "
    "with the heart cannot tell of it",
    "geometric": "is where the heart lies: overlap with the heart cannot tell of it",
    "inside": "lies in the heart: overlap with the heart must take it for heart",
}
"""Kinds of cue that overlap with the heart cannot detect, and why."""


@dataclass(frozen=True)
class Bias:
    """A cue: its kind, form and distance as ``--cue KIND[:FORM[:MM]]`` says them."""

    kind: str
    form: str | None = None
    distance: float | None = None

    @classmethod
    def parse(cls, text: str) -> Bias:
        """Returns the cue that a text names.

        Raises:
            CmrbiasError: there is no such cue.
        """
        kind, form, distance = (*text.split(":"), "", "")[:3]
        if kind not in CUES or kind == "none" or text.count(":") > 2:
            raise unknown("cue", text, [name for name in CUES if name != "none"])
        try:
            found = cls(kind, form or None, float(distance) if distance else None)
        except ValueError:
            raise CmrbiasError(f"--cue {text}: expected KIND:FORM:MM, found {distance!r} for mm") from None
        check(PhantomOptions(cue=found.kind, cue_form=found.form, cue_distance=found.distance))
        return found

    @property
    def name(self) -> str:
        """What tables call it."""
        far = "" if self.distance is None else f", {self.distance:g} mm"
        return self.kind + (f" ({self.form})" if self.form else "") + far

    @property
    def words(self) -> tuple[str, ...]:
        """Flags of ``cohort phantom``."""
        form = ("--cue-form", self.form) if self.form else ()
        distance = () if self.distance is None else ("--cue-distance", str(self.distance))
        return ("--cue", self.kind, *form, *distance)


@dataclass(frozen=True)
class Model:
    """How a classifier comes to be, and in which input it is tested beside ``full``."""

    kind: Kind = "finetune"
    input: str = "full"
    pretrained: bool = False

    @property
    def shown(self) -> tuple[str, ...]:
        """The test inputs: ``full``, which compares models, and the own one where that is another."""
        return ("full", "heart") if self.input == "heart" else ("full",)


MODELS = {
    "full": Model(),
    "heart": Model(input="heart"),
    "swap": Model(input="swap"),
    "SimCLR + probe": Model("probe", pretrained=True),
    "SimCLR + finetune": Model(pretrained=True),
}


@dataclass(frozen=True)
class Preset:
    """How large a calibration is.

    Attributes:
        replicates: cue strength to the number of replicates; strength 0 is the null.
        patients: of each phantom.
        image_size: side in pixels.
        epochs: of supervised trainings, of pretrainings, of probes.
        batch: cases a step; a pretraining takes twice as many frames.
        resamples: of the intervals over patients.
        warning: said wherever its numbers stand.
    """

    replicates: dict[float, int]
    patients: int = 120
    image_size: int = 112
    epochs: tuple[int, int, int] = (24, 12, 40)
    batch: int = 8
    resamples: int = 1000
    warning: str = ""


PRESETS = {
    "smoke": Preset(
        {0.0: 1, 0.95: 1},
        40,
        64,
        (1, 1, 1),
        4,
        50,
        "one epoch on a handful of patients: numbers mean nothing",
    ),
    "quick": Preset({0.0: 2, 0.5: 1, 0.95: 2}, patients=100, warning="short trainings"),
    "default": Preset({0.0: 20, 0.5: 2, 0.95: 2}, patients=100),
    "full": Preset({0.0: 20, 0.3: 20, 0.6: 20, 0.95: 20}, patients=240, epochs=(40, 20, 40)),
}


@dataclass(frozen=True)
class Trial:
    """One model of one replicate: the source of a point for each test input.

    Attributes:
        bias, strength: of the phantom.
        replicate: number within the strength, from 0.
        model: a key of ``MODELS``.
        behaviour: test input to the cell that compares predictions on the cohort and its twins.
        swapped: the cell with BG-gap.
        saliency: test input to the cell with overlap scores.
    """

    bias: Bias
    strength: float
    replicate: int
    model: str
    behaviour: dict[str, Cell]
    swapped: Cell
    saliency: dict[str, Cell]

    @property
    def phantom(self) -> str:
        """Its replicate in words."""
        return f"{self.bias.name}, strength {self.strength:g}, replicate {self.replicate + 1}"

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All that must be finished to read its points."""
        return (*self.behaviour.values(), self.swapped, *self.saliency.values())


def trials(biases: Iterable[Bias], preset: Preset) -> Iterator[Trial]:
    """Yields every model of every replicate."""
    for bias in biases:
        for strength, count in preset.replicates.items():
            for replicate in range(count):
                yield from _replicate(bias, strength, replicate, preset)


def _replicate(bias: Bias, strength: float, replicate: int, preset: Preset) -> Iterator[Trial]:
    seed = round(1000 * strength) * 100 + replicate  # of the phantom and of all its trainings
    of = f"{bias.name}, strength {strength:g}, replicate {replicate + 1}"
    size = ("--image-size", str(preset.image_size))
    phantom = (
        "--cue-strength",
        str(strength),
        "--patients",
        str(preset.patients),
        *size,
        "--seed",
        str(seed),
    )
    cohort = Cell("cohort", of, (*bias.words, *phantom))
    twins = (
        Cell("cohort", f"{of}, twin", (), cohort=cohort),
        Cell("cohort", f"{of}, permuted twin", ("--cue-condition", "permuted"), cohort=cohort),
    )
    epochs, longer, linear = (("--epochs", str(count)) for count in preset.epochs)
    twice = ("--batch", str(2 * preset.batch))
    css = ("--method", "simclr", *NETWORK, *size, *longer, *twice, *VIEWS)
    encoder = Cell("pretrain", f"SimCLR, {of}", css, cohort=cohort, seed=seed)
    shared = ("--resamples", str(preset.resamples))
    for name, model in MODELS.items():
        how = () if model.kind == "probe" else TRAINING
        size_of_step = ("--batch", str(preset.batch), "--validation", "0")
        trained = (*NETWORK, *size, *size_of_step, "--input", model.input, *how)
        run = Cell(
            model.kind,
            f"{name}, {of}",
            (*trained, *(linear if model.kind == "probe" else epochs)),
            cohort=cohort,
            weights=encoder if model.pretrained else None,
            seed=seed,
        )
        measured = partial(Cell, cohort=cohort, run=run)
        shown = {mode: ("--input", mode, *shared) for mode in model.shown}
        swaps = ("--input", "swap-same-class", "--input", "swap-other-class", *shared)
        yield Trial(
            bias,
            strength,
            replicate,
            name,
            behaviour={
                mode: measured("evaluate", f"{name} shown {mode} and twins, {of}", words, twins=twins)
                for mode, words in shown.items()
            },
            swapped=measured("evaluate", f"{name} shown swaps, {of}", swaps),
            saliency={
                mode: measured("saliency", f"{name} shown {mode}, {of}", words)
                for mode, words in shown.items()
            },
        )


def by_replicate(found: Iterable[Trial]) -> list[list[Trial]]:
    """Returns the trials replicate by replicate."""
    groups: dict[str, list[Trial]] = {}
    for trial in found:
        groups.setdefault(trial.phantom, []).append(trial)
    return list(groups.values())


def cells_of(found: Iterable[Trial]) -> list[Cell]:
    """Returns what the trials take their numbers from."""
    return [cell for trial in found for cell in trial.cells]


def seconds_left(cells: Iterable[Cell], preset: Preset, study: Path) -> float:
    """Returns about how long the cells that are not finished take on two quiet cores."""
    waiting = (cell for cell in ordered(cells) if not finished(folder(cell, study)))
    return sum(_seconds(cell, preset) for cell in waiting)


def _seconds(cell: Cell, preset: Preset) -> float:
    every = FRAMES * preset.patients * (preset.image_size / 112) ** 2
    train, test = TRAINED * every, (1 - TRAINED) * every
    supervised, css, _ = preset.epochs
    shown = {
        "cohort": every / RENDERED,
        "finetune": supervised * train / LEARNT,
        "pretrain": 2 * css * train / LEARNT,
        "probe": train / TESTED,
        "evaluate": test * (1 + len(cell.twins) if cell.twins else 10) / TESTED,
        "saliency": 2 * test / TESTED,
    }
    return STARTED + shown[cell.kind]
