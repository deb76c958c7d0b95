"""A small classifier with random batch statistics, three classes and two frames, and images for it."""

from __future__ import annotations

import pytest
import torch

from cmrbias.backbones import Classifier
from cmrbias.inputs import InputMode


@pytest.fixture
def classifier(tiny_plugins) -> Classifier:
    torch.manual_seed(3)
    backbone = tiny_plugins.registry("backbones").get("tiny")(stride=4)
    made = Classifier(
        backbone, target="label", classes="ABC", frames=("ED", "ES"), image_size=24, input=InputMode()
    )
    made.train()(torch.randn(8, 2, 1, 24, 24))  # moves the batch statistics
    return made.eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(4, 2, 1, 24, 24, generator=torch.Generator().manual_seed(5)) * 2 - 1
