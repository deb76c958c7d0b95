"""Mini-batches of cases as a classifier gets them: input mode, then augmentation, all frames alike."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cmrbias import draws
from cmrbias.api import Setup
from cmrbias.augmentations.pipeline import build_pipeline
from cmrbias.errors import CmrbiasError
from cmrbias.inputs import Donors, InputMode, batch_donors
from cmrbias.inputs.swap import residual
from cmrbias.training.labelled import Labelled


class CaseBatch(NamedTuple):
    """What one part of a step is computed from.

    Attributes:
        inputs: (N, F, 1, H, W) in [-1, 1], or embeddings (N, F * dim) that were computed before.
        labels: (N,) int64, or findings (N, K) float32.
        masks: (N * F, H, W) bool, moved with the inputs, empty where incomplete; None if not wanted.
        metrics: what the input mode measured, scalars.
    """

    inputs: Tensor
    labels: Tensor
    masks: Tensor | None
    metrics: dict[str, Tensor]


class CaseBatches:
    """Loads mini-batches, each a function of its rows and the epoch.

    Args:
        setup: gives seed, device and the recipe's augmentations and image size.
        data: the labelled cases.
        mode: what of them is shown.
        masks: whether batches hold masks.

    Raises:
        CmrbiasError: an augmentation or a column it wants does not exist, or it needs masks and there
            are none.
    """

    def __init__(self, setup: Setup, data: Labelled, mode: InputMode, masks: bool) -> None:
        recipe = setup.recipe
        registry = setup.plugins.registry("augmentations")
        self.pipeline = build_pipeline(registry, recipe.augmentations, recipe.image_size)
        if self.pipeline.needs_masks and not setup.cohort.has_masks:
            raise CmrbiasError(
                f"{setup.cohort.path}: has no heart masks, which the augmentations "
                f"{', '.join(recipe.augmentations)} need: leave out those that use masks"
            )
        self.seed, self.device = setup.seed, setup.device
        self.cases, self.mode = data.cases, mode
        self.moves_masks = masks or self.pipeline.needs_masks
        self.labels = torch.as_tensor(data.labels)
        self.patients = torch.as_tensor(self.cases.codes("patient"))
        wanted = [name for name in self.pipeline.columns if name not in ("area", "frame")]
        self.columns = {name: torch.as_tensor(self.cases.codes(name)) for name in wanted}
        self.columns["area"] = torch.as_tensor(self.cases.area, dtype=torch.float64)

    def load(self, rows: np.ndarray, epoch: int) -> CaseBatch:
        """Returns the batch of ``rows`` (n,) of the cases."""
        keys = draws.keys(self.seed, epoch, torch.as_tensor(self.cases.case[rows]), 0)
        images = self.cases.images(rows)
        masks = self.cases.masks(rows) if self.mode.needs_masks or self.moves_masks else None
        donors, metrics = self._donors(rows, keys, images, masks)
        shown = self.mode.show(images, masks, donors)
        views, moved = self._augmented(shown, masks if self.moves_masks else None, keys, rows)
        hearts = None if moved is None else moved[:, 0].bool().to(self.device)
        return CaseBatch(views.to(self.device), self.labels[rows].to(self.device), hearts, metrics)

    def _donors(
        self, rows: np.ndarray, keys: Tensor, images: Tensor, masks: Tensor | None
    ) -> tuple[Donors | None, dict[str, Tensor]]:
        """Returns donors from the mini-batch and, of the cases that got one, residual and equal labels."""
        if not self.mode.draws_donors:
            return None, {}
        assert masks is not None
        drawn = batch_donors(keys, self.patients[rows])
        donors = Donors(images[drawn], masks[drawn])
        swapped = drawn != torch.arange(len(drawn))
        same = self.labels[rows] == self.labels[rows][drawn]
        return donors, {
            "swap_residual": residual(masks, donors).mean(1)[swapped].mean(),
            "swap_same_label": same[swapped].double().mean(),
            "swap_unchanged": (~swapped).double().mean(),
        }

    def _augmented(
        self, images: Tensor, masks: Tensor | None, keys: Tensor, rows: np.ndarray
    ) -> tuple[Tensor, Tensor | None]:
        """Returns views (n, F, 1, H, W), and the masks moved with them (n * F, 1, H, W).

        Each frame is a row of the pipeline with its case's key, so all frames of a case move alike.
        """
        count = images.shape[1]
        columns = {name: codes[rows].repeat_interleave(count, 0) for name, codes in self.columns.items()}
        columns["frame"] = torch.arange(count).repeat(len(rows))
        singly = None if masks is None else masks.flatten(0, 1).unsqueeze(1).float()
        views, moved = self.pipeline(
            images.flatten(0, 1).unsqueeze(1), singly, keys.repeat_interleave(count), columns
        )
        return views.reshape(len(rows), count, *views.shape[1:]), moved
