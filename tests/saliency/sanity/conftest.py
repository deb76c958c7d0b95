"""Runs of the tiny network that differ in their seed, their backbone, or in what they must not."""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from cmrbias import builtin, hookimpl
from cmrbias.api import Recipe, Saliency
from cmrbias.plugins import Origin, Plugins
from cmrbias.training.start import Settings, start


class Intensity(Saliency):
    """Shows the image, whatever the network; nothing of the second frame."""

    def maps(self, classifier, images, classes):
        cells = F.adaptive_avg_pool2d(images.flatten(1, 2), 8) + 1
        return cells * torch.tensor([1.0, 0.0])[:, None, None]


class Negative(Saliency):
    """Wrong on purpose, for the second case alone."""

    def maps(self, classifier, images, classes):
        maps = torch.ones(len(images), images.shape[1], 4, 4)
        maps[1, 0, 2, 3] = -0.5
        return maps


@pytest.fixture(scope="session")
def plugins(tiny_plugins: Plugins) -> Plugins:
    """The built-ins, ``tiny``, a network ``coarse`` with larger cells, and two saliency methods."""
    tiny = type(tiny_plugins.registry("backbones").get("tiny")(stride=4))

    class Coarse(tiny):  # type: ignore[misc, valid-type]
        name, stride = "coarse", 16

        def feature_map(self, images: torch.Tensor) -> torch.Tensor:
            return F.avg_pool2d(self.features(images), 4)

    def register_backbones(register: Any) -> None:
        register("tiny", lambda stride: tiny())
        register("coarse", lambda stride: Coarse())

    def register_saliency(register: Any) -> None:
        register("intensity", Intensity)
        register("negative", Negative)

    module, found = types.ModuleType("mine"), Plugins()
    module.register_backbones = hookimpl(register_backbones)  # type: ignore[attr-defined]
    module.register_saliency = hookimpl(register_saliency)  # type: ignore[attr-defined]
    found.add(builtin, Origin("builtin", "cmrbias", "1"))
    found.add(module, Origin("mine", "dist-mine", "1"))
    return found


@pytest.fixture(scope="session")
def train(
    tmp_path_factory: pytest.TempPathFactory, plugins: Plugins, small_cohort: Path
) -> Callable[..., Path]:
    """Returns a function that trains a network on the small cohort and returns the run."""

    def train(seed: int = 0, size: int = 48, **options: Any) -> Path:
        recipe = Recipe(epochs=1, batch=4, lr=1e-2, image_size=size)
        values = {"backbone": "tiny", "validation": 0.0, **options}
        out = tmp_path_factory.mktemp("runs") / "run"
        settings = Settings("classify", str(small_cohort), recipe, values, seed, "fp32", "cpu")
        start(settings, out, plugins, lambda text: None)
        return out

    return train


@pytest.fixture(scope="session")
def run(train: Callable[..., Path]) -> Path:
    return train()


@pytest.fixture(scope="session")
def other_seed(train: Callable[..., Path]) -> Path:
    return train(seed=1)


@pytest.fixture(scope="session")
def other_backbone(train: Callable[..., Path]) -> Path:
    return train(backbone="coarse")
