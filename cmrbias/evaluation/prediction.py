"""What a classifier makes of cases: a probability a class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch

from cmrbias.evaluation.conditions import Condition
from cmrbias.evaluation.stream import stream_cases
from cmrbias.evaluation.subject import Subject
from cmrbias.training.precision import autocast

Progress = Callable[[str, int, int], None]
"""Takes the test input's name, the cases that are done, and all there are."""


@dataclass(frozen=True)
class Predictions:
    """Cases with their labels and what a classifier made of them under one test input.

    Attributes:
        input: the test input's name.
        classes: K names.
        case: (N,) int64, the cases' row numbers in the cohort.
        patients: (N,) int64 codes.
        labels: (N,) int64.
        probabilities: (N, K) float64, softmax over the classes; the mean over the donors where some are
            drawn.
    """

    input: str
    classes: tuple[str, ...]
    case: np.ndarray
    patients: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """The class of the largest probability, the first of equal ones: (N,) int64."""
        predicted: np.ndarray = self.probabilities.argmax(axis=1)
        return predicted

    @property
    def correct(self) -> np.ndarray:
        """Whether it is the label: (N,) bool."""
        correct: np.ndarray = self.predicted == self.labels
        return correct

    @property
    def of_label(self) -> np.ndarray:
        """The probability of the label: (N,) float64."""
        probability: np.ndarray = np.take_along_axis(self.probabilities, self.labels[:, None], 1)[:, 0]
        return probability

    def some(self, rows: np.ndarray) -> Predictions:
        """Returns some of the rows (n,) int64."""
        arrays = (self.case, self.patients, self.labels, self.probabilities)
        return Predictions(self.input, self.classes, *(array[rows] for array in arrays))


def paired(*predictions: Predictions) -> list[Predictions]:
    """Returns the cases that all have, in the same order."""
    shared = reduce(np.intersect1d, [each.case for each in predictions])
    rows = (np.intersect1d(each.case, shared, return_indices=True)[1] for each in predictions)
    return [each.some(of_shared) for each, of_shared in zip(predictions, rows, strict=True)]


@torch.no_grad()
def predict(
    subject: Subject, shown: Condition, device: torch.device, precision: str, progress: Progress | None = None
) -> Predictions:
    """Returns the subject's predictions under a condition, a batch of cases in memory at a time."""
    draws = [None] if shown.donors is None else list(shown.donors)
    classes, rows = subject.matching.classes, shown.rows
    total = np.zeros((len(rows), len(classes)))
    done = 0
    for donors in draws:
        start = 0
        for batch in stream_cases(subject.cases, shown.mode, subject.classifier.image_size, rows, donors):
            with autocast(precision, device):
                logits = subject.classifier(batch.images.to(device)).cpu()
            compared = logits[:, subject.matching.columns].double().softmax(1).numpy()
            total[start : start + len(compared)] += compared
            start, done = start + len(compared), done + len(compared)
            if progress:
                progress(shown.mode.name, done, len(rows) * len(draws))
    return Predictions(
        input=shown.mode.name,
        classes=classes,
        case=subject.cases.case[rows],
        patients=subject.cases.codes("patient")[rows],
        labels=subject.labels[rows],
        probabilities=total / len(draws),
    )
