"""What a study computes: cells, each one ``cmrbias`` command, named by all that determines its result.

cm = Cell("cohort", "CM", ("--classes", "cm", "--patients", "240"))
encoder = Cell("pretrain", "BYOL on CM", ("--method", "byol"), cohort=cm, seed=0)
model = Cell("finetune", "BYOL", ("--input", "full"), cohort=cm, weights=encoder, seed=0)
tested = Cell("evaluate", "BYOL on CM", cohort=cm, run=model)
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from cmrbias.errors import CmrbiasError

Kind = Literal["cohort", "pretrain", "finetune", "probe", "evaluate", "saliency"]
TRAINING = ("pretrain", "finetune", "probe")
_COMMANDS = {"cohort": ("cohort", "phantom")}  # the others are called like their kind


@dataclass(frozen=True)
class Given:
    """A cohort or a file of weights that was there before the study; its content counts, not its path."""

    path: str = field(compare=False)
    digest: str
    cases: int = field(default=0, compare=False)  # of a cohort

    @classmethod
    def cohort(cls, path: Path) -> Given:
        """Returns a cohort on disk.

        Raises:
            CmrbiasError: ``path`` is none.
        """
        from cmrbias.cohorts.format import Cohort

        opened = Cohort.open(path)
        return cls(str(opened.path.resolve()), opened.digest, len(opened))

    @classmethod
    def file(cls, path: Path) -> Given:
        """Returns a file, or a run, whose checkpoint then counts.

        Raises:
            CmrbiasError: it cannot be read.
        """
        content = path
        if path.is_dir():
            content = path / "best.pt" if (path / "best.pt").exists() else path / "last.pt"
        try:
            with content.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise CmrbiasError(f"{content}: expected a file of weights: {error.strerror}") from None
        return cls(str(path.resolve()), digest)


@dataclass(frozen=True)
class Cell:
    """One command of a study.

    Attributes:
        kind: which command: a phantom, a training, or what is found of a classifier.
        name: for people; two cells that differ in nothing else are the same cell.
        options: the command's arguments, but for those that follow.
        cohort: trained or tested on; of a phantom, the one that it is a twin of.
        weights: what a training starts from.
        run: the training whose classifier is evaluated or explained.
        seed: of a training.
        plugins: distribution and version of each plugin that the options name.
        twins: phantoms on which an evaluation compares predictions with those on the cohort.
    """

    kind: Kind
    name: str = field(compare=False)
    options: tuple[str, ...] = ()
    cohort: Cell | Given | None = None
    weights: Cell | Given | None = None
    run: Cell | None = None
    seed: int | None = None
    plugins: tuple[str, ...] = ()
    twins: tuple[Cell, ...] = ()

    @property
    def after(self) -> tuple[Cell, ...]:
        """The cells that must be finished before."""
        return tuple(c for c in (self.cohort, self.weights, self.run, *self.twins) if isinstance(c, Cell))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all that determines the result: options, seed, what it is made from, versions."""
        text = json.dumps(self._determined(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def stage(self) -> int:
        """1 for a cell that needs no other, else one more than the latest that it needs."""
        return 1 + max((cell.stage for cell in self.after), default=0)

    def _determined(self) -> dict[str, Any]:
        sources = {"cohort": self.cohort, "weights": self.weights, "run": self.run}
        found: dict[str, Any] = {
            "cmrbias": _version(),
            "kind": self.kind,
            "options": self.options,
            "seed": self.seed,
            "plugins": self.plugins,
            **{name: source.digest for name, source in sources.items() if source is not None},
        }
        if self.twins:
            found["twins"] = [twin.digest for twin in self.twins]
        if self.kind == "cohort":
            from cmrbias.cohorts.phantom.cohort import RENDERING

            found["rendering"] = RENDERING
        return found


@cache
def _version() -> str:
    return importlib.metadata.version("cmrbias")


def folder(cell: Cell, study: Path) -> Path:
    """Returns the directory of a cell in a study."""
    return study / "cells" / f"{cell.kind}-{cell.digest[:12]}"


def output(source: Cell | Given, study: Path) -> Path:
    """Returns where a cell's command writes, or where what was given lies."""
    return Path(source.path) if isinstance(source, Given) else folder(source, study) / "out"


def command(cell: Cell, study: Path) -> list[str]:
    """Returns the arguments of ``cmrbias`` that compute a cell from nothing."""
    words = [*_COMMANDS.get(cell.kind, (cell.kind,))]
    if cell.run is not None:
        words.append(str(output(cell.run, study)))
    out = str(output(cell, study))
    words += [out] if cell.kind == "cohort" else ["--out", out]
    if cell.cohort is not None:
        flag = "--twin-of" if cell.kind == "cohort" else "--cohort"
        words += [flag, str(output(cell.cohort, study))]
    for twin in cell.twins:
        words += ["--twins", str(output(twin, study))]
    if cell.weights is not None:
        words += ["--weights", str(output(cell.weights, study))]
    if cell.seed is not None:
        words += ["--seed", str(cell.seed)]
    return [*words, *cell.options]


def ordered(cells: Iterable[Cell]) -> list[Cell]:
    """Returns the cells and all that they need, each once, stage by stage."""
    found: dict[str, Cell] = {}
    for top in cells:
        for cell in _with_needed(top):
            found.setdefault(cell.digest, cell)  # the first name is the one that logs use
    return sorted(found.values(), key=lambda cell: cell.stage)


def _with_needed(cell: Cell) -> Iterator[Cell]:
    for needed in cell.after:
        yield from _with_needed(needed)
    yield cell
