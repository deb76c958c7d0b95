"""SimSiam as cmrbias finds it: run after ``pip install plugins/cmrbias-example``."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cmrbias.api import Backbone, Batch, CmrbiasError, Method
from cmrbias.options import build, describe, options_of
from cmrbias.plugins import plugin_manager

PLUGIN = Path(__file__).parents[1]


class Tiny(Backbone):
    name, dim, stride = "tiny", 6, 2

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU())

    def feature_map(self, images: Tensor) -> Tensor:
        return self.layers(images)


@pytest.fixture(scope="module")
def simsiam() -> type[Method]:
    """What the installed entry point registers."""
    return plugin_manager().registry("methods").get("simsiam")


@pytest.fixture
def method(simsiam: type[Method]) -> Method:
    torch.manual_seed(0)
    return simsiam(Tiny(), build(options_of(simsiam), {"dim": "8", "hidden": "4"}, "method 'simsiam'"))


def batch(count: int) -> Batch:
    index = torch.arange(count)
    return Batch(index=(index, index), masks=(None, None))


def views(count: int = 5) -> tuple[Tensor, Tensor]:
    first, second = torch.rand(2, count, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return first, second


def test_is_found_by_its_entry_point() -> None:
    entry = plugin_manager().registry("methods").entry("simsiam")
    assert (entry.plugin, entry.distribution, entry.version) == ("simsiam", "cmrbias-example", "0.1.0")


def test_is_as_short_as_promised() -> None:
    (module,) = PLUGIN.glob("*.py")
    assert len(module.read_text().splitlines()) <= 40
    assert len((PLUGIN / "pyproject.toml").read_text().splitlines()) <= 10


def test_has_options_and_recipes(simsiam: type[Method]) -> None:
    assert [(o.name, o.default) for o in describe(options_of(simsiam))] == [("dim", 2048), ("hidden", 512)]
    assert {"quick", "paper"} <= simsiam.recipes.keys()
    with pytest.raises(CmrbiasError, match="option 'dim': expected at least 1, got 0"):
        build(options_of(simsiam), {"dim": "0"}, "method 'simsiam'")


def test_loss_is_the_mean_negative_cosine_of_both_directions(method: Method) -> None:
    method.eval()
    with torch.no_grad():
        loss = method(views(), batch(5))
        z = [method.projector(method.backbone(view)) for view in views()]
        p = [method.predictor(each) for each in z]
    total = 0.0
    for predictions, targets in ((p[0], z[1]), (p[1], z[0])):
        for a, b in zip(predictions.double().tolist(), targets.double().tolist(), strict=True):
            total -= math.fsum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)
    assert loss.item() == pytest.approx(total / 10, rel=1e-5)


def test_no_gradient_flows_through_the_targets(method: Method) -> None:
    method.predictor.requires_grad_(False)
    for parameter in method.predictor.parameters():
        parameter.zero_()
    method.predictor[-1].bias.fill_(1.0)  # predicts a constant: only the targets depend on the images
    method(views(), batch(5)).backward()
    assert not any(p.grad.any() for p in method.backbone.parameters())


def test_loss_is_float32_under_autocast(method: Method) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        loss = method(views(), batch(5))
    assert loss.dtype == torch.float32
    assert -1 <= loss.item() <= 1


def test_learns(method: Method) -> None:
    optimiser = torch.optim.Adam(method.param_groups(0.0, False), 1e-2)
    losses = []
    for step in range(30):
        loss = method(views(8), batch(8))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        method.after_step((step + 1) / 30)
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.2
