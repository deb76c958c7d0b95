"""GradCAM (Selvaraju et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from cmrbias import ops
from cmrbias.api import option
from cmrbias.saliency.cam import LayerOptions, LayerSaliency


class GradCAM(LayerSaliency):
    """relu(sum over k of w_k A_k), w_k the mean over cells of the logit's gradient at channel k.

    Source: Selvaraju et al. 2017, "Grad-CAM", equations 1 and 2.
    """

    @dataclass(frozen=True)
    class Options(LayerOptions):
        """Options of GradCAM."""

        gradient: Literal["layer", "before-relu"] = option(
            "layer", "where it is taken; before-relu: 0 where A <= 0, as in the published code (recipe paper)"
        )

    def weigh(self, activations: Tensor, gradients: Tensor) -> Tensor:
        """Returns maps (N, M, h, w), see ``LayerSaliency.weigh``."""
        if self.options.gradient == "before-relu":
            gradients = torch.where(activations[:, None] > 0, gradients, 0)
        elif 0 in gradients.stride()[-2:]:  # the same in every cell: the mean is known
            return torch.einsum("nmk,nkhw->nmhw", gradients[..., 0, 0], activations).relu()
        return ops.gradcam(activations.contiguous(), gradients.contiguous())
