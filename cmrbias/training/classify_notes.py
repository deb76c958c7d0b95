"""What the user should know of a classifier before it is trained."""

from __future__ import annotations

import math

import numpy as np

from cmrbias.backbones import Classifier

FEWEST_CELLS = 7  # a side of the maps, for saliency to say anything (DESIGN, "The phantom")


def notes(classifier: Classifier, complete: np.ndarray, saliency_weight: float) -> list[str]:
    """Returns sentences, a line each.

    Args:
        classifier: what is trained.
        complete: (N, F) bool, which training frames have a complete mask.
        saliency_weight: of the saliency term in the loss, 0 is off.
    """
    said = []
    if classifier.input.box is not None:
        said.append(
            f"background-box: a square of {classifier.input.box} px, the largest heart of the training split"
        )
    if saliency_weight:
        missing = f": {(~complete).sum()} of {complete.size} frames have an incomplete mask and no part in it"
        said.append(f"saliency term: uses contours{'' if complete.all() else missing}")
    size, stride = classifier.image_size, classifier.backbone.stride
    cells = math.ceil(size / stride)
    if cells < FEWEST_CELLS:
        finer = "--stride 16 or " if stride > 16 else ""
        said.append(
            f"warning: maps of {cells} x {cells} cells at {size} px and stride {stride}: saliency says "
            f"little below {FEWEST_CELLS} x {FEWEST_CELLS}: use {finer}a larger --image-size"
        )
    return said
