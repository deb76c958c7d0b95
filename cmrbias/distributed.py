"""Batches that are spread over several processes (ranks), as a loss needs to see them.

Without ``torch.distributed`` these are the identity, so a method is written once.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_gather


def world() -> tuple[int, int]:
    """Returns (rank, world size); (0, 1) where nothing is distributed."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def gather(x: Tensor, gradient: bool = True) -> Tensor:
    """Returns the rows of all ranks, in rank order: (N, ...) -> (world * N, ...).

    With ``gradient`` the backward pass sums what every rank's loss asks of a row. A loss that is a
    mean over local rows, whose gradients DDP then averages over ranks, so has the gradient of one
    big batch. Every rank must hold the same number of rows.
    """
    if world()[1] == 1:
        return x
    if gradient and x.requires_grad:
        return torch.cat(all_gather(x))  # type: ignore[no-untyped-call]
    x = x.detach().contiguous()  # NCCL copies bytes: what is sent and received must have one layout
    parts = [torch.empty_like(x) for _ in range(world()[1])]
    dist.all_gather(parts, x)
    return torch.cat(parts)


def shared_permutation(count: int, device: torch.device) -> Tensor:
    """Returns a random permutation of ``range(count)``, (count,) int64, the same on every rank.

    Drawn from torch's CPU generator (rank 0's), so that it is the same on every device.
    """
    order = torch.randperm(count).to(device)
    if world()[1] > 1:
        dist.broadcast(order, src=0)
    return order
