"""Which rows of a table may be whose partners, as two ranges of one order: any number of draws, O(1) each."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from cmrbias.api import draws

Range = tuple[np.ndarray, np.ndarray]  # start and length of each of N rows, int32


class Blocks:
    """Rows sorted so that a row's candidates stand side by side, but for a few gaps.

    A row's candidates are the rows that agree with it in all ``shared`` columns and differ from it in each
    of the ``apart`` columns. Sorted by ``shared``, then ``apart``, they are a block with gaps: one where
    one column is apart; where two are, also one for each value of the first that stands with the row's own
    of the second, so the first should be the one with few values.
    Resident: an order and the ranges of block and gaps a row, 20 bytes with one gap, 28 with two; a row's
    ranges stand together, because at millions of rows a draw takes as long as its cache misses.

    Args:
        shared: codes (N,) of the columns that must agree.
        apart: codes (N,) of up to two columns that must differ; none: the row is its own candidate.
    """

    def __init__(self, shared: Sequence[np.ndarray], apart: Sequence[np.ndarray] = ()) -> None:
        order = np.lexsort((*reversed(apart), *reversed(shared)))
        starts = np.zeros(len(order), bool)
        starts[:1] = True
        for codes in shared:
            _mark_changes(starts, codes, order)
        ranges = [_ranges(starts)]
        if apart:
            own = starts.copy()
            _mark_changes(own, apart[0], order)
            gap = _ranges(own)
            ranges += [gap] if len(apart) == 1 else _crossing(starts, own, gap, apart[1][order])
        of_row = np.empty((len(order), 2 * len(ranges)), np.int32)  # start, length of each
        for column, values in enumerate(itertools.chain(*ranges)):
            of_row[order, column] = values
        self._ranges = torch.from_numpy(of_row)
        self._order = torch.from_numpy(order.astype(np.int32))

    @property
    def candidates(self) -> Tensor:
        """How many candidates each row has, (N,) int32."""
        _, block, *gaps = self._ranges.unbind(1)
        return block - sum(gaps[1::2])

    def draw(self, rows: Tensor, keys: Tensor) -> Tensor:
        """Returns for each of ``rows`` (n,) int64 a candidate, uniformly by its key (n,) int64.

        A row without candidates gets itself.
        """
        start, block, *gaps = self._ranges[rows].unbind(1)
        count = block - sum(gaps[1::2])
        place = start + (draws.uniform(keys, 1)[:, 0] * count).long()
        for gap, length in zip(gaps[::2], gaps[1::2], strict=True):  # they are in order
            place += torch.where(place >= gap, length, 0)  # a gap of nothing has length 0
        alone = count == 0
        return torch.where(alone, rows, self._order[place.masked_fill_(alone, 0)].long())


def _crossing(starts: np.ndarray, own: np.ndarray, gap: Range, codes: np.ndarray) -> list[Range]:
    """Returns the gaps, in order, of rows that must differ in two columns; all is in sorted order.

    A cell is what agrees in everything. The gaps of a cell are the cells of its block with its code of the
    second column, but in its own place all that agrees with it in the first column.

    Args:
        starts, own: (N,) bool, where a block begins, and what agrees in the first column too.
        gap: of each row what agrees in the first column.
        codes: (N,) of the second column.
    """
    begins = own | np.concatenate(([True], codes[1:] != codes[:-1]))[: len(own)]
    cell = np.cumsum(begins) - 1  # (N,)
    place, length = (each[begins] for each in _ranges(begins))  # of the M cells
    outer = [each[begins] for each in gap]
    block, code = np.cumsum(starts)[begins], codes[begins]
    by = np.lexsort((place, code, block))  # cells that exclude each other stand together
    together = np.ones(len(by), bool)
    together[1:] = (block[by][1:] != block[by][:-1]) | (code[by][1:] != code[by][:-1])
    first, many = (np.empty_like(place) for _ in range(2))
    first[by], many[by] = _ranges(together)
    found = []
    for number in range(many.max(initial=0)):
        there = number < many
        other = by[np.where(there, first + number, 0)]
        mine = other == np.arange(len(by))
        start = np.where(there, np.where(mine, outer[0], place[other]), 0)
        size = np.where(there, np.where(mine, outer[1], length[other]), 0)
        found.append((start[cell].astype(np.int32), size[cell].astype(np.int32)))
    return found


def _mark_changes(starts: np.ndarray, codes: np.ndarray, order: np.ndarray) -> None:
    """Marks where a new block begins: ``codes`` differ from those of the row before."""
    ordered = codes[order]
    starts[1:] |= ordered[1:] != ordered[:-1]


def _ranges(starts: np.ndarray) -> Range:
    """Returns for each sorted row where its block begins, and the block's length: (N,) int32 each."""
    first = np.flatnonzero(starts).astype(np.int32)
    length = np.diff(first, append=np.int32(len(starts))).astype(np.int32)
    block = np.cumsum(starts, dtype=np.int32) - 1
    return first[block], length[block]
