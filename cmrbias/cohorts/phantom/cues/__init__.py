"""Contextual cues: what is added to a finished image, in the headroom that its anatomy leaves.

A cue has as many levels as there are diagnoses, and each level is visible, so that a case without a
cue (condition ``absent``) looks like none of them. A level looks the same to a network that sees the
image flipped, but for the shading, which rises to the right for high levels and to the left for low ones.

``local-far`` lies on the skin, at least two cells of a 7 x 7 map (64 of 224 pixels) from the heart;
``local-near`` lies at a chosen distance from the heart mask, where a coarse map calls background heart;
``texture`` covers all that is outside the mask; ``global`` changes the whole image, so that no
background is left that a mask could separate; ``geometric`` moves the heart within the chest, before the
image is made; ``inside`` lies in the blood pool. Kinds and their forms: ``settings.CUES``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmrbias.cohorts.phantom.cues import inside, local, texture, whole
from cmrbias.cohorts.phantom.rendering import Rendering
from cmrbias.cohorts.phantom.settings import PhantomOptions

STEP_MM = 6.0
"""How much further each level of a ``geometric`` cue moves the heart into the left lung."""


@dataclass(frozen=True)
class Cue:
    """A kind of cue in one of its forms.

    Attributes:
        kind: a key of ``settings.CUES``.
        form: one of the kind's forms; empty where it has one only.
        distance: mm from the heart mask to a ``local-near`` cue.
        levels: how many there are.
    """

    kind: str
    form: str
    distance: float
    levels: int

    @classmethod
    def of(cls, options: PhantomOptions) -> Cue:
        """Returns the cue of a phantom cohort."""
        return cls(options.cue, options.form, options.distance, len(options.class_names))

    def heart_shift(self, level: int) -> tuple[float, float]:
        """Returns how many mm the heart lies to the right and below its place at a level (-1: no cue)."""
        return (STEP_MM * (level + 1) if self.kind == "geometric" else 0.0, 0.0)


def add_cue(cue: Cue, found: Rendering, level: int, rng: np.random.Generator) -> np.ndarray:
    """Returns the images (frames, size, size) uint8 of a rendering with a cue added.

    Args:
        cue: what is added.
        found: images that are at most ``ANATOMY_MAXIMUM``, masks, contours and the body's outline.
        level: 0 to ``levels - 1``, or -1 for no cue.
        rng: the case's own stream for textures and noise, the same at all levels.
    """
    if level < 0 or cue.kind in ("none", "geometric"):
        return found.images
    if cue.kind in ("local-far", "local-near"):
        distance = cue.distance if cue.kind == "local-near" else None
        return local.added(found, cue.form, level, distance)
    if cue.kind == "inside":
        return inside.added(found, level)
    if cue.kind == "texture":
        return texture.added(found, level, cue.levels, rng)
    return whole.added(found, cue.form, level, cue.levels, rng)
