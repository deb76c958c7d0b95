"""Reading single columns of a large CSV file as integer codes and a vocabulary."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmrbias.errors import CmrbiasError, unknown


@dataclass(frozen=True)
class Column:
    """A factorised column: 4 bytes a row, and the bytes of each distinct value once.

    Attributes:
        codes: (N,) int32 into the sorted vocabulary, -1 for empty cells.
        joined: the vocabulary joined by NUL characters: a list of a million ``str`` takes 69 MB.
    """

    codes: np.ndarray
    joined: str

    @property
    def vocabulary(self) -> list[str]:
        """The distinct non-empty values, sorted."""
        return self.joined.split("\0") if self.joined else []


class Csv:
    """A CSV file (``utf-8-sig``) with a header line, of which one reads some columns at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                self.header = next(csv.reader(file), [])
            with path.open("rb") as file:
                self._quoted = any(b'"' in block for block in iter(lambda: file.read(1 << 20), b""))
        except (FileNotFoundError, UnicodeDecodeError, csv.Error) as error:
            raise CmrbiasError(f"{path}: cannot be read as a UTF-8 table: {_reason(error)}") from None
        if len(set(self.header)) != len(self.header):
            twice = sorted({name for name in self.header if self.header.count(name) > 1})
            raise CmrbiasError(f"{path}: column {twice[0]!r} is there twice")

    def factorise(self, names: Sequence[str]) -> list[Column]:
        """Reads columns in one pass.

        Raises:
            CmrbiasError: there is no such column, or a line has another number of cells.
        """
        for name in names:
            if name not in self.header:
                raise CmrbiasError(f"{self.path}: {unknown('column', name, self.header)}")
        wanted = [(self.header.index(name), array("i"), {"": -1}) for name in names]
        try:
            for cells in self._rows(max(position for position, _, _ in wanted)):
                for position, codes, book in wanted:
                    codes.append(book.setdefault(cells[position], len(book) - 1))
        except (UnicodeDecodeError, csv.Error) as error:
            raise CmrbiasError(f"{self.path}: cannot be read as a UTF-8 table: {_reason(error)}") from None
        return [_sorted(codes, book) for _, codes, book in wanted]

    def cells(self, name: str) -> Iterator[str]:
        """Yields a column's cells, row by row; of a table of which ``factorise`` has read a column."""
        position = self.header.index(name)
        for cells in self._rows(position):
            yield cells[position]

    def _rows(self, last: int) -> Iterator[list[str]]:
        """Yields the cells up to column ``last`` of each line below the header.

        Without quotes in the file, splitting its lines takes two thirds of the csv module's time.
        """
        commas = len(self.header) - 1
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            if not self._quoted:
                next(file)
                for number, line in enumerate(file, start=2):
                    if line.count(",") == commas:
                        yield line.rstrip("\r\n").split(",", last + 1)
                    elif line.strip():
                        raise self._uneven(number, line.count(",") + 1)
                return
            rows = csv.reader(file)
            next(rows)
            for number, cells in enumerate(rows, start=2):
                if len(cells) == commas + 1:
                    yield cells
                elif cells:
                    raise self._uneven(number, len(cells))

    def _uneven(self, number: int, cells: int) -> CmrbiasError:
        return CmrbiasError(f"{self.path}: row {number}: expected {len(self.header)} cells, got {cells}")


def _sorted(codes: array[int], book: dict[str, int]) -> Column:
    """Renumbers codes of first appearance by the values' sorted order."""
    del book[""]
    vocabulary = sorted(book)
    rank = np.full(len(vocabulary) + 1, -1, dtype=np.int32)  # the last is found by code -1
    rank[[book[value] for value in vocabulary]] = np.arange(len(vocabulary), dtype=np.int32)
    return Column(rank[np.array(codes, dtype=np.int32)], "\0".join(vocabulary))


def _reason(error: Exception) -> str:
    return "no such file" if isinstance(error, FileNotFoundError) else str(error)
