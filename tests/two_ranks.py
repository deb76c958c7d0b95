"""Run by test_distributed.py, once a rank: ``two_ranks.py RANK RENDEZVOUS OUT``.

Computes what that test compares with one process, and saves it in OUT.
"""

from __future__ import annotations

import sys

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cmrbias.api import Backbone, Batch, Method, gather, shared_permutation
from cmrbias.methods.moco import MoCo
from cmrbias.methods.queue import KeyQueue
from cmrbias.methods.simclr import SimCLR

COUNT = 6  # images in all
PATIENTS = torch.tensor([4, 2, 4, 0, 1, 2])


class Tiny(Backbone):
    """A convolution without batch norm, so that the split into ranks may change nothing."""

    name, dim, stride = "tiny", 5, 2

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 5, 3, 2, 1)

    def feature_map(self, images: Tensor) -> Tensor:
        """Returns (N, 5, 4, 4)."""
        return self.convolution(images).relu()


def make(name: str) -> Method:
    """The method in eval mode: its heads' batch norm is then a function of single images."""
    torch.manual_seed(0)
    if name == "simclr":
        return SimCLR(Tiny(), SimCLR.Options(hidden=8, dim=4)).eval()
    method = MoCo(Tiny(), MoCo.Options(queue=8, hidden=8, dim=4)).eval()
    method.queue = KeyQueue(8, 4, ("patient", "side"))
    stored = torch.nn.functional.normalize(torch.randn(5, 4), dim=1)
    method.queue.add(stored, {"patient": (codes := torch.tensor([4, 1, 4, 3, 2])), "side": codes + 10})
    return method


def loss_of(module: nn.Module, rows: slice) -> Tensor:
    """The loss of some of the images."""
    views = torch.randn(2, COUNT, 1, 8, 8, generator=torch.Generator().manual_seed(5))[:, rows]
    codes = PATIENTS[rows]
    columns = {"patient": (codes, codes), "side": (codes + 10, codes + 10)}
    batch = Batch((codes, codes), (None, None), columns)
    return module((views[0], views[1]), batch)


def measure(name: str, rows: slice, wrap: bool) -> dict[str, Tensor]:
    """Loss, metric, gradients and state after a backward pass, by name."""
    method = make(name)
    module = DistributedDataParallel(method) if wrap else method  # must outlive backward
    loss = loss_of(module, rows)
    loss.backward()
    found = {f"grad {key}": p.grad for key, p in method.named_parameters() if p.grad is not None}
    found |= {f"state {key}": value for key, value in method.state_dict().items()}
    return found | {"loss": loss.detach(), "own": method.metrics["own_patient_negatives"]}


def groups(rank: int) -> list[int]:
    """Which of both ranks' images this rank's key network is given."""
    method, seen = make("moco"), []
    images = torch.arange(COUNT // 2 * rank, COUNT // 2 * (rank + 1)).float()
    views = images[:, None, None, None].expand(-1, 1, 8, 8)
    method.key_network.register_forward_pre_hook(lambda m, i: seen.extend(i[0][:, 0, 0, 0].int().tolist()))
    torch.manual_seed(rank)
    codes = torch.zeros(COUNT // 2, dtype=torch.int64)
    method((views, views), Batch((codes, codes), (None, None)))
    return seen


def gathered(rank: int) -> dict[str, Tensor]:
    """A gather of channels-last rows, and the gradient of a loss that weighs rows differently a rank."""
    x = (torch.arange(48.0).reshape(2, 2, 3, 4) + 100 * rank).to(memory_format=torch.channels_last)
    y = x.clone().requires_grad_()
    rows = gather(y)
    (rows * (rank + 1) * torch.arange(1.0, 5.0)[:, None, None, None]).sum().backward()
    return {"plain": gather(x), "rows": rows.detach(), "grad": y.grad, "none": gather(y, gradient=False)}


def main() -> None:
    """Joins the group, computes, saves."""
    rank, rendezvous, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    rows = slice(COUNT // 2 * rank, COUNT // 2 * (rank + 1))
    found = {name: measure(name, rows, wrap=True) for name in ("simclr", "moco")}
    torch.manual_seed(100 + rank)  # each rank's own generator
    order = shared_permutation(20, torch.device("cpu"))
    torch.save({**found, "groups": groups(rank), "gather": gathered(rank), "order": order}, out)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
