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
    Resident: an order and two ranges a row, 20 bytes; a row's ranges stand together, because at millions of
    rows a draw takes as long as its cache misses.

    Args:
        shared: codes (N,) of the columns that must agree.
        apart: codes (N,) of the columns that must not all agree; none: the row is its own candidate.
    """

    def __init__(self, shared: Sequence[np.ndarray], apart: Sequence[np.ndarray] = ()) -> None:
        order = np.lexsort((*reversed(apart), *reversed(shared)))
        starts = np.zeros(len(order), bool)
        starts[:1] = True
        for codes in shared:
            _mark_changes(starts, codes, order)
        ranges = np.zeros((len(order), 4), np.int32)  # block: start, length; gap: start, length
        ranges[:, 0], ranges[:, 1] = _ranges(starts, order)
        if apart:
            for codes in apart:
                _mark_changes(starts, codes, order)
            ranges[:, 2], ranges[:, 3] = _ranges(starts, order)
        self._ranges = torch.from_numpy(ranges)
        self._order = torch.from_numpy(order.astype(np.int32))

    @property
    def candidates(self) -> Tensor:
        """How many candidates each row has, (N,) int32."""
        return self._ranges[:, 1] - self._ranges[:, 3]

    def draw(self, rows: Tensor, keys: Tensor) -> Tensor:
        """Returns for each of ``rows`` (n,) int64 a candidate, uniformly by its key (n,) int64.

        A row without candidates gets itself.
        """
        start, length, gap, gap_length = self._ranges[rows].unbind(1)
        count = length - gap_length
        place = start + (draws.uniform(keys, 1)[:, 0] * count).long()
        place += torch.where(place >= gap, gap_length, 0)  # a gap of nothing has length 0
        alone = count == 0
        return torch.where(alone, rows, self._order[place.masked_fill_(alone, 0)].long())


def _mark_changes(starts: np.ndarray, codes: np.ndarray, order: np.ndarray) -> None:
    """Marks where a new block begins: ``codes`` differ from those of the row before."""
    ordered = codes[order]
    starts[1:] |= ordered[1:] != ordered[:-1]


def _ranges(starts: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns for each row where its block begins, and its length: (N,) int32 each."""
    first = np.flatnonzero(starts).astype(np.int32)
    length = np.diff(first, append=np.int32(len(order))).astype(np.int32)
    block = np.cumsum(starts, dtype=np.int32) - 1
    of_row = np.empty_like(block)
    of_row[order] = block
    return first[of_row], length[of_row]
