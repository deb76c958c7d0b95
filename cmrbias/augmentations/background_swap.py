"""The heart of an image before the background of another image of the batch (the paper's Rand)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from cmrbias.api import Augmentation, Params, draws, option
from cmrbias.ops import Align, Fill, background_residual, background_swap


class BackgroundSwap(Augmentation):
    """Puts the heart before the background of another patient's image of the same frame (ED, ES).

    Donors are drawn from the batch, uniformly and blind to the labels. A donor must have a mask that
    is not empty, or its heart would stay in the background, and a known patient. An image stays as it
    is where no donor is to be had, its own mask is empty or its own patient is unknown (code -1: any
    donor might be the same patient). Masks stay as they are. Stands before crops and other geometry.

    ``donors=self`` is the control: the images that would be swapped pass through all of this with their
    own background.

    Attributes:
        metrics: of the last batch, each (N,): ``swap_unchanged``, 1 for an image that is not swapped,
            else 0; for swapped ones, else NaN, ``swap_residual``, the share of pixels where the donor's
            heart lay outside the own one and ``fill`` covered it (with ``donor`` it shows), and, where
            labels are known, ``swap_same_label``, 1 if the donor has the same one, else 0.
    """

    needs_masks = True
    columns = ("patient", "frame", "label")
    mixes_rows = True

    @dataclass(frozen=True)
    class Options:
        """Options of the background swap."""

        probability: float = option(1.0, "share of the images that are swapped", minimum=0, maximum=1)
        fill: Fill = option("inpaint", "what takes the place of the donor's heart")
        align: Align = option("none", "centroid: move the donor so that the hearts' centroids coincide")
        donors: Literal["other", "self"] = option("other", "self: the image's own background, as a control")

    def draw(self, keys: Tensor) -> Params:
        """Returns ``swap`` (N,) bool, and ``key`` (N,) int64 from which the donor is drawn."""
        return {"swap": draws.uniform(keys, 1)[:, 0] < self.options.probability, "key": keys}

    def apply(self, images: Tensor, masks: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Returns swapped images of the same shape, and the masks as they are."""
        assert masks is not None  # needs_masks
        heart, options = masks != 0, self.options
        donors = _donors(heart.any((1, 2, 3)), params)
        itself = torch.arange(len(donors), device=donors.device)
        unchanged = donors == itself
        if options.donors == "self":
            donors = itself
        residual = background_residual(heart, donors, options.align).mean(1)
        self.metrics = {
            "swap_unchanged": unchanged.float(),
            "swap_residual": residual.masked_fill(unchanged, torch.nan),
        }
        if "label" in params:
            label = params["label"]
            unknown = unchanged | (label < 0) | (label[donors] < 0)
            same = (label == label[donors]).float()
            self.metrics["swap_same_label"] = same.masked_fill(unknown, torch.nan)
        return background_swap(images, heart, donors, options.fill, options.align), masks


def _donors(has_heart: Tensor, params: Params) -> Tensor:
    """Returns each image's donor (N,) int64, itself where it is to stay as it is."""
    key, patient, frame = params["key"], params["patient"], params["frame"]
    usable = has_heart & (patient >= 0)
    eligible = usable & (patient[:, None] != patient) & (frame[:, None] == frame)  # recipient, donor
    chosen = draws.choose(key, eligible)
    swapped = params["swap"] & usable & (chosen >= 0)
    return torch.where(swapped, chosen, torch.arange(len(key), device=key.device))
