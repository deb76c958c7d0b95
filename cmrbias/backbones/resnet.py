"""ResNet18 and ResNet50 (He et al. 2016), layer by layer torchvision's, for 1-channel images; a small one.

Shapes in comments are those of 224 x 224 images. As in torchvision, ResNet50 strides in its 3 x 3
convolutions ("v1.5").
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from cmrbias.api import Backbone
from cmrbias.backbones.strides import checked_stride


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut: (N, inputs, h, w) -> (N, width, h / stride, w / stride).

    ``first`` is the dilation of the convolution that may stride, ``dilation`` that of what follows.
    """

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, first: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = _conv3x3(inputs, width, stride, first)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv3x3(width, width, 1, dilation)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _projection(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (N, width, h / stride, w / stride)."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)), inplace=True)


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions beside a shortcut; the output has 4 * width channels.

    ``first`` is the dilation of the one 3 x 3 convolution; nothing follows that could be dilated.
    """

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, first: int, dilation: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv3x3(width, width, stride, first)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _projection(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (N, 4 * width, h / stride, w / stride)."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)), inplace=True)


class ResNet(Backbone):
    """See ``resnet18``, ``resnet50`` and ``resnet10``.

    ``blocks`` are the numbers of blocks of layer1 to layer4, ``width`` the channels of the stem and layer1.
    """

    def __init__(
        self,
        name: str,
        block: type[BasicBlock | Bottleneck],
        blocks: tuple[int, ...],
        stride: int,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.name, self.stride = name, checked_stride(name, stride)
        self.dim = 8 * width * block.expansion
        self.conv1 = nn.Conv2d(1, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)  # (N, width, 56, 56)
        last = {"stride": 1, "dilation": 2} if stride == 16 else {"stride": 2}
        outputs = width * block.expansion
        self.layer1 = _layer(block, width, width, blocks[0])
        self.layer2 = _layer(block, outputs, 2 * width, blocks[1], stride=2)
        self.layer3 = _layer(block, 2 * outputs, 4 * width, blocks[2], stride=2)
        self.layer4 = _layer(block, 4 * outputs, 8 * width, blocks[3], **last)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def feature_map(self, images: Tensor) -> Tensor:
        """Returns layer4's maps (N, dim, H / stride, W / stride), past their ReLU, of (N, 1, H, W)."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(images)), inplace=True))
        x = self.layer2(self.layer1(x))  # (N, dim / 4, 28, 28)
        maps: Tensor = self.layer4(self.layer3(x))
        return maps


def resnet18(stride: int = 32) -> Backbone:
    """Returns a ResNet18 with torchvision's state-dict keys (no fc) and initialisation.

    The output stride 16 makes maps twice as fine: layer4 does not stride, and the convolutions after
    the one that did are dilated by 2. Weights trained at 32 so give the same values at every other
    cell.

    Raises:
        CmrbiasError: ``stride`` is neither 32 nor 16.
    """
    return ResNet("resnet18", BasicBlock, (2, 2, 2, 2), stride)


def resnet50(stride: int = 32) -> Backbone:
    """Returns a ResNet50; otherwise as ``resnet18``.

    Stride 16 is torchvision's ``replace_stride_with_dilation=[False, False, True]``.
    """
    return ResNet("resnet50", Bottleneck, (3, 4, 6, 3), stride)


def resnet10(stride: int = 32) -> Backbone:
    """Returns a ResNet with one basic block a layer and a quarter of ResNet18's width: 0.3 million weights.

    For experiments that must train many networks on a processor; otherwise as ``resnet18``. Its keys are
    torchvision's, its shapes are nobody's: there are no weights to start it from.
    """
    return ResNet("resnet10", BasicBlock, (1, 1, 1, 1), stride, width=16)


def _layer(
    block: type[BasicBlock | Bottleneck],
    inputs: int,
    width: int,
    count: int,
    stride: int = 1,
    dilation: int = 1,
) -> nn.Sequential:
    blocks = [block(inputs, width, stride, 1, dilation)]
    blocks += [block(width * block.expansion, width, 1, dilation, dilation) for _ in range(1, count)]
    return nn.Sequential(*blocks)


def _conv3x3(inputs: int, outputs: int, stride: int, dilation: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=dilation, dilation=dilation, bias=False)


def _projection(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """The shortcut of a block whose input does not have its output's shape."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
