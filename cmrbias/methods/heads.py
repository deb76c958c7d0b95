"""The small networks between a backbone and a loss."""

from __future__ import annotations

from itertools import pairwise

from torch import nn


def mlp(*sizes: int, norm: bool = True) -> nn.Sequential:
    """Returns a perceptron (N, sizes[0]) -> (N, sizes[-1]).

    Each hidden layer is linear, batch norm (with ``norm``; the linear layer then needs no bias) and
    ReLU; the last layer is linear.
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes[:-1]):
        layers.append(nn.Linear(inputs, outputs, bias=not norm))
        if norm:
            layers.append(nn.BatchNorm1d(outputs))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))
