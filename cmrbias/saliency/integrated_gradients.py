"""Integrated gradients (Sundararajan et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cmrbias.api import Saliency, option
from cmrbias.backbones import Classifier
from cmrbias.saliency.differentiable import differentiable
from cmrbias.saliency.gradient_input import InputOptions, input_gradient


class IntegratedGradients(Saliency):
    """relu((x - baseline) * the mean gradient on the way from the baseline to x), pixel by pixel.

    Before the relu, a case's values sum to its logit minus the baseline's, up to the steps' error.

    Source: Sundararajan et al. 2017, "Axiomatic attribution for deep networks", equation 1.
    """

    @dataclass(frozen=True)
    class Options(InputOptions):
        """Options of integrated gradients."""

        steps: int = option(50, "points of the Gauss-Legendre rule, a backward pass each", minimum=1)

    def maps(self, classifier: Classifier, images: Tensor, classes: Tensor) -> Tensor:
        """Returns maps (N, F, H, W), see ``Saliency.maps``."""
        return self.attributions(classifier, images, classes).squeeze(2).relu()

    def notes(self, classifier: Classifier) -> list[str]:
        """Says what it is computed from."""
        path = f"{self.options.steps} backward passes from {self.options.baseline:g} to the image"
        return [f"a map of pixels by {path}"]

    def attributions(self, classifier: Classifier, images: Tensor, classes: Tensor) -> Tensor:
        """Returns the signed values before the relu, (N, F, 1, H, W)."""
        points, weights = np.polynomial.legendre.leggauss(self.options.steps)  # on [-1, 1]
        way: Tensor = images - self.options.baseline
        total = torch.zeros_like(images)
        with differentiable(classifier):
            for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
                at = self.options.baseline + float(point) * way
                total += float(weight) * input_gradient(classifier, at, classes)
        return way * total
