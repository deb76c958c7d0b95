"""A backbone small enough to do by hand, and batches with or without patients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cmrbias.api import Backbone, Batch


class Tiny(Backbone):
    name, dim, stride = "tiny", 6, 2

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU())

    def feature_map(self, images: Tensor) -> Tensor:
        return self.layers(images)


@pytest.fixture
def tiny() -> Backbone:
    torch.manual_seed(0)
    return Tiny()


@pytest.fixture
def batch() -> Callable[..., Batch]:
    """``batch(count)`` or ``batch(first view's patients, second view's patients)``."""

    def make(first: int | list[int], second: list[int] | None = None) -> Batch:
        count = first if isinstance(first, int) else len(first)
        index = torch.arange(count)
        columns = {}
        if not isinstance(first, int):
            columns = {"patient": (torch.tensor(first), torch.tensor(first if second is None else second))}
        return Batch(index=(index, index), masks=(None, None), columns=columns)

    return make


@pytest.fixture
def views() -> Callable[[int], tuple[Tensor, Tensor]]:
    """``views(count)``: two views (count, 1, 8, 8) in [-1, 1]."""

    def make(count: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(count)
        first, second = torch.rand(2, count, 1, 8, 8, generator=generator) * 2 - 1
        return first, second

    return make
