"""What the sanity checks of saliency maps found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cmrbias.saliency.method import Method
from cmrbias.saliency.subject import Subject
from cmrbias.statistics import Estimate

QUANTILE = 0.95
PASSES, FAILS, NOT_ASSESSED = "passes", "fails", "not assessed"


@dataclass(frozen=True)
class Null:
    """Similarity between maps of two independently initialised networks.

    Attributes:
        draws: the mean over patients of each pair of networks, NaN where no pair of maps is defined.
    """

    draws: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the draws that are defined."""
        known = self._known()
        return float(known.mean()) if len(known) else float("nan")

    @property
    def quantile(self) -> float:
        """The 95 % quantile of the draws, linear between them."""
        known = self._known()
        return float(np.quantile(known, QUANTILE)) if len(known) else float("nan")

    def _known(self) -> np.ndarray:
        values = np.array(self.draws)
        known: np.ndarray = values[~np.isnan(values)]
        return known


@dataclass(frozen=True)
class Similarity:
    """How alike two networks' maps of the same frames are.

    Attributes:
        value: mean over patients, of frames where both maps are defined.
        maps: pairs of maps.
        undefined: those of them in which one is constant.
    """

    value: Estimate
    maps: int
    undefined: int


@dataclass(frozen=True)
class Stage:
    """Similarity to the trained network's maps once some blocks are drawn anew.

    Attributes:
        method, measure: of the maps, of their similarity.
        order: ``cascading`` (this block and all nearer the head) or ``independent`` (this block alone).
        block: a name, see ``blocks_of``.
        similarity: found.
    """

    method: str
    measure: str
    order: str
    block: str
    similarity: Similarity


@dataclass(frozen=True)
class Verdict:
    """A line of the table.

    Attributes:
        method: that made the maps.
        check: ``randomisation``, ``repeat``, ``reproduce``.
        measure: ``spearman`` or ``ssim``; empty where the check is not assessed.
        similarity: found; None where the check is not assessed.
        null: what it is compared with.
        verdict: ``passes``, ``fails`` or ``not assessed``.
        sentence: the same in words.
    """

    method: str
    check: str
    measure: str
    similarity: Similarity | None
    null: Null | None
    verdict: str
    sentence: str


@dataclass(frozen=True)
class Localisation:
    """Area under the precision-recall curve (AUPRC) of maps against the heart masks, pixel by pixel.

    Attributes:
        method: that made the maps.
        auprc: mean over patients, of frames whose map is defined.
        maps, undefined: frames, and those of them with a constant map.
        prevalence: the heart's share of the pixels, which is the AUPRC of a map that knows nothing.
        gaussian: the AUPRC of a centred Gaussian on the same grid.
        difference: AUPRC less the Gaussian's, paired by patient, constant maps counting 0.
        verdict: ``passes`` if the difference's interval is above 0.
        sentence: the same in words.
    """

    method: str
    auprc: Estimate
    maps: int
    undefined: int
    prevalence: float
    gaussian: float
    difference: Estimate
    verdict: str
    sentence: str


@dataclass(frozen=True)
class Sanity:
    """All checks of a run's maps.

    Attributes:
        subject: classifier, cases and what was shown of them.
        methods: that made the maps.
        blocks: of the network, from the head down.
        grids: rows and columns of the maps' cells, by method.
        verdicts: of randomisation, repetition and reproduction.
        stages: similarity block by block.
        localisation: on the heart, by method.
        repeat, reproduce: the other runs, None where not given.
        notes: what the user should know, a sentence each.
        shared_grids: by method, rows and columns of the coarser grid on which another backbone's maps are
            compared; empty without one.
    """

    subject: Subject
    methods: tuple[Method, ...]
    blocks: tuple[str, ...]
    grids: dict[str, tuple[int, int]]
    verdicts: Sequence[Verdict]
    stages: Sequence[Stage]
    localisation: Sequence[Localisation]
    repeat: Path | None
    reproduce: Path | None
    notes: list[str]
    shared_grids: dict[str, tuple[int, int]] = field(default_factory=dict)
