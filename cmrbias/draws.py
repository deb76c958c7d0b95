"""Counter-based random draws: a number is a function of a key, never of what was drawn before.

So a view is the same for any number of workers, any split into batches and any device. The mixing
function is SplitMix64's finaliser (Steele, Lea and Flood 2014), in wrapping 64-bit arithmetic.
"""

from __future__ import annotations

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)  # as int64
_FIRST = 0xBF58476D1CE4E5B9 - (1 << 64)
_SECOND = 0x94D049BB133111EB - (1 << 64)


def keys(seed: int, epoch: int, index: Tensor, view: int) -> Tensor:
    """Returns one int64 key for each row of ``index`` (N,) int64."""
    key = torch.full_like(index, seed)
    for part in (torch.full_like(index, epoch), index, torch.full_like(index, view)):
        key = derive(key, part)
    return key


def derive(key: Tensor, salt: Tensor | int) -> Tensor:
    """Returns new int64 keys (N,), unrelated to ``key`` (N,) for each other ``salt``."""
    return _mix(key + _mix(torch.as_tensor(salt, dtype=torch.int64, device=key.device) + _GOLDEN))


def salt(name: str) -> int:
    """Returns a fixed number for a name, so that two augmentations draw apart (FNV-1a, 63 bits)."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) % (1 << 64)
    return value >> 1


def uniform(key: Tensor, count: int) -> Tensor:
    """Returns ``count`` draws a key, uniform in [0, 1): (N, count) float64, multiples of 2**-53."""
    counters = torch.arange(1, count + 1, dtype=torch.int64, device=key.device) * _GOLDEN
    bits = _mix(key[:, None] + counters)
    return _shift(bits, 11).double() * 2.0**-53


def permutation(seed: int, epoch: int, count: int) -> Tensor:
    """Returns a permutation of ``range(count)`` as (count,) int64, the same for the same arguments."""
    index = torch.arange(count, dtype=torch.int64)
    order = keys(seed, epoch, index, salt("permutation"))
    return torch.argsort(order, stable=True)


def choose(key: Tensor, eligible: Tensor) -> Tensor:
    """Returns for each row one of its eligible rows, uniformly: (N,) int64, -1 where there is none.

    Every pair of rows gets a number from both keys, and the eligible row with the largest wins: the
    same choice however the rows are ordered.

    Args:
        key: (N,) int64, a row's own.
        eligible: (N, N) bool, may the row (first) get that row (second)?
    """
    if not len(key):
        return key
    number = derive(key[:, None], key).masked_fill(~eligible, torch.iinfo(torch.int64).min)
    return torch.where(eligible.any(1), number.argmax(1), -1)


def _shift(x: Tensor, bits: int) -> Tensor:
    """A logical shift to the right (torch's is arithmetic)."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift(x, 30)) * _FIRST
    x = (x ^ _shift(x, 27)) * _SECOND
    return x ^ _shift(x, 31)
