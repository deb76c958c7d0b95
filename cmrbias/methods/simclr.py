"""SimCLR (Chen et al. 2020): two views of an image attract, all other views in the batch repel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from cmrbias.api import Backbone, Batch, Method, Recipe, gather, option, world
from cmrbias.methods.heads import mlp
from cmrbias.methods.patients import patients_of, same_patient, share
from cmrbias.methods.recipes import PAPER, QUICK


class SimCLR(Method):
    """N images a rank, M = ranks * N in all, two views of each, C the length of a projection.

    Rows are this rank's 2N views, columns all 2M: the first views of all ranks, then the second.
    """

    @dataclass(frozen=True)
    class Options:
        """Defaults are the paper's."""

        temperature: float = option(0.1, "divides the cosines: lower attends to nearer ones", minimum=1e-4)
        hidden: int = option(2048, "width of the projection's hidden layer", minimum=1)
        dim: int = option(128, "length of a projection", minimum=1)
        exclude_own_patient: bool = option(False, "leave the query's own patient out of its negatives")

    recipes: ClassVar[Mapping[str, Recipe]] = {"quick": QUICK, "paper": PAPER}
    columns = ("patient",)

    def __init__(self, backbone: Backbone, options: Options) -> None:
        super().__init__(backbone, options)
        self.projector = mlp(backbone.dim, options.hidden, options.dim)

    def forward(self, views: tuple[Tensor, ...], batch: Batch) -> Tensor:
        """Returns NT-Xent of two views, each (N, 1, H, W)."""
        images = torch.cat(views)  # (2N, 1, H, W): one pass, one set of batch statistics
        projections = self.projector(self.backbone(images))  # (2N, C)
        positives, negatives = contrasts(len(views[0]), images.device)  # (2N,), (2N, 2M)

        exclude = self.options.exclude_own_patient
        patients = [patients_of(batch, view, required=exclude) for view in (0, 1)]  # each (N,)
        everyone = torch.cat([gather(codes, gradient=False) for codes in patients])  # (2M,)
        own = same_patient(torch.cat(patients), everyone) & negatives  # (2N, 2M)
        self.metrics = {"own_patient_negatives": share(own, negatives)}
        if exclude:
            negatives = negatives & ~own
        return nt_xent(projections, positives, negatives, self.options.temperature)


def contrasts(count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Returns each row's positive column (2N,), and which columns are its negatives (2N, 2M) bool.

    A row's own column and its positive's are shifted by rank * N: neither is a negative.
    """
    rank, ranks = world()
    first = rank * count + torch.arange(count, device=device)  # columns of this rank's first views
    second = ranks * count + first
    themselves, positives = torch.cat((first, second)), torch.cat((second, first))
    negatives = torch.ones(2 * count, 2 * ranks * count, dtype=torch.bool, device=device)
    return positives, negatives.scatter(1, torch.stack((themselves, positives), 1), False)


def nt_xent(projections: Tensor, positives: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """Returns the mean over rows of -log(exp(p / t) / sum(exp(c / t))), a float32 scalar (paper, eq. 1).

    p is the cosine with the positive; c runs over the positive and the negatives.

    Args:
        projections: (2N, C) of any dtype, this rank's first views, then its second ones.
        positives: column of each row's positive, (2N,) int64.
        negatives: which columns are a row's negatives, (2N, 2M) bool.
        temperature: t.
    """
    with torch.autocast(projections.device.type, enabled=False):
        rows = F.normalize(projections.float(), dim=1)
        columns = torch.cat([gather(view) for view in rows.chunk(2)])  # (2M, C)
        logits = rows @ columns.T / temperature  # (2N, 2M)
        counted = negatives.scatter(1, positives[:, None], True)
        return F.cross_entropy(logits.masked_fill(~counted, float("-inf")), positives)
