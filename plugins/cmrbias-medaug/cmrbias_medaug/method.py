"""MedAug: MoCo whose negatives may be chosen by laterality; the pairs are a pairing's (``strategies``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from cmrbias.api import Backbone, Batch, CmrbiasError, Recipe, Table, option
from cmrbias.methods import KeyQueue, MoCo, Stored, codes_of, same_patient, share
from cmrbias_medaug.columns import LATERALITIES, refuse_empty, refuse_unknown
from cmrbias_medaug.negatives import appended, log_weights, mixed
from cmrbias_medaug.recipes import PAPER, QUICK

Negatives = Literal["random", "append", "reweight", "only", "synthetic"]


class MedAug(MoCo):
    """MoCo with hard negatives: N queries, K stored keys, C the length of each.

    A stored key is hard for a query of the same laterality and another patient. Strategies that use hard
    ones act once the queue is full, and never take the query's own patient, full or not; ``random`` is the
    plain queue, as published.
    """

    @dataclass(frozen=True)
    class Options(MoCo.Options):
        """Defaults are the paper's."""

        queue: int = option(24576, "keys kept as negatives; at most half the training frames", minimum=1)
        temperature: float = option(0.2, "divides the cosines: lower attends to nearer ones", minimum=1e-4)
        hidden: int = option(512, "width of the projection's hidden layer", minimum=1)
        negatives: Negatives = option(
            "random",
            "random: the queue; append: a fraction of hard ones again; reweight: hard ones to a share; "
            "only: hard ones alone; synthetic: a fraction of mixed hard ones besides",
        )
        fraction: float = option(
            0.1, "append, synthetic: how many, of the queue's length", minimum=1e-6, maximum=1
        )
        share: float = option(0.5, "reweight: share of the weight on hard ones", minimum=0.001, maximum=0.999)
        laterality_column: str = option(
            "laterality", "column of the laterality: frontal or lateral, ap or pa"
        )
        lateralities: tuple[str, ...] = option(
            LATERALITIES, "what that column may hold where hard negatives need it"
        )

    recipes: ClassVar[Mapping[str, Recipe]] = {"quick": QUICK, "paper": PAPER}

    def __init__(self, backbone: Backbone, options: Options) -> None:
        super().__init__(backbone, options)
        self.columns = ("patient", options.laterality_column)
        self.queue = KeyQueue(options.queue, options.dim, self.columns)

    def fit(self, table: Table) -> None:
        """Checks that hard negatives can be told.

        Raises:
            CmrbiasError: a column is missing or empty somewhere, a laterality is unknown, or there is one.
        """
        if self.options.negatives == "random":
            return
        owner = f"method 'medaug': negatives={self.options.negatives}"
        column = self.options.laterality_column
        refuse_empty(table, "patient", owner)
        refuse_empty(table, column, owner, "-o laterality-column=NAME")
        refuse_unknown(table, column, self.options.lateralities, owner, "-o lateralities=A,B")
        found = {table.values(column)[code] for code in set(table.codes(column).tolist())}
        if len(found) < 2:
            raise CmrbiasError(
                f"{owner}: column {column!r}: expected two lateralities, found {', '.join(found)} alone: "
                "every negative would be hard; use -o negatives=random"
            )

    def contrast(self, queries: Tensor, positives: Tensor, stored: Stored, batch: Batch) -> Tensor:
        """Returns InfoNCE over the queue's keys as the strategy has them; see ``MoCo.contrast``."""
        if self.options.negatives == "random":
            return super().contrast(queries, positives, stored, batch)
        own = same_patient(codes_of(batch, "patient", 0), stored.codes["patient"])  # (N, K)
        counted = stored.filled & ~own
        column = self.options.laterality_column
        side = codes_of(batch, column, 0)[:, None]
        hard = counted & (side == stored.codes[column]) & (side >= 0)
        self.metrics = {
            "own_patient_negatives": share(own & counted, counted),
            "hard_negatives": share(hard, counted),
            "queries_without_hard": (~hard.any(1)).float().mean(),
            "queue_filled": stored.filled.float().mean(),
        }
        with torch.autocast(queries.device.type, enabled=False):
            queries = F.normalize(queries.float(), dim=1)
            positive = (queries * positives).sum(1, keepdim=True) / self.options.temperature
            logits = torch.cat((positive, self._negatives(queries, stored, counted, hard)), 1)
            wanted = torch.zeros(len(logits), dtype=torch.int64, device=logits.device)
            loss: Tensor = F.cross_entropy(logits, wanted)
            return loss

    def _negatives(self, queries: Tensor, stored: Stored, counted: Tensor, hard: Tensor) -> Tensor:
        """Returns the negatives' logits (N, at least K) of normalised queries (N, C); -inf takes no part."""
        options, cosines = self.options, queries @ stored.keys.T
        met: Tensor = cosines.masked_fill(~counted, -torch.inf) / options.temperature
        count = max(round(options.fraction * options.queue), 1)
        if not stored.filled.all():
            return met
        if options.negatives == "append":
            return torch.cat((met, appended(cosines, hard, count) / options.temperature), 1)
        if options.negatives == "synthetic":
            return torch.cat((met, mixed(queries, stored.keys, hard, count) / options.temperature), 1)
        if options.negatives == "reweight":
            return met + log_weights(counted, hard, options.share)
        return met.masked_fill(~hard, -torch.inf)
