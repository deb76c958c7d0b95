"""LayerCAM (Jiang et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor

from cmrbias.saliency.cam import LayerSaliency


class LayerCAM(LayerSaliency):
    """relu(sum over k of relu(G_k) A_k): each cell weighed by its own positive gradient.

    Source: Jiang et al. 2021, "LayerCAM", equations 5 to 7.
    """

    def weigh(self, activations: Tensor, gradients: Tensor) -> Tensor:
        """Returns maps (N, M, h, w), see ``LayerSaliency.weigh``."""
        return torch.einsum("nmkhw,nkhw->nmhw", gradients.relu(), activations).relu()
