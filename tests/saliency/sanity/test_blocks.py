"""Which blocks networks have, and what is drawn anew with some of them."""

from __future__ import annotations

import pytest
import torch

from cmrbias.backbones import Classifier
from cmrbias.inputs import InputMode
from cmrbias.plugins import plugin_manager
from cmrbias.saliency.baselines import redrawn, untrained
from cmrbias.saliency.sanity.blocks import blocks_of, randomised

DENSE = ["norm5", "denseblock4", "transition3", "denseblock3", "transition2", "denseblock2", "transition1"]
DENSE += ["denseblock1", "norm0", "conv0"]


@pytest.fixture(scope="module")
def resnet() -> Classifier:
    torch.manual_seed(7)
    backbone = plugin_manager([]).registry("backbones").get("resnet18")(stride=32)
    wanted = {"target": "label", "classes": "AB", "frames": ("ED",), "image_size": 64}
    made = Classifier(backbone, input=InputMode(), **wanted)
    with torch.no_grad():
        for _ in range(2):
            made.train()(torch.randn(4, 1, 1, 64, 64))
        for module in made.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.add_(0.5)  # as trained
    return made.eval()


@pytest.fixture(scope="module")
def batches() -> list[torch.Tensor]:
    return [torch.randn(6, 1, 64, 64, generator=torch.Generator().manual_seed(9))]


def test_blocks_are_named_from_the_head_down(classifier, resnet):
    assert blocks_of(classifier) == ("head", "features.1", "features.0")
    assert blocks_of(resnet) == ("head", "layer4", "layer3", "layer2", "layer1", "bn1", "conv1")
    backbone = plugin_manager([]).registry("backbones").get("densenet121")(stride=32)
    wanted = {"target": "label", "classes": "AB", "frames": ("ED",), "image_size": 64}
    dense = Classifier(backbone, input=InputMode(), **wanted)
    assert blocks_of(dense) == ("head", *(f"features.{name}" for name in DENSE))


@pytest.mark.parametrize("blocks", [("head",), ("head", "layer4"), ("layer3",), ("bn1",)])
def test_only_the_blocks_are_drawn_anew(resnet, batches, blocks):
    before = {name: value.clone() for name, value in resnet.state_dict().items()}
    fresh = redrawn(resnet, plugin_manager([]), 3)
    order = blocks_of(resnet)
    follows = order[: max(map(order.index, blocks)) + 1]  # these blocks and all that come after
    with randomised(resnet, fresh, blocks, batches) as made:
        assert not any(module.training for module in made.modules())
        for name, value in made.state_dict().items():
            block = name.removeprefix("backbone.").split(".")[0]
            if "running" in name or "num_batches" in name:
                assert torch.equal(value, before[name]) == (block not in follows), name
            else:
                assert torch.equal(value, (fresh.state_dict() if block in blocks else before)[name]), name
            if block in blocks and name.endswith("bn1.weight"):
                assert (value == 1).all()
    assert all(torch.equal(value, before[name]) for name, value in resnet.state_dict().items())


def test_running_statistics_are_those_of_the_training_images(resnet, batches):
    fresh = redrawn(resnet, plugin_manager([]), 3)
    with randomised(resnet, fresh, ("bn1",), batches) as made, torch.no_grad():
        seen = made.backbone.conv1(batches[0])
        mean, variance = seen.mean((0, 2, 3)), seen.var((0, 2, 3))
        torch.testing.assert_close(made.backbone.bn1.running_mean, mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(made.backbone.bn1.running_var, variance, rtol=1e-4, atol=1e-5)


def test_with_all_blocks_it_is_the_untrained_network(resnet, batches):
    plugins, images = plugin_manager([]), batches[0][:, None]
    fresh = redrawn(resnet, plugins, 5)
    with torch.no_grad(), randomised(resnet, fresh, blocks_of(resnet), batches) as made:
        ours = made(images)
    with torch.no_grad(), untrained(resnet, plugins, batches, 5) as made:
        torch.testing.assert_close(ours, made(images))
