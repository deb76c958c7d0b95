"""An image's partner is another frame of its case: end-diastole with end-systole."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from cmrbias.api import CmrbiasError, Pairing, Table, draws


class SameCase(Pairing):
    """Pairs each frame with another frame of the same case, drawn uniformly anew in each epoch.

    A frame whose case holds no other, or has no code, pairs with itself.

    Attributes:
        paired: how many frames have a partner other than themselves.
    """

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self.paired = 0

    def fit(self, table: Table) -> None:
        """Sorts the frames by case once, so that finding a partner takes no search.

        Raises:
            CmrbiasError: no case has two frames.
        """
        case = table.codes("case")
        _, group, counts = np.unique(case, return_inverse=True, return_counts=True)
        order = np.argsort(group, kind="stable")  # frames of a case stand side by side
        start = (np.cumsum(counts) - counts)[group]
        length = np.where(case < 0, 1, counts[group])
        rank = np.empty_like(order)  # which of its case's frames a frame is
        rank[order] = np.arange(len(order)) - start[order]
        self._order, self._start, self._length, self._rank = map(
            torch.from_numpy, (order, start, length, rank)
        )
        self.paired = int((length > 1).sum())
        if self.paired == 0:
            raise CmrbiasError("pairing 'same-case': no case of this cohort has two frames: use 'same-image'")

    def partner(self, index: Tensor, epoch: int, seed: int) -> Tensor:
        """Returns the partners' rows (N,) int64, a function of its arguments: O(1) a row."""
        others = self._length[index] - 1
        u = draws.uniform(draws.keys(seed, epoch, index, draws.salt("same-case")), 1)[:, 0]
        drawn = (u * others).long()
        drawn += drawn >= self._rank[index]  # one of the others: step over the frame itself
        alone = others == 0
        place = self._start[index] + drawn.masked_fill(alone, 0)
        return torch.where(alone, index, self._order[place])
