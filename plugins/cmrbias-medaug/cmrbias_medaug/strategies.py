"""MedAug's positive pairs: an image's partner is an image of the same patient that passes a filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from torch import Tensor

from cmrbias.api import CmrbiasError, Pairing, Table, draws, option
from cmrbias_medaug.blocks import Blocks
from cmrbias_medaug.columns import LATERALITIES, refuse_empty, refuse_unknown

Filter = Literal["same", "different", "any"]
_SHOWN = 4  # numbers of partners that are told one by one


@dataclass(frozen=True)
class Columns:
    """Which columns the filters read."""

    study_column: str = option("study", "column of the study")
    laterality_column: str = option("laterality", "column of the laterality: frontal or lateral, ap or pa")
    lateralities: tuple[str, ...] = option(
        LATERALITIES, "what that column may hold; an image with anything else is an error"
    )


class SamePatient(Pairing):
    """Pairs each image with an image of the same patient, drawn uniformly anew in each epoch.

    The image itself is a candidate exactly when it passes the filters, so never under ``different``. An
    image without candidates pairs with itself, as in plain MoCo.

    Attributes:
        histogram: (M,) int64 after ``fit``: how many images have 0, 1, 2, ... partners, that is candidates
            other than themselves.
    """

    @dataclass(frozen=True)
    class Options(Columns):
        """The filters, and which columns they read."""

        study: Filter = option("any", "studies that the partner may be from: any, same, different")
        laterality: Filter = option("any", "lateralities that it may have: any, same, different")

    uses_labels: ClassVar[bool] = False

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self.name = _NAMES.get(type(self), "same-patient")
        self.histogram = np.zeros(1, np.int64)

    def filters(self) -> dict[str, str]:
        """Returns column -> ``same`` or ``different``, for each column that is filtered by."""
        options = self.options
        both = {options.study_column: options.study, options.laterality_column: options.laterality}
        return {column: wanted for column, wanted in both.items() if wanted != "any"}

    def check(self, table: Table) -> None:
        """Raises a CmrbiasError where a column that is read is missing, or cells are empty or unknown."""
        owner, options, filters = f"pairing {self.name!r}", self.options, self.filters()
        refuse_empty(table, "patient", owner)
        if options.study_column in filters:
            refuse_empty(table, options.study_column, owner, "--pair-option study-column=NAME")
        if options.laterality_column in filters:
            column = options.laterality_column
            refuse_empty(table, column, owner, "--pair-option laterality-column=NAME")
            refuse_unknown(table, column, options.lateralities, owner, "--pair-option lateralities=A,B")

    def fit(self, table: Table) -> None:
        """Sorts the images once, so that choosing a partner takes no search.

        Raises:
            CmrbiasError: a column is missing or empty somewhere, a laterality is unknown, or no image has
                a partner.
        """
        self.check(table)
        filters = self.filters()
        shared = ["patient", *(column for column, wanted in filters.items() if wanted == "same")]
        apart = [column for column, wanted in filters.items() if wanted == "different"]
        apart.reverse()  # lateralities are few, studies need not be
        codes = {column: table.codes(column) for column in (*shared, *apart)}
        self._blocks = Blocks([codes[c] for c in shared], [codes[c] for c in apart])
        candidates = self._blocks.candidates.numpy()
        self.histogram = np.bincount(candidates if apart else candidates - 1)
        if self.histogram[0] == len(table):
            raise CmrbiasError(
                f"pairing {self.name!r}: none of the {len(table)} training images has a partner "
                f"(another image of its patient{self._filtered()}): that would be plain MoCo; use another "
                "strategy, or --pairs same-image"
            )

    def partner(self, index: Tensor, epoch: int, seed: int) -> Tensor:
        """Returns the partners' rows (N,) int64, a function of its arguments: O(1) a row."""
        return self._blocks.draw(index, draws.keys(seed, epoch, index, draws.salt("medaug")))

    def notes(self) -> list[str]:
        """Returns how many images have how many partners, and whether labels were used."""
        counts, images = self.histogram, int(self.histogram.sum())
        told = [f"{number} in {count}" for number, count in enumerate(counts[:_SHOWN]) if count]
        if counts[_SHOWN:].any():
            told.append(f"{_SHOWN} or more in {counts[_SHOWN:].sum()}")
        said = [
            f"pairs {self.name}: partners {', '.join(told)} of {images} images; "
            f"{counts[0]} without a partner pair with themselves"
        ]
        if self.uses_labels:
            said.append(
                f"warning: pairs {self.name} USES LABELS: no self-supervision, not to be compared as such"
            )
        return said

    def record(self) -> dict[str, Any]:
        """Returns name, filters, images by their number of partners, and how many have none."""
        return {
            "name": self.name,
            "filters": self.filters(),
            "uses_labels": self.uses_labels,
            "images_by_partners": {str(n): int(c) for n, c in enumerate(self.histogram) if c},
            "pair_with_themselves": int(self.histogram[0]),
        }

    def _filtered(self) -> str:
        return "".join(f", {wanted} {column}" for column, wanted in self.filters().items())


class _Named(SamePatient):
    """A strategy by its name in the paper: the filters are fixed, the columns are not."""

    fixed: ClassVar[tuple[Filter, Filter]]  # of study and laterality

    @dataclass(frozen=True)
    class Options(Columns):
        """The filters are fixed, so only the columns they read."""

    def filters(self) -> dict[str, str]:
        """Returns column -> ``same`` or ``different``."""
        both = zip((self.options.study_column, self.options.laterality_column), self.fixed, strict=True)
        return {column: wanted for column, wanted in both if wanted != "any"}


class SameStudy(_Named):
    """Pairs each image with one of the same study, of any laterality: the paper's best."""

    fixed = ("same", "any")


class DistinctStudy(_Named):
    """Pairs each image with one of the same patient from another study."""

    fixed = ("different", "any")


class SameStudySameLaterality(_Named):
    """Pairs each image with one of the same study and laterality."""

    fixed = ("same", "same")


class SameStudyDistinctLaterality(_Named):
    """Pairs each image with one of the same study and another laterality."""

    fixed = ("same", "different")


class SameLabel(SamePatient):
    """Pairs each image with one of the same patient that has the same label: a bound, not a method.

    It uses the labels that the representation is later tested on, and every output says so. An uncertain
    label counts as a label of its own, and so does a missing one.
    """

    @dataclass(frozen=True)
    class Options:
        """Which label."""

        label: str = option(help="column of the label")

    uses_labels = True

    def filters(self) -> dict[str, str]:
        """Returns the label's column -> ``same``."""
        return {self.options.label: "same"}

    def check(self, table: Table) -> None:
        """Raises a CmrbiasError without such a label; empty cells are findings that are not mentioned."""
        refuse_empty(table, "patient", f"pairing {self.name!r}")
        table.codes(self.options.label)


STRATEGIES: dict[str, type[SamePatient]] = {
    "same-patient": SamePatient,
    "same-study": SameStudy,
    "distinct-study": DistinctStudy,
    "same-study-same-laterality": SameStudySameLaterality,
    "same-study-distinct-laterality": SameStudyDistinctLaterality,
    "same-label": SameLabel,
}
_NAMES = {strategy: name for name, strategy in STRATEGIES.items()}
