"""EigenCAM (Muhammad and Yeasin 2020)."""

from __future__ import annotations

import torch
from torch import Tensor

from cmrbias.saliency.cam import LayerSaliency


class EigenCAM(LayerSaliency):
    """The layer's first principal component: the same map for every class.

    With A as a matrix of cells x channels, the map is A v of its first right singular vector v, whose
    sign, which is free, is taken so that the map's sum is not negative; then relu.

    Source: Muhammad and Yeasin 2020, "Eigen-CAM", section III.
    """

    def weigh(self, activations: Tensor, gradients: Tensor) -> Tensor:
        """Returns maps (N, M, h, w), see ``LayerSaliency.weigh``."""
        count, _, height, width = activations.shape
        cells = activations.double().flatten(2)  # (N, K, h w)
        # A A^T has as many rows as there are cells or channels, whichever are fewer
        if cells.shape[2] <= cells.shape[1]:
            values, vectors = torch.linalg.eigh(cells.mT @ cells)
            first = vectors[..., -1] * values[:, -1:].clamp(min=0).sqrt()
        else:
            first = (cells.mT @ torch.linalg.eigh(cells @ cells.mT).eigenvectors[..., -1:])[..., 0]
        upright = torch.where(first.sum(1, keepdim=True) < 0, -first, first)
        maps = upright.relu().float().view(count, 1, height, width)
        return maps.expand(-1, gradients.shape[1], -1, -1)
