"""The images that a run was trained on, as its cohort stores them, and how another cohort's differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmrbias.cohorts.format import Cohort
from cmrbias.training.run import Run

SAME = 0.01  # pixel sizes that differ by a smaller share are the same


@dataclass(frozen=True)
class StoredImages:
    """What decides how large a heart is in a cohort's images, and which images a case has.

    Attributes:
        shape: (H, W) in pixels.
        pixel_size: side of a pixel in mm, the median over the cases; None where it is unknown.
        frames: the names of a case's frames.
    """

    shape: tuple[int, int]
    pixel_size: float | None
    frames: tuple[str, ...]

    @classmethod
    def of(cls, cohort: Cohort) -> StoredImages | None:
        """Returns those of a cohort; None where its images differ in size."""
        if cohort.image_shape is None:
            return None
        sizes = cohort.pixel_sizes(np.arange(len(cohort)))
        known = sizes[~np.isnan(sizes)]
        return cls(cohort.image_shape, float(np.median(known)) if len(known) else None, cohort.frames)

    @classmethod
    def of_run(cls, run: Run) -> StoredImages | None:
        """Returns those that a run was trained on; None where it does not tell, as older ones."""
        stored = run.info["cohort"].get("images")
        if stored is None:
            return None
        return cls(tuple(stored["shape"]), stored["pixel_size"], tuple(stored["frames"]))

    def record(self) -> dict[str, Any]:
        """Returns what ``run.json`` holds of them."""
        return {"shape": list(self.shape), "pixel_size": self.pixel_size, "frames": list(self.frames)}

    def shown(self, size: int) -> str:
        """Returns the pixels of the images once they are resampled to squares of ``size``, in words."""
        return _grid((size, size), [side / size for side in self.shape], self.pixel_size)

    def side_in(self, other: StoredImages, side: int) -> int:
        """Returns the side in the other's pixels of a square that hides as much once all are resampled alike.

        It is rounded up, and the longer one where the images' sides do not grow alike.
        """
        pairs = zip(self.shape, other.shape, strict=True)
        return max(-(-side * there // here) for here, there in pairs)

    def __str__(self) -> str:
        """The pixels of the images in words: ``224 x 224 px of 1.5 mm``."""
        return _grid(self.shape, [1.0, 1.0], self.pixel_size)


def size_notes(run: Run, cohort: Cohort, size: int) -> list[str]:
    """Returns a line if a cohort's images have another size, in pixels or in mm, than those of a training.

    They are resampled all the same: a training resamples its own to the size that its network takes. So
    the line says how large the network's pixels become, which decides how large hearts look.

    Args:
        run: of the training.
        cohort: whose images are shown to the run's network.
        size: side in pixels of the squares that they are resampled to.
    """
    trained, found = StoredImages.of_run(run), StoredImages.of(cohort)
    if trained is None or found is None or _alike(trained, found):
        return []
    now, then = found.shown(size), trained.shown(run.info["settings"]["recipe"]["image_size"])
    return [
        f"warning: {cohort.path}: images have {found}, those that {run.path} was trained on {trained}: "
        f"resampled to {now}, " + ("as in training" if now == then else f"in training {then}")
    ]


def _alike(first: StoredImages, second: StoredImages) -> bool:
    if first.shape != second.shape:
        return False
    if first.pixel_size is None or second.pixel_size is None:
        return True
    return math.isclose(first.pixel_size, second.pixel_size, rel_tol=SAME)


def _grid(shape: tuple[int, int], scale: list[float], pixel_size: float | None) -> str:
    """Returns rows x columns of pixels, and their sides in mm: ``pixel_size`` times ``scale`` along each."""
    said = f"{shape[0]} x {shape[1]} px"
    if pixel_size is None:
        return f"{said} of unknown size"
    sides = dict.fromkeys(f"{pixel_size * each:.3g}" for each in scale)
    return f"{said} of {' x '.join(sides)} mm"
