"""What pictures of cases are made of: images and masks of a cohort, maps of a cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmrbias.cohorts.format import Cohort
from cmrbias.evaluation.stream import stream_cases
from cmrbias.inputs import InputMode
from cmrbias.training.cases import Cases


@dataclass(frozen=True)
class Pictures:
    """Whole cases as a classifier is shown them in input mode ``full``.

    Attributes:
        frames: names, F of them.
        images: (n, F, size, size) float32, 0 to 1.
        masks: (n, F, size, size) bool, the heart.
    """

    frames: tuple[str, ...]
    images: np.ndarray
    masks: np.ndarray


def pictures(cohort: Path, cases: Sequence[str], frames: Sequence[str], size: int) -> Pictures:
    """Returns some cases, in this order, ``size`` pixels a side."""
    opened = Cohort.open(cohort)
    at = {name: row for row, name in enumerate(opened.column("case").tolist())}
    table = Cases(opened, np.array([at[name] for name in cases], np.int64), tuple(frames))
    shown = list(stream_cases(table, InputMode(), size, masks=True))
    images = np.concatenate([(batch.images[:, :, 0].numpy() + 1) / 2 for batch in shown])
    masks = np.concatenate([batch.masks.numpy() for batch in shown if batch.masks is not None])
    return Pictures(tuple(frames), images, masks)


def read_cells(folder: Path, method: str = "gradcam") -> tuple[list[str], list[str], np.ndarray]:
    """Returns what ``saliency --maps`` wrote: case names, frames, maps (n, F, h, w) float32."""
    with np.load(folder / "maps.npz", allow_pickle=False) as found:
        return found["case"].tolist(), found["frame"].tolist(), found[method]


def pseudonym(cohort: str, number: int) -> str:
    """Returns what a figure calls a case, whatever the cohort's own name of it is: ids may have been kept."""
    return f"{cohort} {number + 1:03d}"


def pseudonyms(cohort: Path, name: str) -> dict[str, str]:
    """Returns the pseudonym of each case of a cohort, by its place in the cohort."""
    cases = Cohort.open(cohort).column("case").tolist()
    return {case: pseudonym(name, number) for number, case in enumerate(cases)}
