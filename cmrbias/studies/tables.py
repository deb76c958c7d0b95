"""A study's tables: what each cell of them says, whatever it is then written as."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from cmrbias.statistics import Estimate
from cmrbias.studies.adjusted import adjusted_means
from cmrbias.studies.build import Study
from cmrbias.studies.column import Column
from cmrbias.studies.definition import TableEntry
from cmrbias.studies.facts import Facts
from cmrbias.studies.numbers import UNRELIABLE, in_paper_form, marked, over_seeds, with_interval
from cmrbias.studies.overlaps import DILATED, GAUSSIAN, GRADIENT, HALF_WIDTH, SD, UNTRAINED
from cmrbias.studies.predictions import Measured
from cmrbias.studies.published import published

FEWEST = 7  # cells a side from which a map says where


@dataclass(frozen=True)
class Line:
    """A line of a table.

    Attributes:
        measure: AUC, AKS, ...
        row: where the models were trained and tested.
        what: what the numbers are.
        cells: text, one a column.
        numbers: a dictionary for each number, for the file of numbers.
    """

    measure: str
    row: str
    what: str
    cells: tuple[str, ...]
    numbers: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Block:
    """Lines under one heading."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Table:
    """A table with what must be said below it."""

    name: str
    title: str
    columns: tuple[str, ...]
    blocks: tuple[Block, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = field(default=())


class TableMaker:
    """Makes one table of a study whose cells are finished.

    Args:
        study: whose.
        name: of the table.
        folder: the study's directory.
    """

    def __init__(self, study: Study, name: str, folder: Path) -> None:
        self.study, self.name, self.folder = study, name, folder
        self.entry: TableEntry = study.definition.tables[name]
        self.models, self.same = self._distinct()
        self.columns = cache(self._column)

    def table(self) -> Table:
        """Returns the table."""
        blocks = [*(self._by_class() if self.entry.by_class else self._by_row())]
        blocks += [*self._seeds(), self._baselines(), self._models()]
        return Table(
            self.name,
            self.entry.title,
            tuple(self._heading(model) for model in self.models),
            tuple(block for block in blocks if block.lines),
            tuple(self._notes()),
            tuple(self._warnings()),
        )

    def _distinct(self) -> tuple[list[str], dict[str, str]]:
        """Returns the models that differ, and which of the others is which of them."""
        found: dict[tuple[str, ...], str] = {}
        same = {}
        for model in self.entry.columns:
            of_rows = [t for row in self.entry.rows for t in self.study.trials(model, row)]
            key = tuple(trial.evaluate.digest for trial in of_rows)
            if key in found:
                same[model] = found[key]
            else:
                found[key] = model
        return list(found.values()), same

    def _column(self, model: str, row: str) -> Column:
        resamples = int(self.study.preset.evaluate.get("resamples", 2000))
        return Column(tuple(self.study.trials(model, row)), self.folder, resamples)

    def _heading(self, model: str) -> str:
        title = self.study.title(model)
        random = self.columns(model, self.entry.rows[0]).facts.initialisation == "random init"
        return f"{title} (random init)" if random else title

    def _mapped(self, row: str) -> bool:
        return self.study.definition.rows[row].label_map is not None

    def _overlap_rows(self) -> list[str]:
        return [row for row in self.entry.rows if not self._mapped(row)]

    # ------------------------------------------------------------------ lines

    def _line(
        self,
        measure: str,
        row: str,
        what: str,
        of: Callable[[Column], Measured | Estimate],
        show: Callable[[Any], str] = with_interval,
        label: str | None = None,
    ) -> Line:
        """Returns a line of numbers of a row; ``show`` makes text of each, ``label`` stands for the row."""
        found = [of(self.columns(model, row)) for model in self.models]
        numbers = [
            self._number(measure, row, what, model, one, label)
            for model, one in zip(self.models, found, strict=True)
        ]
        return Line(measure, label or row, what, tuple(map(show, found)), tuple(numbers))

    def _number(
        self,
        measure: str,
        row: str,
        what: str,
        model: str,
        found: Measured | Estimate,
        label: str | None = None,
    ) -> dict[str, Any]:
        shown = found.estimate if isinstance(found, Measured) else found
        own = self.columns(model, row).facts
        number: dict[str, Any] = {
            "measure": measure,
            "row": row,
            "class": label or "",
            "what": what,
            "model": self.study.title(model),
            "value": shown.value,
            "low": shown.interval.low,
            "high": shown.interval.high,
            "interval": shown.interval.how,
            "patients": shown.n,
            "unreliable": "; ".join(shown.doubts),
            "trained_on": own.trained_on,
            "own_test_input": own.tested_on,
            "initialisation": own.initialisation,
            "image_passes": own.passes,
        }
        if isinstance(found, Measured):
            number |= {
                "undefined": found.undefined,
                "plus_minus": found.half,
                "plus_minus_is": found.kind,
                "seeds": found.spread.seeds,
                "seed_sd": found.spread.sd,
                "seed_t_low": found.spread.interval.low,
                "seed_t_high": found.spread.interval.high,
            }
        return number

    def _published(self, measure: str, row: str, what: str) -> Line | None:
        printed = [published(self.name, measure, row, model) for model in self.models]
        if not any(printed):
            return None
        numbers = (
            {
                "measure": measure,
                "row": row,
                "what": what,
                "model": self.study.title(model),
                "value": p.value,
                "plus_minus": p.half,
                "plus_minus_is": what,
            }
            for model, p in zip(self.models, printed, strict=True)
            if p is not None
        )
        cells = tuple("" if p is None else str(p) for p in printed)
        return Line(measure, row, what, cells, tuple(numbers))

    # ------------------------------------------------------------------ blocks

    def _models(self) -> Block:
        """What each column is."""
        first = [self.columns(model, self.entry.rows[0]).facts for model in self.models]
        lines = [
            Line("model", "", "initialisation", tuple(self._start(f) for f in first)),
            Line("model", "", "trained on input", tuple(f.trained_on for f in first)),
            Line("model", "", "own test input", tuple(f.tested_on for f in first)),
        ]
        for row in self.entry.rows:
            each = [self.columns(model, row).facts for model in self.models]
            passes = (f"{f.passes}{' + linear layer' if f.frozen else ''}" for f in each)
            lines.append(Line("model", row, "image passes", tuple(passes)))
            lines.append(Line("model", row, "patients tested", tuple(str(f.patients) for f in each)))
            sizes = [f.map_size for f in each]
            if any(sizes):
                shown = ("" if s is None else f"{s[0]} x {s[1]}" for s in sizes)
                lines.append(Line("model", row, "cells of a map", tuple(shown)))
        return Block("Models", tuple(lines))

    def _start(self, found: Facts) -> str:
        given = (
            self.study.imagenet is not None and found.initialisation == Path(self.study.imagenet.path).name
        )
        return f"ImageNet ({found.initialisation})" if given else found.initialisation

    def _by_row(self) -> Iterator[Block]:
        """Yields the paper's rows, the published ones, and the same with intervals."""
        ours: list[Line] = []
        theirs: list[Line] = []
        for measure, what, rows, of in self._main():
            for row in rows:
                ours.append(self._line(measure, row, what, of, in_paper_form))
                printed = self._published(measure, row, f"published, {_printed_kind(measure)}")
                if printed is not None:
                    (theirs if self.study.other_data(row) else ours).append(printed)
        yield Block("In the paper's form: own test input; maps of the predicted class", tuple(ours))
        yield Block("Other data: as published, on the paper's patients", tuple(theirs))
        lines = [
            self._line(measure, row, what, of)
            for measure, what, rows, of in self._intervals()
            for row in rows
        ]
        yield Block("With 95 % intervals over patients", tuple(lines))

    def _main(self) -> list[tuple[str, str, Sequence[str], Callable[[Column], Measured]]]:
        overlaps = self._overlap_rows()
        return [
            ("AUC", "macro, ± 95 % half-width (Hanley-McNeil)", self.entry.rows, lambda c: c.auc("macro")),
            ("AKS", "± SD over patients", overlaps, lambda c: c.overlap("aks", kind=SD)),
            ("DSC", "± 95 % half-width (t)", overlaps, lambda c: c.overlap("dsc", kind=HALF_WIDTH)),
        ]

    def _intervals(self) -> list[tuple[str, str, Sequence[str], Callable[[Column], Measured]]]:
        rows, overlaps = self.entry.rows, self._overlap_rows()
        return [
            ("AUC", "micro, own test input", rows, lambda c: c.auc("micro")),
            ("AUC", "macro, own test input", rows, lambda c: c.auc("macro")),
            ("AUC", "micro, test input full", rows, lambda c: c.auc("micro", full=True)),
            ("AKS", "own test input", overlaps, lambda c: c.overlap("aks")),
            ("AKS", "test input full", overlaps, lambda c: c.overlap("aks", full=True)),
            (
                "AKS",
                "own test input, maps of the true class",
                overlaps,
                lambda c: c.overlap("aks", target="true"),
            ),
            (
                "AKS",
                "own test input, vanished maps count 0",
                overlaps,
                lambda c: c.overlap("aks", undefined=0.0),
            ),
            ("normalised AKS", "own test input", overlaps, lambda c: c.overlap("normalised-aks")),
            *self._dilated(),
            ("DSC", "own test input", overlaps, lambda c: c.overlap("dsc")),
            ("DSC", "test input full", overlaps, lambda c: c.overlap("dsc", full=True)),
        ]

    def _dilated(self) -> list[tuple[str, str, Sequence[str], Callable[[Column], Measured]]]:
        """AKS on wider masks, as far as the maps of all columns were scored so: the border is no shortcut."""
        rows = self._overlap_rows()
        every = [m for row in rows for model in self.models for m in self.columns(model, row).maps()]
        return [
            ("AKS", f"own test input, mask dilated by {margin}", rows, partial(Column.overlap, score=name))
            for name, margin in DILATED.items()
            if all(name in maps.scores for maps in every)
        ]

    def _by_class(self) -> Iterator[Block]:
        """Yields overlap by diagnosis, the published values, intervals, and adjusted for mask area."""
        ours: list[Line] = []
        theirs: list[Line] = []
        lines: list[Line] = []
        adjusted: list[Line] = []
        for row in self._overlap_rows():
            present = set(self.columns(self.models[0], row).maps()[0].label.tolist())
            for measure in ("AKS", "DSC"):
                for label in self.entry.by_class:
                    if label in present:
                        of = _of_class(measure.lower(), label)
                        ours.append(self._line(measure, row, "± SD over patients", of, in_paper_form, label))
                        lines.append(self._line(measure, row, "own test input", of, label=label))
                    printed = self._published(measure, label, "published, ± SD")
                    if printed is not None:
                        (theirs if self.study.other_data(row) else ours).append(printed)
            adjusted += self._adjusted(row, present)
        yield Block("In the paper's form: own test input; maps of the predicted class", tuple(ours))
        yield Block("Other data: as published, on the paper's patients", tuple(theirs))
        yield Block("With 95 % intervals over patients", tuple(lines))
        yield Block(
            "AKS as it would be if all hearts were as large as the mean (regression)", tuple(adjusted)
        )

    def _adjusted(self, row: str, present: set[str]) -> Iterator[Line]:
        each = [adjusted_means(self.columns(model, row).maps()) for model in self.models]
        what = "adjusted for mask area"
        for label in self.entry.by_class:
            if label in present:
                cells = tuple(
                    with_interval(found[label]) if label in found else "undefined" for found in each
                )
                numbers = (
                    self._number("AKS", row, what, model, found[label], label)
                    for model, found in zip(self.models, each, strict=True)
                    if label in found
                )
                yield Line("AKS", label, what, cells, tuple(numbers))

    def _baselines(self) -> Block:
        """What an AKS must be compared with."""
        of: list[tuple[str, Callable[[Column], Measured | Estimate], Callable[[Any], str]]] = [
            (
                "chance: the heart's share of the image, a uniform map",
                lambda c: c.overlap("chance"),
                with_interval,
            ),
            (
                "ceiling: the best that a map of these cells can reach",
                lambda c: c.overlap("ceiling"),
                with_interval,
            ),
            ("a centred Gaussian", lambda c: c.overlap("aks", map=GAUSSIAN), with_interval),
            ("the image's gradient", lambda c: c.overlap("aks", map=GRADIENT), with_interval),
            ("the same network untrained", lambda c: c.overlap("aks", map=UNTRAINED), with_interval),
            ("the model less a centred Gaussian, paired", lambda c: c.above_gaussian(), marked),
        ]
        lines = [
            self._line("AKS", row, what, f, show) for row in self._overlap_rows() for what, f, show in of
        ]
        return Block("What AKS is compared with, own test input", tuple(lines))

    def _seeds(self) -> Iterator[Block]:
        if len(self.study.seeds) > 1:
            lines = [
                self._line(measure, row, what.split(",")[0], of, over_seeds)
                for measure, what, rows, of in self._intervals()
                for row in rows
                if measure in ("AUC", "AKS", "DSC") and what.endswith("own test input")
            ]
            yield Block(f"Over {len(self.study.seeds)} seeds: mean, SD, 95 % t interval", tuple(lines))

    # ------------------------------------------------------------------ what is said below

    def _notes(self) -> Iterator[str]:
        yield from self.entry.notes
        for model, other in self.same.items():
            why = "" if self.study.imagenet else ", since no ImageNet weights were given"
            yield f"{self.study.title(model)} is {self.study.title(other)}{why}."
        yield (
            "Each plus-minus says what it is. AUC over seeds is the mean of AUCs; overlap is averaged over "
            "seeds per patient, then over patients."
        )
        if len(self.study.seeds) == 1:
            yield "One seed: intervals are over patients alone, and say nothing of how trainings vary."
        for row in self.entry.rows:
            counts = {what: n for m in self.models for what, n in self.columns(m, row).facts.left_out.items()}
            if counts:
                each = ", ".join(f"{what} {n}" for what, n in counts.items())
                yield f"{row}: left out of the test: {each}."
        yield UNRELIABLE + "."

    def _warnings(self) -> Iterator[str]:
        if self.study.preset.warning:
            yield self.study.preset.warning
        sizes = {self.columns(m, row).facts.map_size for m in self.models for row in self._overlap_rows()}
        for size in sorted(s for s in sizes if s is not None and min(s) < FEWEST):
            yield (
                f"maps of {size[0]} x {size[1]} cells are too few to say where: {FEWEST} x {FEWEST} "
                "or more are needed"
            )


def _of_class(score: str, label: str) -> Callable[[Column], Measured]:
    return lambda column: column.overlap(score, label=label, kind=SD)


def _printed_kind(measure: str) -> str:
    return "± SD" if measure == "AKS" else "± 95 % half-width"
