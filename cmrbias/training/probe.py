"""Training of a linear layer on the frozen features of a backbone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from cmrbias.api import Recipe, Setup
from cmrbias.training.case_batches import CaseBatch
from cmrbias.training.classify import Classify
from cmrbias.training.precision import autocast
from cmrbias.training.recipes import PAPER, PROBE_QUICK


class Probe(Classify):
    """Trains a linear layer on the features of a frozen backbone in eval mode (the paper's Zero).

    Where nothing is drawn anew (no augmentation, no donors) and no maps are wanted, features are
    computed once.
    """

    frozen = True
    recipes: ClassVar[Mapping[str, Recipe]] = {"quick": PROBE_QUICK, "paper": PAPER}

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        drawn = setup.recipe.augmentations or self.classifier.input.draws_donors
        self._computed_once = not (drawn or self.batches.moves_masks)
        self._features: Tensor | None = None

    def load(self, rows: Tensor, epoch: int) -> CaseBatch:
        """Returns the features (N, F * dim) if they are computed once, else as ``Classify``."""
        if not self._computed_once:
            return super().load(rows, epoch)
        of = self.data.training[rows.numpy()]
        return CaseBatch(self._embedded()[of], self.labels[of].to(self.setup.device), None, {})

    def _tested(self, rows: np.ndarray) -> Iterator[Tensor]:
        if self._computed_once:
            yield self._embedded()[rows]
        else:
            yield from super()._tested(rows)

    @torch.no_grad()
    def _embedded(self) -> Tensor:
        """Returns the features (N, F * dim) float32 of all cases.

        Computed when they are first wanted: a resumed run has its own backbone by then.
        """
        if self._features is None:
            inputs = super()._tested(np.arange(len(self.cases)))
            with autocast(self.setup.precision, self.setup.device):
                self._features = torch.cat([self.classifier.embed(images).float() for images in inputs])
        return self._features
