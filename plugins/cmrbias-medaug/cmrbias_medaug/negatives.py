"""What hard negatives do to the logits of MoCo's queue.

N queries, K stored keys of C numbers; ``counted`` (N, K) bool are the keys that a query meets, ``hard``
(N, K) bool the counted ones of its own laterality. Each function returns further logits (N, M) or changes
(N, K), without a gradient of its own: what is -inf takes no part in the loss.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def appended(cosines: Tensor, hard: Tensor, count: int) -> Tensor:
    """Returns the cosines of ``count`` hard keys again, (N, count), drawn without replacement.

    A query with fewer hard keys gets each once; the rest is -inf.

    Args:
        cosines: (N, K) of queries and stored keys.
        hard: (N, K) bool.
        count: how many are appended, at most K.
    """
    drawn = torch.rand(hard.shape, device=hard.device).masked_fill(~hard, -1.0)
    number, slots = drawn.topk(count, dim=1)
    return cosines.gather(1, slots).masked_fill(number < 0, -torch.inf)


def log_weights(counted: Tensor, hard: Tensor, share: float) -> Tensor:
    """Returns what is added to the logits so that hard keys carry ``share`` of the weight: (N, K).

    The weights of the counted keys sum to their number, as without weights. A query whose counted keys are
    all hard, or none, keeps weights of 1.

    Args:
        counted, hard: (N, K) bool, ``hard`` within ``counted``.
        share: in (0, 1).
    """
    every = counted.sum(1, keepdim=True).float()
    many = hard.sum(1, keepdim=True).float()
    both = (many > 0) & (many < every)
    of_hard = (share * every / many).log()
    of_others = ((1 - share) * every / (every - many)).log()
    return torch.where(both, torch.where(hard, of_hard, of_others), 0.0)


def mixed(queries: Tensor, keys: Tensor, hard: Tensor, count: int) -> Tensor:
    """Returns the cosines of ``count`` synthetic keys a query, (N, count); -inf without two hard keys.

    Each is a random point on the line between two different hard keys, drawn uniformly, normalised again
    (Kalantidis et al. 2020, "Hard Negative Mixing", equation 4).

    Args:
        queries: (N, C) normalised.
        keys: (K, C) normalised.
        hard: (N, K) bool.
        count: how many are made.
    """
    order = hard.int().argsort(dim=1, descending=True, stable=True)  # a query's hard keys first
    many = hard.sum(1, keepdim=True)  # (N, 1)
    u = torch.rand(3, len(hard), count, device=hard.device)
    first = (u[0] * many).long().clamp(max=(many - 1).clamp(min=0))
    second = (u[1] * (many - 1)).long().clamp(min=0)
    second = (second + (second >= first)).clamp(max=hard.shape[1] - 1)  # another than the first
    one, other = keys[order.gather(1, first)], keys[order.gather(1, second)]  # (N, count, C)
    between = F.normalize(one.lerp(other, u[2][..., None]), dim=2)
    cosines = (between * queries[:, None]).sum(2)
    return cosines.masked_fill(many < 2, -torch.inf)
