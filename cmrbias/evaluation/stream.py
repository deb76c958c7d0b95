"""Cases as a classifier is shown them in a test, a batch at a time.

Whatever the number of cases, one batch of images is in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch import Tensor

from cmrbias.augmentations.geometry import nearest, whole
from cmrbias.inputs import InputMode
from cmrbias.training.cases import Cases

BATCH = 32  # cases


class ShownCases(NamedTuple):
    """A batch of cases.

    Attributes:
        rows: (n,) int64, row numbers of the ``Cases`` that were streamed.
        images: (n, F, 1, size, size) float32 in [-1, 1], what the classifier takes.
        masks: (n, F, size, size) bool, the hearts in those images, empty where incomplete; None if not
            wanted.
    """

    rows: np.ndarray
    images: Tensor
    masks: Tensor | None


def stream_cases(
    cases: Cases,
    mode: InputMode,
    size: int,
    rows: np.ndarray | None = None,
    donors: np.ndarray | None = None,
    masks: bool = False,
    batch: int = BATCH,
) -> Iterator[ShownCases]:
    """Yields cases in their order, unaugmented, in the input mode.

    Args:
        cases: the table that rows and donors are numbers of.
        mode: what of them is shown; a ``background-box`` with its side.
        size: side of the network's images in pixels: ``classifier.image_size``.
        rows: (n,) int64, which are shown, all by default; for a mode that needs masks those with complete
            ones (see ``shown_rows``).
        donors: (n,) int64 rows, one for each of ``rows``, for the modes that draw some.
        masks: whether batches hold masks, whatever the mode.
        batch: cases a batch.
    """
    chosen = np.arange(len(cases)) if rows is None else rows
    for start in range(0, len(chosen), batch):
        part = slice(start, start + batch)
        images = cases.shown(chosen[part], mode, size, None if donors is None else donors[part])
        yield ShownCases(chosen[part], images, _masks(cases, chosen[part], size) if masks else None)


def _masks(cases: Cases, rows: np.ndarray, size: int) -> Tensor:
    """Returns the heart masks (n, F, size, size) bool, moved as ``Cases.shown`` moves images (nearest)."""
    stored = cases.masks(rows)
    if stored.shape[-2:] == (size, size):
        return stored
    singly = stored.flatten(0, 1).unsqueeze(1).float()
    return nearest(singly, whole(singly), size).reshape(*stored.shape[:2], size, size).bool()
