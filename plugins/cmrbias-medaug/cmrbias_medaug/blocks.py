"""Which rows of a table may be whose partners, as two ranges of one order: any number of draws, O(1) each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from cmrbias.api import draws


class Blocks:
    """Rows sorted so that a row's candidates stand side by side, but for one gap.

    A row's candidates are the rows that agree with it in all ``shared`` columns, without those that agree
    in the ``apart`` columns too. Sorted by ``shared``, then ``apart``, they are a block with a gap in it.
    Resident: an order and two ranges a row, 24 bytes.

    Args:
        shared: codes (N,) of the columns that must agree.
        apart: codes (N,) of the columns that must not all agree; none: the row is its own candidate.

    Attributes:
        candidates: (N,) int32, how many each row has.
    """

    def __init__(self, shared: Sequence[np.ndarray], apart: Sequence[np.ndarray] = ()) -> None:
        order = np.lexsort((*reversed(apart), *reversed(shared)))
        starts = np.zeros(len(order), bool)
        starts[:1] = True
        for codes in shared:
            _mark_changes(starts, codes, order)
        self._start, self._length = _ranges(starts, order)
        if apart:
            for codes in apart:
                _mark_changes(starts, codes, order)
            self._gap, self._gap_length = _ranges(starts, order)
        else:  # a gap of nothing
            self._gap = self._start
            self._gap_length = torch.zeros_like(self._length)
        self._order = torch.from_numpy(order.astype(np.int32))
        self.candidates = self._length - self._gap_length

    def draw(self, rows: Tensor, keys: Tensor) -> Tensor:
        """Returns for each of ``rows`` (n,) int64 a candidate, uniformly by its key (n,) int64.

        A row without candidates gets itself.
        """
        count = self.candidates[rows]
        number = (draws.uniform(keys, 1)[:, 0] * count).long()
        place = self._start[rows] + number
        place += torch.where(place >= self._gap[rows], self._gap_length[rows], 0)
        alone = count == 0
        return torch.where(alone, rows, self._order[place.masked_fill_(alone, 0)].long())


def _mark_changes(starts: np.ndarray, codes: np.ndarray, order: np.ndarray) -> None:
    """Marks where a new block begins: ``codes`` differ from those of the row before."""
    ordered = codes[order]
    starts[1:] |= ordered[1:] != ordered[:-1]


def _ranges(starts: np.ndarray, order: np.ndarray) -> tuple[Tensor, Tensor]:
    """Returns for each row where its block begins, and its length: (N,) int32 each."""
    first = np.flatnonzero(starts).astype(np.int32)
    length = np.diff(first, append=np.int32(len(order))).astype(np.int32)
    block = np.cumsum(starts, dtype=np.int32) - 1
    of_row = np.empty_like(block)
    of_row[order] = block
    return torch.from_numpy(first[of_row]), torch.from_numpy(length[of_row])
