"""MoCo v2 (He et al. 2020, Chen et al. 2020): a queue of keys from a slow copy of the network repels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from cmrbias.api import Backbone, Batch, Method, Recipe, gather, option, shared_permutation, world
from cmrbias.methods.heads import mlp
from cmrbias.methods.momentum import MomentumCopy
from cmrbias.methods.patients import codes_of, patients_of, same_patient, share
from cmrbias.methods.queue import KeyQueue, Stored
from cmrbias.methods.recipes import PAPER, QUICK


class MoCo(Method):
    """N images a rank, M = ranks * N in all; the queue holds K keys, C the length of each.

    A method that chooses among the stored keys overrides ``contrast``; to know more of a key than its
    patient, it sets ``columns`` and a ``KeyQueue`` with the same ones in its ``__init__``.
    """

    @dataclass(frozen=True)
    class Options:
        """Defaults are the paper's."""

        queue: int = option(1024, "keys kept as negatives; at most half the training frames", minimum=1)
        temperature: float = option(0.07, "divides the cosines: lower attends to nearer ones", minimum=1e-4)
        momentum: float = option(0.999, "share of itself the key network keeps a step", minimum=0, maximum=1)
        hidden: int = option(2048, "width of the projection's hidden layer", minimum=1)
        dim: int = option(128, "length of a key", minimum=1)
        norm: bool = option(False, "batch norm in the projection, as in MoCo v3; short runs collapse without")
        bn_groups: int = option(4, "shuffled groups that keys share batch statistics in", minimum=1)
        exclude_own_patient: bool = option(False, "leave the query's own patient out of its negatives")

    recipes: ClassVar[Mapping[str, Recipe]] = {
        # the plain projection collapsed here: all first keys are alike, and the copy's drift tells them apart
        "quick": replace(
            QUICK,
            lr=1e-3,
            options={"queue": 128, "temperature": 0.1, "momentum": 0.95, "norm": True, "bn_groups": 2},
        ),
        "paper": replace(PAPER, optimiser="sgd", momentum=0.9, weight_decay=1e-4),
    }
    columns: tuple[str, ...] = ("patient",)

    def __init__(self, backbone: Backbone, options: Options) -> None:
        super().__init__(backbone, options)
        self.projector = mlp(backbone.dim, options.hidden, options.dim, norm=options.norm)
        self.key_network = MomentumCopy(backbone, self.projector)
        self.queue = KeyQueue(options.queue, options.dim)

    def forward(self, views: tuple[Tensor, ...], batch: Batch) -> Tensor:
        """Returns InfoNCE of queries of view 0 against keys of view 1, each (N, 1, H, W)."""
        queries = self.projector(self.backbone(views[0]))  # (N, C)
        keys = self._keys(views[1])  # (M, C), of all ranks
        first = world()[0] * len(queries)  # this rank's first row among them
        loss = self.contrast(queries, keys[first : first + len(queries)], self.queue.stored(), batch)
        codes = {name: codes_of(batch, name, 1) for name in self.queue.columns}
        self.queue.add(keys, {name: gather(each, gradient=False) for name, each in codes.items()})
        return loss

    def contrast(self, queries: Tensor, positives: Tensor, stored: Stored, batch: Batch) -> Tensor:
        """Returns the loss, and sets ``metrics``; the batch's keys enter the queue afterwards.

        Args:
            queries: (N, C) of any dtype, not normalised.
            positives: (N, C) float32, the queries' own keys.
            stored: the queue: K keys of earlier batches.
            batch: what is known of the queries (view 0) and of their keys (view 1).
        """
        exclude = self.options.exclude_own_patient
        own = same_patient(patients_of(batch, 0, required=exclude), stored.codes["patient"])  # (N, K)
        counted = stored.filled.expand_as(own)
        self.metrics = {
            "own_patient_negatives": share(own & counted, counted),
            "queue_filled": stored.filled.float().mean(),
        }
        if exclude:
            counted = counted & ~own
        return info_nce(queries, positives, stored.keys, counted, self.options.temperature)

    def after_step(self, progress: float) -> None:
        """Moves the key network, once an optimiser step."""
        self.key_network.update(self.backbone, self.projector, momentum=self.options.momentum)

    def warnings(self, frames: int) -> list[str]:
        """Warns of a queue so long that it holds keys of the query's own image."""
        if 2 * self.options.queue <= frames:
            return []
        return [
            f"warning: a queue of {self.options.queue} is over half of the {frames} training frames, so "
            f"that images meet their own keys as negatives: use -o queue={max(frames // 2, 1)} or less"
        ]

    @torch.no_grad()
    def _keys(self, images: Tensor) -> Tensor:
        """Returns normalised float32 keys (M, C) of all ranks' images (N, 1, H, W), by shuffled BN.

        A query could tell its key by the batch statistics that they share. So keys are computed
        in groups, drawn at random from all ranks' images, each with statistics of its own.
        """
        rank, ranks = world()
        count = len(images)
        order = shared_permutation(ranks * count, images.device)
        mine = gather(images, gradient=False)[order[rank * count : (rank + 1) * count]]
        groups = max(1, min(self.options.bn_groups, count // 2))  # statistics need two images
        keys = torch.cat([self.key_network(group) for group in mine.tensor_split(groups)])
        with torch.autocast(images.device.type, enabled=False):
            keys = F.normalize(keys.float(), dim=1)
        return gather(keys, gradient=False)[order.argsort()]


def info_nce(
    queries: Tensor, positives: Tensor, negatives: Tensor, counted: Tensor, temperature: float
) -> Tensor:
    """Returns the mean over queries of -log(exp(p / t) / (exp(p / t) + sum(exp(n / t)))), float32.

    p is the cosine of query and positive, n those with the negatives that are counted.

    Args:
        queries: (N, C) of any dtype.
        positives: (N, C) float32, normalised.
        negatives: (K, C) float32, normalised.
        counted: which negatives each query meets, (N, K) bool.
        temperature: t.
    """
    with torch.autocast(queries.device.type, enabled=False):
        queries = F.normalize(queries.float(), dim=1)
        positive = (queries * positives).sum(1, keepdim=True)  # (N, 1)
        negative = (queries @ negatives.T).masked_fill(~counted, float("-inf"))  # (N, K)
        logits = torch.cat((positive, negative), 1) / temperature  # (N, 1 + K)
        return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64, device=logits.device))
