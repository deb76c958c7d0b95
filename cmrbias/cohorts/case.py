"""A case as a reader yields it: source pixels and a row of metadata, before preparation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cmrbias.errors import CmrbiasError
from cmrbias.options import NoOptions

# label values of a mask; the heart mask is ``label != 0``
STRUCTURES = {"RV": 1, "MYO": 2, "LV": 3}


class SourceError(CmrbiasError):
    """A source file that cannot be used; ``cohort import`` collects them, ``--skip-bad`` lists them."""


@dataclass
class Case:
    """One case of a source.

    Attributes:
        case, patient, study: identifiers as the source has them (pseudonyms come later).
        frames: name to stack, each (Z, H, W) of any real dtype in source units, rows first; the
            same Z for all frames of a cine, 1 for single images. Masked or missing source pixels
            hold 0.
        masks: frame name to labels (Z, H, W) integer (see ``STRUCTURES``), or absent.
        structures: frame name to a tuple, for each slice, of the structures that are contoured in
            it, for example ``(("RV", "MYO", "LV"), (), ...)``; a frame not named here holds what
            its labels show.
        spacing: (row, column) in mm, or None where the source does not say.
        split: ``train``, ``test`` or None (drawn by patient).
        columns: further metadata, by column name, as text or numbers (None is an empty cell).
        sources: the files the case was made of, for provenance.
        notes: what the reader had to choose, one sentence each, for provenance.
        transform: how the arrays were turned into (row, column) order, for provenance.
    """

    case: str
    patient: str
    frames: dict[str, np.ndarray]
    study: str = ""
    masks: dict[str, np.ndarray] = field(default_factory=dict)
    structures: dict[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    spacing: tuple[float, float] | None = None
    split: str | None = None
    columns: dict[str, Any] = field(default_factory=dict)
    sources: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    transform: str = ""


class Reader:
    """Turns a source into cases.

    Each reader is a subcommand of ``cohort import``, each field of its ``Options`` a flag. Its
    class docstring's first line is the subcommand's help.

    Attributes:
        frames: the names of the frames of every case that it yields; may be set in ``read``.
        structures: the structures that a complete mask of this source holds.
        source: what SRC is, for the help text.
        targets: column name to its kind, as ``cohort.json`` has it, for example
            ``{"label": {"kind": "class"}}`` (classes are collected by the core in sorted order
            where absent) or ``{"death": {"kind": "binary", "uncertain": -1}}``; set in ``read``. An empty
            cell of a binary one is unknown, or what ``missing`` says.
    """

    Options: ClassVar[type] = NoOptions
    source: ClassVar[str] = "folder"
    frames: tuple[str, ...] = ()
    structures: tuple[str, ...] = ()
    targets: Mapping[str, Mapping[str, Any]] = {}

    def __init__(self, options: Any) -> None:
        self.options = options

    def read(self, source: Path) -> Iterator[Case | SourceError]:
        """Yields cases, and a ``SourceError`` in place of each that cannot be read.

        Raises:
            CmrbiasError: the source as a whole cannot be used.
        """
        raise NotImplementedError
