"""DenseNet121 (Huang et al. 2017), layer by layer torchvision's, for 1-channel images.

Shapes in comments are those of 224 x 224 images.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmrbias.api import Backbone
from cmrbias.backbones.strides import checked_stride

GROWTH = 32  # channels that a layer adds
BOTTLENECK = 4 * GROWTH
BLOCKS = (6, 12, 24, 16)  # layers a block


class DenseLayer(nn.Module):
    """BN, ReLU, 1x1 conv, BN, ReLU, 3x3 conv: (N, C, h, w) -> its input and 32 channels more."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, BOTTLENECK, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(BOTTLENECK)
        self.conv2 = nn.Conv2d(BOTTLENECK, GROWTH, 3, padding=dilation, dilation=dilation, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (N, C + 32, h, w)."""
        new = self.conv1(F.relu(self.norm1(x), inplace=True))
        new = self.conv2(F.relu(self.norm2(new), inplace=True))
        return torch.cat((x, new), 1)


class Transition(nn.Sequential):
    """Halves the channels and, by averaging 2 x 2 cells, the size."""

    def __init__(self, channels: int, pool: nn.Module) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.pool = pool


class DensePool(nn.Module):
    """The 2 x 2 average at every cell, not every other: (N, C, h, w) -> (N, C, h, w).

    Windows that reach over the lower or right edge average the cells inside.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Returns a mean for each cell of ``x``; those at even rows and columns are AvgPool2d(2)'s."""
        return F.avg_pool2d(x, 2, stride=1, padding=1, count_include_pad=False)[:, :, 1:, 1:]


class DenseNet121(Backbone):
    """See ``densenet121``. ``features.norm5`` is signed; ``features.relu5`` is the feature map."""

    name = "densenet121"

    def __init__(self, stride: int = 32) -> None:
        super().__init__()
        self.stride = checked_stride(self.name, stride)
        self.features = nn.Sequential()
        self.features.add_module("conv0", nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False))
        self.features.add_module("norm0", nn.BatchNorm2d(64))
        self.features.add_module("relu0", nn.ReLU(inplace=True))
        self.features.add_module("pool0", nn.MaxPool2d(3, stride=2, padding=1))  # (N, 64, 56, 56)
        channels = 64
        for number, layers in enumerate(BLOCKS, 1):
            last = number == len(BLOCKS)
            dilation = 2 if last and stride == 16 else 1
            block = nn.Sequential()
            for layer in range(1, layers + 1):
                block.add_module(f"denselayer{layer}", DenseLayer(channels, dilation))
                channels += GROWTH
            self.features.add_module(f"denseblock{number}", block)  # 256, 512, 1024, 1024 channels
            if not last:
                dense = stride == 16 and number == len(BLOCKS) - 1
                pool = DensePool() if dense else nn.AvgPool2d(2)
                self.features.add_module(f"transition{number}", Transition(channels, pool))
                channels //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(channels))
        self.features.add_module("relu5", nn.ReLU())  # not in place: norm5's output stays readable
        self.dim = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def feature_map(self, images: Tensor) -> Tensor:
        """Returns relu(norm5), (N, 1024, H / stride, W / stride), of (N, 1, H, W)."""
        maps: Tensor = self.features(images)
        return maps


def densenet121(stride: int = 32) -> Backbone:
    """Returns a DenseNet121 with torchvision's state-dict keys (no classifier) and initialisation.

    The output stride 16 makes maps twice as fine: the last transition averages at every cell
    instead of every other, and the last block's 3 x 3 convolutions are dilated by 2. Weights trained
    at 32 so give the same values at every other cell.

    Raises:
        CmrbiasError: ``stride`` is neither 32 nor 16.
    """
    return DenseNet121(stride)
