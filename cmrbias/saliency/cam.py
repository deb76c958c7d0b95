"""What GradCAM and its relatives share: a layer's activations, weighed by the gradients of a logit there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cmrbias.api import Choose, Saliency, option
from cmrbias.backbones import Classifier
from cmrbias.saliency.differentiable import differentiable
from cmrbias.saliency.layers import (
    backward_gradients,
    feature_gradients,
    feature_map,
    find_layer,
    has_linear_head,
    tapped,
)


@dataclass(frozen=True)
class LayerOptions:
    """Options of methods that look at one layer."""

    layer: str | None = option(None, "module of the network (default: its feature map, after relu)")


class LayerSaliency(Saliency):
    """A map of a layer's cells from its activations and the logits' gradients there: write ``weigh``.

    At the feature map of a linear head over means of cells, gradients need no backward pass.
    """

    Options: ClassVar[type] = LayerOptions

    def weigh(self, activations: Tensor, gradients: Tensor) -> Tensor:
        """Returns maps (N, M, h, w), not negative, of frames' activations (N, K, h, w).

        Args:
            activations: A of the layer; signed where the layer is.
            gradients: (N, M, K, h, w), of M logits a frame; may be an expanded view.
        """
        raise NotImplementedError

    def maps(self, classifier: Classifier, images: Tensor, classes: Tensor) -> Tensor:
        """Returns maps (N, F, h, w), see ``Saliency.maps``."""
        return self.explain(classifier, images, lambda logits: classes[:, None])[1][:, 0]

    def explain(self, classifier: Classifier, images: Tensor, choose: Choose) -> tuple[Tensor, Tensor]:
        """Returns logits and maps of the chosen classes from one forward pass."""
        with differentiable(classifier):
            activations, logits = self._seen(classifier, images)
            classes = choose(logits.detach())
            closed = self.options.layer is None and has_linear_head(classifier)
            gradients = feature_gradients if closed else backward_gradients
            of_logits = gradients(classifier, activations, logits, classes)
        with torch.no_grad():  # maps are scored, not trained on
            maps = self.weigh(activations.detach(), of_logits)
        frames = len(activations) // len(images)
        by_case = maps.view(len(images), frames, *maps.shape[1:]).transpose(1, 2)
        return logits.detach(), by_case

    def notes(self, classifier: Classifier) -> list[str]:
        """Says at which layer, and whether by a closed form or a backward pass."""
        layer = self.options.layer
        if layer is None and has_linear_head(classifier):
            return ["at the feature map, in closed form (linear head over means of cells): no backward pass"]
        if layer is not None:
            find_layer(classifier.backbone, layer)
        return [f"at {layer or 'the feature map'}, by a backward pass"]

    def _seen(self, classifier: Classifier, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the layer's activations (N * F, C, h, w) and the logits (N, K) computed from them."""
        name = self.options.layer
        if name is None:
            activations = feature_map(classifier, images).requires_grad_(not has_linear_head(classifier))
            return activations, classifier(activations.mean((2, 3)).view(len(images), -1))
        with tapped(find_layer(classifier.backbone, name), name) as seen:
            logits = classifier(images)
        return seen[0], logits
