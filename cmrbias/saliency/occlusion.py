"""Occlusion (Zeiler and Fergus 2014)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from torch import Tensor

from cmrbias.api import Choose, Saliency, option
from cmrbias.backbones import Classifier
from cmrbias.errors import CmrbiasError
from cmrbias.saliency.differentiable import evaluating
from cmrbias.saliency.gradient_input import InputOptions


class Occlusion(Saliency):
    """relu(logit - logit with a square of one frame covered), for each square of a grid.

    Source: Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks", section 4.2.
    """

    @dataclass(frozen=True)
    class Options(InputOptions):
        """Options of occlusion."""

        cells: int = option(14, "squares a side; each is a forward pass", minimum=1)

    def maps(self, classifier: Classifier, images: Tensor, classes: Tensor) -> Tensor:
        """Returns maps (N, F, cells, cells), see ``Saliency.maps``."""
        return self.explain(classifier, images, lambda logits: classes[:, None])[1][:, 0]

    def explain(self, classifier: Classifier, images: Tensor, choose: Choose) -> tuple[Tensor, Tensor]:
        """Returns logits and maps of the chosen classes: each forward pass serves all of them."""
        cells, (height, width) = self.options.cells, images.shape[-2:]
        if cells > min(height, width):
            raise CmrbiasError(f"occlusion: expected at most {min(height, width)} cells a side, got {cells}")
        frames = images.shape[1]
        with evaluating(classifier):
            whole = classifier.embed(images)
            logits = classifier(whole)
            classes = choose(logits)
            # the head is linear over the frames' embeddings side by side, so that one pass with a square of
            # every frame covered tells what each of them loses
            weights = classifier.head.weight[classes].view(*classes.shape, frames, -1)
            drops = whole.new_empty(*classes.shape, frames, cells, cells)
            for row, column in product(range(cells), repeat=2):
                covered = images.clone()
                covered[..., _span(row, cells, height), _span(column, cells, width)] = self.options.baseline
                lost = (whole - classifier.embed(covered)).view(len(images), 1, frames, -1)
                drops[..., row, column] = (weights * lost).sum(3)
        return logits, drops.relu()

    def notes(self, classifier: Classifier) -> list[str]:
        """Says what it is computed from."""
        squares = self.options.cells**2
        return [f"{squares} squares of each frame covered with {self.options.baseline:g} one by one"]


def _span(cell: int, cells: int, pixels: int) -> slice:
    """Returns the pixels of a cell of an axis."""
    return slice(cell * pixels // cells, (cell + 1) * pixels // cells)
