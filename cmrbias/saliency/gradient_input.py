"""Input gradient x input (Shrikumar et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cmrbias.api import Saliency, option
from cmrbias.backbones import Classifier
from cmrbias.saliency.differentiable import differentiable


@dataclass(frozen=True)
class InputOptions:
    """Options of methods that look at the input's pixels."""

    baseline: float = option(-1.0, "the value that counts as nothing: -1 is a stored 0")


class GradientInput(Saliency):
    """relu((x - baseline) * gradient of the logit at x), pixel by pixel: the evidence for the class.

    Source: Shrikumar et al. 2017, "Not just a black box", with the input measured from its baseline.
    """

    Options = InputOptions

    def maps(self, classifier: Classifier, images: Tensor, classes: Tensor) -> Tensor:
        """Returns maps (N, F, H, W), see ``Saliency.maps``."""
        with differentiable(classifier):
            gradient = input_gradient(classifier, images, classes)
        evidence: Tensor = (images - self.options.baseline) * gradient
        return evidence.squeeze(2).relu()

    def notes(self, classifier: Classifier) -> list[str]:
        """Says what it is computed from."""
        return [f"a map of pixels by a backward pass, input measured from {self.options.baseline:g}"]


def input_gradient(classifier: Classifier, images: Tensor, classes: Tensor) -> Tensor:
    """Returns the gradient at images (N, F, 1, H, W) of the logits of classes (N,): the images' shape.

    To be called under ``differentiable``.
    """
    at = images.detach().requires_grad_()
    chosen = classifier(at).gather(1, classes[:, None]).sum()
    return torch.autograd.grad(chosen, at)[0]
