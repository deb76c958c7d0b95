"""Run by test_ranks.py, once a rank: ``two_ranks.py RANK RENDEZVOUS OUT``."""

from __future__ import annotations

import sys

import torch
import torch.distributed as dist
from cmrbias_medaug.method import MedAug
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cmrbias.api import Backbone, Batch

STEPS, COUNT, SLOTS = 4, 6, 14  # 24 keys: they go around the queue, and a step ends within it
NEGATIVES = ("append", "reweight", "only")


class Tiny(Backbone):
    """A convolution without batch norm, so that the split into ranks may change nothing."""

    name, dim, stride = "tiny", 5, 2

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 5, 3, 2, 1)

    def feature_map(self, images: Tensor) -> Tensor:
        """Returns (N, 5, 4, 4)."""
        return self.convolution(images).relu()


def codes(step: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Patients and lateralities of a step's queries and keys; a key's laterality may be another."""
    patients = (torch.arange(COUNT) * 5 + step * 3) % 7
    sides = (torch.arange(COUNT) + step) % 2
    return {"patient": (patients, patients), "laterality": (sides, 1 - sides)}


def measure(negatives: str, rows: slice, wrap: bool) -> dict[str, Tensor]:
    """Loss, metrics, gradients of the last step, and the queue after it."""
    torch.manual_seed(0)
    method = MedAug(
        Tiny(), MedAug.Options(queue=SLOTS, hidden=8, dim=4, negatives=negatives, fraction=1.0)
    ).eval()
    module = DistributedDataParallel(method) if wrap else method  # must outlive backward
    for step in range(STEPS):
        method.zero_grad()
        views = torch.randn(2, COUNT, 1, 8, 8, generator=torch.Generator().manual_seed(step))[:, rows]
        columns = {name: (query[rows], key[rows]) for name, (query, key) in codes(step).items()}
        index = torch.arange(COUNT)[rows]
        loss = module((views[0], views[1]), Batch((index, index), (None, None), columns))
        loss.backward()
    found = {f"grad {name}": p.grad for name, p in method.named_parameters() if p.grad is not None}
    found |= {f"queue {name}": value for name, value in method.queue.state_dict().items()}
    return found | {"loss": loss.detach(), "hard": method.metrics["hard_negatives"]}


def main() -> None:
    """Joins the group, computes, saves."""
    rank, rendezvous, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    rows = slice(COUNT // 2 * rank, COUNT // 2 * (rank + 1))
    torch.save({negatives: measure(negatives, rows, wrap=True) for negatives in NEGATIVES}, out)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
