"""Cases of a cohort as rows, with the frames that a classifier takes, read from disk when they are needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from cmrbias.augmentations.pipeline import Pipeline
from cmrbias.cohorts.format import Cohort
from cmrbias.errors import CmrbiasError, unknown
from cmrbias.inputs import Donors, InputMode
from cmrbias.inputs.box import extents

_MEASURED = 32  # cases whose masks are held at once


class Cases:
    """Some cases of a cohort as a table, one row a case.

    Attributes:
        cohort: where they are read from.
        case: (N,) int64, each row's case in the cohort.
        frames: the names of the F frames, in the order in which a classifier takes them.
        area: (N, 4) int64, each row's valid area: top, left, height, width in pixels.
        complete: (N, F) bool, whether each frame's mask holds all that the cohort's masks hold.

    Raises:
        CmrbiasError: the cohort lacks a frame, or its images differ in size.
    """

    def __init__(self, cohort: Cohort, case: np.ndarray, frames: Sequence[str]) -> None:
        for name in frames:
            if name not in cohort.frames:
                raise CmrbiasError(f"{cohort.path}: {unknown('frame', name, cohort.frames)}")
        if cohort.image_shape is None:
            raise CmrbiasError(
                f"{cohort.path}: images differ in size; import them with one --size to train on them"
            )
        self.cohort, self.case, self.frames = cohort, case, tuple(frames)
        self.area = cohort.area()[case]
        self._positions = [cohort.frames.index(name) for name in frames]
        self.complete = cohort.complete()[case][:, self._positions]

    def __len__(self) -> int:
        return len(self.case)

    def some(self, rows: np.ndarray) -> Cases:
        """Returns some of the rows, by number (n,) int64."""
        return Cases(self.cohort, self.case[rows], self.frames)

    def codes(self, column: str) -> np.ndarray:
        """Returns a column's integer codes (N,) int64, -1 for empty cells."""
        codes: np.ndarray = self.cohort.codes(column)[0][self.case]
        return codes

    def images(self, rows: np.ndarray) -> Tensor:
        """Returns images (n, F, H, W) float32: stored intensities over the largest that may be stored."""
        stored = self.cohort.images(self.case[rows])[:, self._positions]
        return torch.from_numpy(stored.astype(np.float32)).div_(self.cohort.maximum)

    def masks(self, rows: np.ndarray) -> Tensor:
        """Returns heart masks (n, F, H, W) bool, empty where incomplete."""
        heart = self.cohort.masks(self.case[rows])[:, self._positions] != 0
        return torch.from_numpy(heart & self.complete[rows][..., None, None])

    def spacing(self, rows: np.ndarray, size: int) -> np.ndarray:
        """Returns the height and width in mm of pixels of images shown at ``size``: (n, 2) float64 or NaN."""
        stored = self.cohort.pixel_sizes(self.case[rows])
        assert self.cohort.image_shape is not None
        spacing: np.ndarray = stored[:, None] * np.array(self.cohort.image_shape) / size
        return spacing

    def largest_extent(self) -> int:
        """Returns the longest side of a heart mask of any case and frame in pixels, incomplete ones empty."""
        starts = range(0, len(self), _MEASURED)
        batches = (np.arange(start, min(start + _MEASURED, len(self))) for start in starts)
        return max((int(extents(self.masks(rows)).max()) for rows in batches), default=0)

    def shown(self, rows: np.ndarray, mode: InputMode, size: int, donors: np.ndarray | None = None) -> Tensor:
        """Returns what a classifier is shown in a test: (n, F, 1, size, size) float32 in [-1, 1].

        Args:
            rows: (n,) row numbers.
            mode: what the input mode hides or changes.
            size: side of the network's images in pixels.
            donors: (n,) row numbers of the donors, for the modes that draw some.
        """
        masks = self.masks(rows) if mode.needs_masks else None
        given = None if donors is None else Donors(self.images(donors), self.masks(donors))
        images = mode.show(self.images(rows), masks, given).flatten(0, 1).unsqueeze(1)
        views, _ = Pipeline((), size)(images, None, torch.zeros(len(images), dtype=torch.int64), {})
        return views.reshape(len(rows), len(self.frames), *views.shape[1:])
