"""MoCo's dictionary: the keys of the last batches, as negatives."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class KeyQueue(nn.Module):
    """The last ``size`` keys and their patients, a ring in persistent buffers (so resume keeps it).

    Batches may have any size: a batch wraps around the end, of one longer than the ring the last
    ``size`` rows stay.
    """

    keys: Tensor  # (K, C) float32, zero where nothing was stored yet
    patients: Tensor  # (K,) int64, -1 where unknown
    pointer: Tensor  # () int64, the slot that is written next
    filled: Tensor  # () int64, how many slots hold keys: the first ones

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("keys", torch.zeros(size, dim))
        self.register_buffer("patients", torch.full((size,), -1))
        self.register_buffer("pointer", torch.tensor(0))
        self.register_buffer("filled", torch.tensor(0))

    def negatives(self) -> tuple[Tensor, Tensor, Tensor]:
        """Returns keys (K, C), patients (K,) and which slots are filled (K,) bool.

        They are copies: backward still finds them unchanged when ``add`` has written new keys.
        """
        size = len(self.keys)
        return (
            self.keys.clone(),
            self.patients.clone(),
            torch.arange(size, device=self.keys.device) < self.filled,
        )

    @torch.no_grad()
    def add(self, keys: Tensor, patients: Tensor) -> None:
        """Stores keys (N, C) and patients (N,) in place of the oldest."""
        size = len(self.keys)
        keys, patients = keys[-size:], patients[-size:]
        slots = (self.pointer + torch.arange(len(keys), device=keys.device)) % size
        self.keys.index_copy_(0, slots, keys)
        self.patients.index_copy_(0, slots, patients)
        self.pointer.copy_((self.pointer + len(keys)) % size)
        self.filled.copy_((self.filled + len(keys)).clamp(max=size))
