"""Maps that know nothing of the classifier: what its maps must beat before they say anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

from cmrbias.backbones import Classifier
from cmrbias.plugins import Plugins
from cmrbias.training.monitor import estimated_statistics

SPREAD = 1 / 7  # standard deviation of the centred Gaussian in sides of the image


def centred_gaussian(height: int, width: int) -> Tensor:
    """Returns a Gaussian in the middle of a grid of cells, (height, width) float32.

    Hearts are in the middle of most images, so that a map may lie on them and not know of them.
    """
    rows, columns = ((torch.arange(cells) + 0.5) / cells - 0.5 for cells in (height, width))
    return torch.exp(-(rows[:, None] ** 2 + columns**2) / (2 * SPREAD**2))


def image_gradient(images: Tensor, height: int, width: int) -> Tensor:
    """Returns the magnitude of intensity differences between neighbours, averaged over cells.

    Args:
        images: (N, 1, H, W) floats.
        height, width: of the grid.

    Returns:
        (N, height, width) float32.
    """
    down = F.pad(images.diff(dim=2), (0, 0, 0, 1))
    right = F.pad(images.diff(dim=3), (0, 1, 0, 0))
    return F.adaptive_avg_pool2d(torch.hypot(down, right), (height, width))[:, 0]


def redrawn(classifier: Classifier, plugins: Plugins, seed: int) -> Classifier:
    """Returns a classifier of the same form whose weights are drawn anew, in eval mode."""
    backbone = classifier.backbone
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = plugins.registry("backbones").get(backbone.name)(stride=backbone.stride)
        made = Classifier(
            fresh,
            target=classifier.target,
            classes=classifier.classes,
            frames=classifier.frames,
            image_size=classifier.image_size,
            input=classifier.input,
        )
    device = classifier.head.weight.device
    return made.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload,no-any-return]


@contextmanager
def untrained(
    classifier: Classifier, plugins: Plugins, batches: Iterable[Tensor], seed: int = 0
) -> Iterator[Classifier]:
    """Within, the same network untrained, its running statistics those of ``batches`` (N, 1, H, W)."""
    made = redrawn(classifier, plugins, seed)
    with estimated_statistics(made.backbone, batches):
        yield made
