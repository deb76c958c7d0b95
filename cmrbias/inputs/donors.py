"""Whose background a case gets: drawn from the mini-batch in training, fixed for a test.

A donor is never of the recipient's patient, nor of an unknown one (code -1: it might be the same).
"""

from __future__ import annotations

import torch
from torch import Tensor

from cmrbias import draws


def batch_donors(keys: Tensor, patients: Tensor) -> Tensor:
    """Returns a donor for each case of a mini-batch, blind to the labels: (N,) int64 rows of the batch.

    A case for which the batch holds no donor is its own.

    Args:
        keys: (N,) int64, a case's own in this epoch (``draws.keys``): donors are drawn anew each time.
        patients: (N,) int64 codes.
    """
    known = patients >= 0
    eligible = known & known[:, None] & (patients[:, None] != patients)
    chosen = draws.choose(draws.derive(keys, draws.salt("donors")), eligible)
    return torch.where(chosen < 0, torch.arange(len(keys), device=keys.device), chosen)


def fixed_donors(labels: Tensor, patients: Tensor, same_class: bool, seed: int = 0, count: int = 5) -> Tensor:
    """Returns ``count`` donors for each case of a test: (count, N) int64 rows, -1 where there is none.

    They differ from each other while there are enough candidates; else some come again.

    Args:
        labels: (N,) int64 classes of the evaluated cases.
        patients: (N,) int64 codes of the same.
        same_class: whether donors have the recipient's class, or another.
        seed: of the draw; the same for all models that are compared.
        count: how many draws.
    """
    rows = torch.arange(len(labels))
    keys = draws.keys(seed, 0, rows, draws.salt("fixed donors"))
    result = torch.full((count, len(labels)), -1, dtype=torch.int64)
    for row in rows.tolist():
        fits = (labels == labels[row]) == same_class
        other = (patients != patients[row]) & (patients >= 0) & (patients[row] >= 0)
        candidates = rows[fits & other]
        if len(candidates):
            shuffled = candidates[draws.derive(keys[row], candidates).argsort(stable=True)]
            result[:, row] = shuffled[torch.arange(count) % len(shuffled)]
    return result
