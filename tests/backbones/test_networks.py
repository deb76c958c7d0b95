"""The networks: torchvision's layers and keys, exact arithmetic, both output strides."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from cmrbias.backbones.densenet import densenet121
from cmrbias.backbones.resnet import resnet10, resnet18, resnet50
from cmrbias.errors import CmrbiasError

NETWORKS = {"densenet121": densenet121, "resnet10": resnet10, "resnet18": resnet18, "resnet50": resnet50}
# torchvision's published parameter counts (3-channel stem, 1,000 classes), width, tensors in its state dict
TORCHVISION = {
    "densenet121": (7_978_856, 1024, 727),
    "resnet18": (11_689_512, 512, 122),
    "resnet50": (25_557_032, 2048, 320),
}
each = pytest.mark.parametrize("name", NETWORKS)


def trained(name: str, stride: int = 32) -> torch.nn.Module:
    """A network whose norms are not the identity, as after training."""
    torch.manual_seed(1)
    network = NETWORKS[name](stride)
    for key, value in network.state_dict().items():
        if key.endswith(("running_mean", "bias")):
            value.normal_(std=0.3)
        elif key.endswith("running_var"):
            value.uniform_(0.5, 2)
    return network.eval()


@pytest.mark.parametrize("name", TORCHVISION)
def test_has_torchvisions_parameters_but_for_stem_and_head(name: str) -> None:
    parameters, dim, tensors = TORCHVISION[name]
    network = NETWORKS[name]()
    stem, head = 2 * 64 * 7 * 7, dim * 1000 + 1000
    assert sum(p.numel() for p in network.parameters()) == parameters - stem - head
    assert len(network.state_dict()) == tensors - 2  # weight and bias of the head
    assert (network.name, network.dim, network.stride) == (name, dim, 32)


def test_the_small_one_is_small() -> None:
    network = resnet10()
    widths, weights = (16, 16, 32, 64, 128), 16 * 49 + 32  # the stem
    for inputs, outputs in itertools.pairwise(widths):
        weights += 9 * (inputs + outputs) * outputs + 4 * outputs
        weights += (inputs + 2) * outputs if inputs != outputs else 0  # the shortcut
    assert sum(p.numel() for p in network.parameters()) == weights == 307_888
    assert (network.name, network.dim, network.stride) == ("resnet10", 128, 32)


@pytest.mark.parametrize(
    ("name", "key", "shape"),
    [
        ("densenet121", "features.conv0.weight", (64, 1, 7, 7)),
        ("densenet121", "features.denseblock1.denselayer1.norm1.running_mean", (64,)),
        ("densenet121", "features.denseblock3.denselayer24.conv1.weight", (128, 992, 1, 1)),
        ("densenet121", "features.denseblock4.denselayer16.conv2.weight", (32, 128, 3, 3)),
        ("densenet121", "features.transition3.conv.weight", (512, 1024, 1, 1)),
        ("densenet121", "features.transition1.norm.num_batches_tracked", ()),
        ("densenet121", "features.norm5.bias", (1024,)),
        ("resnet18", "conv1.weight", (64, 1, 7, 7)),
        ("resnet18", "layer2.0.downsample.0.weight", (128, 64, 1, 1)),
        ("resnet18", "layer4.1.conv2.weight", (512, 512, 3, 3)),
        ("resnet50", "layer1.0.downsample.1.running_var", (256,)),
        ("resnet50", "layer3.5.conv2.weight", (256, 256, 3, 3)),
        ("resnet50", "layer4.2.bn3.weight", (2048,)),
    ],
)
def test_has_torchvisions_keys(name: str, key: str, shape: tuple[int, ...]) -> None:
    assert tuple(NETWORKS[name]().state_dict()[key].shape) == shape


def norm(x: torch.Tensor, weights: dict[str, torch.Tensor], key: str) -> torch.Tensor:
    names = ("running_mean", "running_var", "weight", "bias")
    return F.batch_norm(x, *(weights[f"{key}.{n}"] for n in names))


def densenet121_by_the_paper(x: torch.Tensor, weights: dict[str, torch.Tensor]) -> torch.Tensor:
    """Huang et al., table 1, from the state dict alone."""
    w = {key.removeprefix("features."): value for key, value in weights.items()}
    x = F.conv2d(x, w["conv0.weight"], stride=2, padding=3)
    x = F.max_pool2d(norm(x, w, "norm0").relu(), 3, 2, 1)
    for block, layers in enumerate((6, 12, 24, 16), 1):
        outputs = [x]
        for layer in range(1, layers + 1):
            at = f"denseblock{block}.denselayer{layer}"
            y = F.conv2d(norm(torch.cat(outputs, 1), w, f"{at}.norm1").relu(), w[f"{at}.conv1.weight"])
            outputs.append(F.conv2d(norm(y, w, f"{at}.norm2").relu(), w[f"{at}.conv2.weight"], padding=1))
        x = torch.cat(outputs, 1)
        if block < 4:
            at = f"transition{block}"
            x = F.avg_pool2d(F.conv2d(norm(x, w, f"{at}.norm").relu(), w[f"{at}.conv.weight"]), 2)
    return norm(x, w, "norm5").relu()


def resnet_by_the_paper(
    x: torch.Tensor, w: dict[str, torch.Tensor], blocks: tuple[int, ...], convolutions: int
) -> torch.Tensor:
    """He et al., table 1, from the state dict alone; of three convolutions the second strides."""
    x = F.conv2d(x, w["conv1.weight"], stride=2, padding=3)
    x = F.max_pool2d(norm(x, w, "bn1").relu(), 3, 2, 1)
    for layer, count in enumerate(blocks, 1):
        for block in range(count):
            at, stride = f"layer{layer}.{block}", 2 if layer > 1 and block == 0 else 1
            y = x
            for number in range(1, convolutions + 1):
                kernel = w[f"{at}.conv{number}.weight"]
                strides = stride if number == convolutions - 1 else 1
                y = F.conv2d(y, kernel, stride=strides, padding=kernel.shape[-1] // 2)
                y = norm(y, w, f"{at}.bn{number}")
                y = y if number == convolutions else y.relu()
            if f"{at}.downsample.0.weight" in w:
                x = norm(F.conv2d(x, w[f"{at}.downsample.0.weight"], stride=stride), w, f"{at}.downsample.1")
            x = (x + y).relu()
    return x


@each
def test_computes_what_the_papers_describe(name: str) -> None:
    network = trained(name).double()
    images, weights = torch.randn(2, 1, 64, 96, dtype=torch.float64), network.state_dict()
    with torch.no_grad():
        if name == "densenet121":
            expected = densenet121_by_the_paper(images, weights)
        else:
            shapes = {
                "resnet10": ((1, 1, 1, 1), 2),
                "resnet18": ((2, 2, 2, 2), 2),
                "resnet50": ((3, 4, 6, 3), 3),
            }
            shape = shapes[name]
            expected = resnet_by_the_paper(images, weights, *shape)
        torch.testing.assert_close(network.feature_map(images), expected)
        torch.testing.assert_close(network(images), expected.mean((2, 3)))


@each
def test_stride_16_adds_cells_between_those_of_stride_32(name: str) -> None:
    coarse, fine = trained(name).double(), trained(name, stride=16).double()
    fine.load_state_dict(coarse.state_dict())  # the same keys
    images = torch.randn(1, 1, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        maps, finer = coarse.feature_map(images), fine.feature_map(images)
    assert maps.shape[2:] == (2, 3)
    assert finer.shape[2:] == (4, 6)
    assert fine.stride == 16
    torch.testing.assert_close(finer[:, :, ::2, ::2], maps)
    assert not torch.allclose(finer[:, :, 1::2, 1::2], maps, rtol=0.1)


def test_the_papers_map_has_7_by_7_cells() -> None:
    with torch.no_grad():
        assert trained("densenet121").feature_map(torch.zeros(1, 1, 224, 224)).shape == (1, 1024, 7, 7)
        assert trained("densenet121", 16).feature_map(torch.zeros(1, 1, 112, 112)).shape == (1, 1024, 7, 7)


@each
@pytest.mark.parametrize("stride", [8, 0, 64])
def test_refuses_other_strides(name: str, stride: int) -> None:
    with pytest.raises(CmrbiasError, match=f"'{name}': expected an output stride of 32 or 16, got {stride}"):
        NETWORKS[name](stride)


@each
def test_the_seed_makes_the_weights(name: str) -> None:
    def weights(seed: int) -> list[torch.Tensor]:
        torch.manual_seed(seed)
        return list(NETWORKS[name]().parameters())

    first, again, other = weights(3), weights(3), weights(4)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


@each
def test_initial_weights_follow_he_as_in_torchvision(name: str) -> None:
    torch.manual_seed(0)
    for key, value in NETWORKS[name]().state_dict().items():
        if value.ndim == 4:
            outputs, inputs, height, width = value.shape
            fan = inputs if name == "densenet121" else outputs
            assert float(value.std()) == pytest.approx(math.sqrt(2 / (fan * height * width)), rel=0.1), key
        elif key.endswith(("bias", "running_mean")):
            assert not value.any(), key


def test_norm5_stays_signed_beside_the_feature_map() -> None:
    network, seen = trained("densenet121"), {}
    for name in ("norm5", "relu5"):
        network.features.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: seen.__setitem__(name, output)
        )
    with torch.no_grad():
        maps = network.feature_map(torch.randn(1, 1, 64, 64))
    assert float(seen["norm5"].min()) < 0
    assert torch.equal(maps, seen["norm5"].relu())
    assert torch.equal(maps, seen["relu5"])


@each
@pytest.mark.parametrize("stride", [32, 16])
def test_channels_last_stays_channels_last(name: str, stride: int) -> None:
    network = trained(name, stride).to(memory_format=torch.channels_last)
    images = torch.randn(2, 1, 64, 64).to(memory_format=torch.channels_last)
    with torch.no_grad():
        maps = network.feature_map(images)
    assert maps.is_contiguous(memory_format=torch.channels_last)
