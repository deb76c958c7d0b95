"""Maps of a batch of cases and what they score, the baselines' beside them: one overlap call a method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cmrbias.api import Choose, Saliency
from cmrbias.backbones import Classifier
from cmrbias.evaluation.stream import ShownCases
from cmrbias.ops import Overlap
from cmrbias.saliency.baselines import centred_gaussian, image_gradient
from cmrbias.saliency.subject import Subject
from cmrbias.saliency.table import Rows
from cmrbias.scores import Score, chance, score_maps


@dataclass(frozen=True)
class Method:
    """A saliency method that is asked for, and how errors name it."""

    name: str
    source: str
    saliency: Saliency


def chooser(labels: Tensor, classes: int, target: str) -> Choose:
    """Returns what picks the classes to explain: the predicted and the true one, or all.

    Args:
        labels: (N,) int64, -1 where unknown: the predicted class stands for it.
        classes: K.
        target: ``predicted``, ``true`` (both pick the same two) or ``all``.
    """

    def choose(logits: Tensor) -> Tensor:
        if target == "all":
            return torch.arange(classes, device=logits.device).expand(len(logits), -1)
        predicted = logits.argmax(1)
        return torch.stack([predicted, torch.where(labels < 0, predicted, labels)], 1)

    return choose


def score_batches(
    subject: Subject,
    methods: list[Method],
    scores: Mapping[str, Score],
    unknowing: Classifier,
    target: str,
    threshold: float,
    kept: Mapping[str, list[np.ndarray]] | None = None,
) -> Iterator[Rows]:
    """Yields a batch's rows for each batch and method.

    Args:
        subject: what is explained.
        methods: by which methods.
        scores: name to function.
        unknowing: the same network untrained.
        target: see ``chooser``.
        threshold: as in ``cmrbias.ops.overlap``.
        kept: a method's name to a list that each batch's maps of the predicted class are added to,
            (n, F, h, w) float32 of all frames.
    """
    wanted = {**scores, "chance": _chance, "ceiling": _ceiling, "constant": _constant}
    for shown in subject.stream(subject.rows):
        labels = torch.as_tensor(subject.labels[shown.rows], device=subject.device)
        choose = chooser(labels, len(subject.classifier.classes), target)
        for number, method in enumerate(methods):
            batch = _Batch.of(subject.classifier, unknowing, method.saliency, shown, choose)
            if kept is not None:
                kept[method.name].append(batch.of_predicted(shown.images.shape[1]))
            complete = torch.as_tensor(subject.cases.complete[shown.rows].ravel(), device=subject.device)
            assert shown.masks is not None
            masks = shown.masks.flatten(0, 1)[complete]
            found = score_maps(batch.maps[complete], masks, wanted, method.source, threshold)
            yield _rows(batch, found, shown.rows, complete.cpu().numpy(), number)


@dataclass(frozen=True)
class _Batch:
    """Maps (n * F, M + 3, h, w) of M explained classes and of the baselines, and what they are of.

    ``explained`` (n, M + 3) are classes, -1 for none; ``kind`` (M + 3,) are codes of ``MAPS``.
    """

    maps: Tensor
    explained: np.ndarray
    kind: np.ndarray
    predicted: np.ndarray

    @classmethod
    def of(
        cls,
        classifier: Classifier,
        unknowing: Classifier,
        saliency: Saliency,
        shown: ShownCases,
        choose: Choose,
    ) -> _Batch:
        logits, maps = saliency.explain(classifier, shown.images, choose)
        predicted, classes = logits.argmax(1), choose(logits)
        ignorant = saliency.maps(unknowing, shown.images, predicted).flatten(0, 1)
        frames = shown.images.flatten(0, 1)
        size = maps.shape[-2:]
        gaussian = centred_gaussian(*size).to(maps).expand(len(frames), -1, -1)
        beside = [gaussian, image_gradient(frames, *size), ignorant]
        every = torch.cat([maps.transpose(1, 2).flatten(0, 1), torch.stack(beside, 1)], 1)
        none = torch.full_like(predicted, -1)
        explained = torch.cat([classes, torch.stack([none, none, predicted], 1)], 1)
        kind = np.array([0] * classes.shape[1] + [1, 2, 3])
        return cls(every, explained.cpu().numpy(), kind, predicted.cpu().numpy())

    def of_predicted(self, frames: int) -> np.ndarray:
        """Returns the model's maps of the class it decided for: (n, frames, h, w) float32."""
        column = ((self.explained == self.predicted[:, None]) & (self.kind == 0)).argmax(1)
        maps = self.maps.reshape(-1, frames, *self.maps.shape[1:])[np.arange(len(column)), :, column]
        found: np.ndarray = maps.float().cpu().numpy()
        return found


def _rows(
    batch: _Batch, found: Mapping[str, Tensor], rows: np.ndarray, complete: np.ndarray, method: int
) -> Rows:
    """Returns the scores of complete frames as rows; a class that was chosen twice is one row."""
    frames, many = len(complete) // len(rows), len(batch.kind)
    explained = batch.explained.repeat(frames, 0)[complete]
    repeated = np.zeros_like(explained, dtype=bool)
    for column in range(1, many):
        before = explained[:, :column] == explained[:, column : column + 1]
        repeated[:, column] = (before & (batch.kind[:column] == batch.kind[column])).any(1)
    kept = ~repeated.ravel()
    each = {
        "row": rows.repeat(frames)[complete],
        "frame": np.tile(np.arange(frames), len(rows))[complete],
        "predicted": batch.predicted.repeat(frames)[complete],
    }
    count = len(explained) * many
    values = {name: score.cpu().numpy().ravel()[kept] for name, score in found.items()}
    height, width = batch.maps.shape[-2:]
    return Rows(
        **{name: column.repeat(many)[kept] for name, column in each.items()},
        method=np.full(count, method)[kept],
        map=np.tile(batch.kind, len(explained))[kept],
        explained=explained.ravel()[kept],
        height=np.full(count, height)[kept],
        width=np.full(count, width)[kept],
        constant=values.pop("constant") > 0,
        scores=values,
    )


def _chance(found: Overlap) -> Tensor:
    return chance(found).expand_as(found.saliency)


def _ceiling(found: Overlap) -> Tensor:
    return found.ceiling.expand_as(found.saliency)


def _constant(found: Overlap) -> Tensor:
    return (found.maximum <= found.minimum).double()
