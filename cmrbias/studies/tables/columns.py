"""The columns of a table: which models they are, and lines of their numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cmrbias.statistics import Estimate
from cmrbias.studies.build import distinct
from cmrbias.studies.column import Column, Finished
from cmrbias.studies.definition import TableEntry
from cmrbias.studies.numbers import with_interval
from cmrbias.studies.predictions import Measured
from cmrbias.studies.published import published
from cmrbias.studies.tables.table import Line


class Columns:
    """Reads the numbers of a table's models, whose cells are finished.

    Args:
        finished: the study.
        name: of the table.

    Attributes:
        models: those that differ.
        same: each other model of the table, and which of them it is.
    """

    def __init__(self, finished: Finished, name: str) -> None:
        self.study, self.name, self.of = finished.study, name, finished.column
        self.entry: TableEntry = self.study.definition.tables[name]
        self.models, self.same = distinct(self.study, self.entry.columns, self.entry.rows)

    def on(self, row: str) -> list[Column]:
        """Returns the models on a row."""
        return [self.of(model, row) for model in self.models]

    @property
    def headings(self) -> tuple[str, ...]:
        """The models' titles; of those that no weights were given for, they say so."""
        first = self.on(self.entry.rows[0])
        return tuple(
            self.study.title(model) + (" (random init)" if c.facts.initialisation == "random init" else "")
            for model, c in zip(self.models, first, strict=True)
        )

    @property
    def overlap_rows(self) -> list[str]:
        """The rows that have maps: those without a label map."""
        return [row for row in self.entry.rows if not self.study.definition.rows[row].label_map]

    def line(
        self,
        measure: str,
        row: str,
        what: str,
        of: Callable[[Column], Measured | Estimate | None],
        show: Callable[[Any], str] = with_interval,
        label: str | None = None,
        none: str = "undefined",
    ) -> Line:
        """Returns a line of numbers of a row.

        Args:
            measure: AUC, AKS, ...
            row: of the study.
            what: the numbers are.
            of: a number of a column; None where there is none.
            show: makes text of it.
            label: stands for the row: a diagnosis.
            none: stands where there is no number.
        """
        found = [of(column) for column in self.on(row)]
        numbers = tuple(
            self._number(measure, row, what, model, one, label)
            for model, one in zip(self.models, found, strict=True)
            if one is not None
        )
        cells = tuple(none if one is None else show(one) for one in found)
        return Line(measure, label or row, what, cells, numbers)

    def _number(
        self, measure: str, row: str, what: str, model: str, found: Measured | Estimate, label: str | None
    ) -> dict[str, Any]:
        shown = found.estimate if isinstance(found, Measured) else found
        own = self.of(model, row).facts
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

    def published(self, measure: str, row: str, what: str, label: str | None = None) -> Line | None:
        """Returns the paper's numbers of a row, or of a diagnosis on it; None if it prints none of them."""
        printed = [published(self.name, measure, label or row, model) for model in self.models]
        if not any(printed):
            return None
        numbers = (
            {
                "measure": measure,
                "row": row,
                "class": label or "",
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
        return Line(measure, label or row, what, cells, tuple(numbers))
