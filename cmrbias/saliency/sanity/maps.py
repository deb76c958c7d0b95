"""All maps that a network makes of a cohort's frames, on their cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cmrbias.backbones import Classifier
from cmrbias.evaluation.stream import ShownCases
from cmrbias.resampling import patient_strata
from cmrbias.saliency.method import Method
from cmrbias.saliency.subject import Subject
from cmrbias.scores import refuse_wrong_maps
from cmrbias.statistics import Estimate, mean_estimate, patient_means
from cmrbias.statistics.inputs import patient_numbers


@dataclass(frozen=True)
class MapMaker:
    """Makes the maps of any network with the subject's classes: of frames with a complete mask alone.

    Maps are held on their cells: 200 bytes a frame at 7 x 7, as much as an image for methods that look
    at pixels.

    Attributes:
        subject: what is shown.
        methods: by which they are made.
        done: called with the number of cases after each batch.
    """

    subject: Subject
    methods: tuple[Method, ...]
    done: Callable[[int], None]

    def batches(self) -> Iterator[tuple[int, ShownCases, Tensor]]:
        """Yields the draw, a batch of cases and which of their frames have a complete mask, (n F,) bool."""
        for draw in range(self.subject.draws):
            for shown in self.subject.stream(self.subject.rows, draw):
                complete = self.subject.cases.complete[shown.rows].ravel()
                yield draw, shown, torch.as_tensor(complete, device=self.subject.device)

    @torch.no_grad()
    def predicted(self) -> list[Tensor]:
        """Returns the classes that the subject's classifier predicts, a batch at a time: (n,) int64."""
        return [self.subject.classifier(shown.images).argmax(1) for _, shown, _ in self.batches()]

    def maps(
        self, network: Classifier, classes: Sequence[Tensor], order: Sequence[int] | None = None
    ) -> list[np.ndarray]:
        """Returns each method's maps (R, h, w) float32 of the frames, in the order of ``batches``.

        Args:
            network: takes the subject's images.
            classes: a batch's (n,) int64, as ``predicted`` gives them: what is explained.
            order: (K,) the network's number of each of the subject's classes; None: the same.

        Raises:
            CmrbiasError: a map is negative or not finite somewhere.
        """
        parts: list[list[np.ndarray]] = [[] for _ in self.methods]
        for (_, shown, complete), chosen in zip(self.batches(), classes, strict=True):
            if order is not None:
                chosen = torch.as_tensor(order, device=chosen.device)[chosen]
            name = partial(self.subject.frame_name, shown.rows)
            for method, part in zip(self.methods, parts, strict=True):
                made = method.saliency.maps(network, shown.images, chosen).flatten(0, 1)
                refuse_wrong_maps(made, method.source, name)
                part.append(made[complete].cpu().float().numpy())
            self.done(len(shown.rows))
        return [np.concatenate(part) for part in parts]


@dataclass(frozen=True)
class Patients:
    """Whose frames the maps are of, for means over patients.

    Attributes:
        case, patient, label: (R,) int64, of each map.
        resamples, seed: of the bootstrap over patients.
    """

    case: np.ndarray
    patient: np.ndarray
    label: np.ndarray
    resamples: int
    seed: int

    @classmethod
    def of(cls, maker: MapMaker, resamples: int, seed: int) -> Patients:
        """Returns those of the maps that ``maker`` makes."""
        subject = maker.subject
        complete = subject.cases.complete[subject.rows]
        rows = np.tile(subject.rows.repeat(complete.sum(1)), subject.draws)
        labels = subject.labels[rows]
        unknown = len(subject.classifier.classes)
        return cls(
            rows,
            subject.cases.codes("patient")[rows],
            np.where(labels < 0, unknown, labels),
            resamples,
            seed,
        )

    def scores(self, values: np.ndarray) -> np.ndarray:
        """Returns a score a patient, (P,) float64, NaN where undefined, of values (R,) of the maps."""
        return patient_means(values, self.case, self.patient)

    def mean(self, scores: np.ndarray) -> Estimate:
        """Returns the mean of scores (P,) over patients, with its interval."""
        numbers = patient_numbers(self.patient, len(self.patient))
        strata = patient_strata(self.label, numbers, int(self.label.max(initial=0)) + 1)
        return mean_estimate(scores, strata, self.resamples, self.seed)


def on_one_grid(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns maps (R, h, w) on the fewer rows and columns of both, the finer ones averaged over cells."""
    size = tuple(map(min, first.shape[1:], second.shape[1:]))
    pooled = (
        maps if maps.shape[1:] == size else F.adaptive_avg_pool2d(torch.as_tensor(maps)[:, None], size)[:, 0]
        for maps in (first, second)
    )
    one, other = (np.asarray(maps) for maps in pooled)
    return one, other
