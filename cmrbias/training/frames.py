"""The training frames of a cohort, one row a frame, read from disk when they are needed."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from cmrbias.cohorts.format import Cohort
from cmrbias.errors import CmrbiasError


class Frames:
    """One split of a cohort as a table of single frames; rows are ordered by case, then frame.

    Attributes:
        case: (N,) int64, each row's case in the cohort.
        frame: (N,) int64, each row's frame.
        index: (N,) int64 tensor, ``case * frames + frame``: a row's number in the whole cohort.
        area: (N, 4) int64, each row's valid area: top, left, height, width in pixels.
    """

    def __init__(self, cohort: Cohort, split: str = "train") -> None:
        cases = cohort.cases(split)
        if len(cases) == 0:
            raise CmrbiasError(
                f"{cohort.path}: no case has split == {split!r}: expected some in cases.csv, column 'split'"
            )
        if cohort.image_shape is None:
            raise CmrbiasError(
                f"{cohort.path}: images differ in size; import them with one --size to train on them"
            )
        self.cohort = cohort
        self.case = np.repeat(cases, len(cohort.frames))
        self.frame = np.tile(np.arange(len(cohort.frames)), len(cases))
        self.index = torch.as_tensor(self.case * len(cohort.frames) + self.frame)
        self.area = cohort.area()[self.case]
        self._complete = cohort.complete() if cohort.has_masks else None
        self._codes: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.case)

    def has(self, column: str) -> bool:
        """Returns whether ``codes`` knows the column."""
        return column == "frame" or column in self.cohort.columns

    def codes(self, column: str) -> np.ndarray:
        """Returns a column's integer codes (N,) int64, -1 for empty cells; see ``api.Table``."""
        if column == "frame":
            return self.frame
        if column not in self._codes:
            self._codes[column] = self.cohort.codes(column)[0][self.case]
        return self._codes[column]

    def values(self, column: str) -> list[str]:
        """Returns the values that a column's codes number; see ``api.Table``."""
        return list(self.cohort.frames) if column == "frame" else self.cohort.codes(column)[1]

    def images(self, rows: np.ndarray) -> Tensor:
        """Returns images (n, 1, H, W) float32 in [0, 1]."""
        stored = self.cohort.images(self.case[rows])[np.arange(len(rows)), self.frame[rows]]
        pixels = torch.from_numpy(stored.astype(np.float32))
        return pixels.div_(self.cohort.maximum)[:, None]

    def masks(self, rows: np.ndarray) -> Tensor | None:
        """Returns heart masks (n, 1, H, W) float32 in {0, 1}; empty where a mask is incomplete.

        None for a cohort without masks.
        """
        if self._complete is None:
            return None
        case, frame = self.case[rows], self.frame[rows]
        labels = self.cohort.masks(case)[np.arange(len(rows)), frame]
        heart = (labels != 0) & self._complete[case, frame][:, None, None]
        return torch.from_numpy(heart.astype(np.float32))[:, None]
