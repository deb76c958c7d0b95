"""MoCo's dictionary: the keys of the last batches with what is known of each, as negatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Stored(NamedTuple):
    """What a queue held when it was asked: copies, so that backward finds them unchanged.

    Attributes:
        keys: (K, C) float32.
        codes: column to the codes (K,) int64 of the keys' images, -1 where unknown.
        filled: (K,) bool, which slots hold a key.
    """

    keys: Tensor
    codes: dict[str, Tensor]
    filled: Tensor


class KeyQueue(nn.Module):
    """The last ``size`` keys and their metadata, a ring in persistent buffers (so resume keeps it).

    Batches may have any size: a batch wraps around the end, of one longer than the ring the last
    ``size`` rows stay. A key and its codes always share a slot.

    Args:
        size: K, how many keys are kept.
        dim: C, the length of each.
        columns: names of the metadata columns whose codes are kept with a key.
    """

    keys: Tensor  # (K, C) float32, zero where nothing was stored yet
    codes: Tensor  # (K, columns) int64, -1 where unknown
    pointer: Tensor  # () int64, the slot that is written next
    filled: Tensor  # () int64, how many slots hold keys: the first ones

    def __init__(self, size: int, dim: int, columns: Sequence[str] = ("patient",)) -> None:
        super().__init__()
        self.columns = tuple(columns)
        self.register_buffer("keys", torch.zeros(size, dim))
        self.register_buffer("codes", torch.full((size, len(self.columns)), -1))
        self.register_buffer("pointer", torch.tensor(0))
        self.register_buffer("filled", torch.tensor(0))

    def stored(self) -> Stored:
        """Returns what it holds now."""
        slots = torch.arange(len(self.keys), device=self.keys.device)
        codes = dict(zip(self.columns, self.codes.clone().unbind(1), strict=True))
        return Stored(self.keys.clone(), codes, slots < self.filled)

    @torch.no_grad()
    def add(self, keys: Tensor, codes: Mapping[str, Tensor]) -> None:
        """Stores keys (N, C) with their codes, (N,) int64 a column, in place of the oldest."""
        size = len(self.keys)
        rows = torch.stack([codes[name] for name in self.columns], 1)[-size:]
        keys = keys[-size:]
        slots = (self.pointer + torch.arange(len(keys), device=keys.device)) % size
        self.keys.index_copy_(0, slots, keys)
        self.codes.index_copy_(0, slots, rows)
        self.pointer.copy_((self.pointer + len(keys)) % size)
        self.filled.copy_((self.filled + len(keys)).clamp(max=size))
