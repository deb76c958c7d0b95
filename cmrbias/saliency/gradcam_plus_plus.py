"""GradCAM++ (Chattopadhay et al. 2018)."""

from __future__ import annotations

import torch
from torch import Tensor

from cmrbias.saliency.cam import LayerSaliency


class GradCAMPlusPlus(LayerSaliency):
    """GradCAM with weights w_k = sum over cells of alpha relu(G), so that small regions count as large ones.

    alpha = G^2 / (2 G^2 + sum(A) G^3), 0 where the denominator is. The paper derives them for
    exp(logit), which multiplies a map by a positive number and so changes no score; G is the logit's.

    Source: Chattopadhay et al. 2018, "Grad-CAM++", equations 5 and 19.
    """

    def weigh(self, activations: Tensor, gradients: Tensor) -> Tensor:
        """Returns maps (N, M, h, w), see ``LayerSaliency.weigh``."""
        square = gradients**2
        total = activations.sum((-2, -1), keepdim=True)[:, None]
        denominator = 2 * square + total * square * gradients
        alpha = torch.where(denominator == 0, 0, square / torch.where(denominator == 0, 1, denominator))
        weights = (alpha * gradients.relu()).sum((-2, -1))
        return torch.einsum("nmk,nkhw->nmhw", weights, activations).relu()
