"""Maps of a batch of cases and what they score, the baselines' beside them: one overlap call a method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from cmrbias.api import Choose, Saliency
from cmrbias.backbones import Classifier
from cmrbias.evaluation.stream import ShownCases
from cmrbias.ops import Overlap, Projection, overlap, project_masks
from cmrbias.saliency.baselines import centred_gaussian, image_gradient
from cmrbias.saliency.dilation import MARGINS, dilated
from cmrbias.saliency.joint import joint_overlap, some_rows
from cmrbias.saliency.method import Method
from cmrbias.saliency.subject import Subject
from cmrbias.saliency.table import KNOWN, Rows, dilated_name
from cmrbias.scores import Score, chance, refuse_wrong_maps, score_overlap


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
    scaling: Scaling,
    kept: Mapping[str, list[np.ndarray]] | None = None,
) -> Iterator[Rows]:
    """Yields a batch's rows for each draw of donors, batch and method.

    Args:
        subject: what is explained.
        methods: by which methods.
        scores: name to function.
        unknowing: the same network untrained.
        target: see ``chooser``.
        scaling: how maps become [0, 1].
        kept: a method's name to a list that each batch's maps of the predicted class are added to,
            (n, F, h, w) float32 of all frames.
    """
    for draw in range(subject.draws):
        for shown in subject.stream(subject.rows, draw):
            labels = torch.as_tensor(subject.labels[shown.rows], device=subject.device)
            choose = chooser(labels, len(subject.classifier.classes), target)
            hearts = _Hearts.of(subject, shown)
            for number, method in enumerate(methods):
                batch = _Batch.of(subject.classifier, unknowing, method.saliency, shown, choose)
                if kept is not None:
                    kept[method.name].append(batch.of_predicted(shown.images.shape[1]))
                refuse_wrong_maps(batch.maps, method.source, partial(subject.frame_name, shown.rows))
                found = _scored(batch.maps, hearts, scores, scaling)
                yield _rows(batch, found, shown.rows, hearts.complete.cpu().numpy(), number, draw)


@dataclass(frozen=True)
class Scaling:
    """How maps are scaled and thresholded.

    Attributes:
        threshold: as in ``cmrbias.ops.overlap``.
        joint: one min-max over the frames of a case, in place of one a frame.
    """

    threshold: float = 0.5
    joint: bool = False

    def overlap(self, maps: Tensor, masks: Tensor | Projection, hearts: _Hearts) -> Overlap:
        """Returns the overlap of all frames' maps (n * F, M, h, w), of complete frames alone."""
        if self.joint:
            found = joint_overlap(maps, masks, self.threshold, hearts.frames)
            return some_rows(found, hearts.complete)
        if isinstance(masks, Projection):
            masks = masks._replace(cells=masks.cells[hearts.complete], areas=masks.areas[hearts.complete])
        else:
            masks = masks[hearts.complete]
        return overlap(maps[hearts.complete], masks, self.threshold)


@dataclass(frozen=True)
class _Hearts:
    """Masks (n * F, H, W) bool of a batch, which of them are complete (n * F,), F, and dilated ones by mm.

    ``known`` (n * F,) says whether the pixel size is, without which a dilated mask is empty.
    """

    masks: Tensor
    complete: Tensor
    frames: int
    dilated: dict[int, Tensor]
    known: Tensor

    @classmethod
    def of(cls, subject: Subject, shown: ShownCases) -> _Hearts:
        assert shown.masks is not None
        masks, frames = shown.masks.flatten(0, 1), shown.masks.shape[1]
        complete = torch.as_tensor(subject.cases.complete[shown.rows].ravel(), device=masks.device)
        stored = subject.cases.spacing(shown.rows, masks.shape[-1]).repeat(frames, 0)
        spacing = torch.as_tensor(stored, device=masks.device)
        grown = dilated(masks, spacing, MARGINS) if subject.knows_pixel_size else []
        return cls(masks, complete, frames, dict(zip(MARGINS, grown, strict=False)), ~spacing[:, 0].isnan())


def _scored(
    maps: Tensor, hearts: _Hearts, scores: Mapping[str, Score], scaling: Scaling
) -> dict[str, Tensor]:
    """Returns the scores of complete frames, with chance, ceiling, whether constant, and the dilated ones."""
    bounds: dict[str, Score] = {"chance": _chance, "ceiling": _ceiling}
    found = scaling.overlap(maps, hearts.masks, hearts)
    values = score_overlap(found, {**scores, **bounds, "constant": _constant})
    on_grid = {name: score for name, score in scores.items() if name in KNOWN} | bounds
    for margin, masks in hearts.dilated.items():
        grown = scaling.overlap(maps, project_masks(masks, (maps.shape[-2], maps.shape[-1])), hearts)
        known = hearts.known[hearts.complete][:, None]
        for name, value in score_overlap(grown, on_grid).items():
            values[dilated_name(name, margin)] = torch.where(known, value, torch.nan)
    return values


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
    batch: _Batch,
    found: Mapping[str, Tensor],
    rows: np.ndarray,
    complete: np.ndarray,
    method: int,
    draw: int,
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
        draw=np.full(count, draw)[kept],
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
