"""A classifier as saliency methods need it: in eval mode, with gradients of inputs but not of weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from cmrbias.backbones import Classifier


@contextmanager
def differentiable(classifier: Classifier) -> Iterator[None]:
    """Within, gradients reach the images even through a frozen backbone, and none is kept for weights.

    Batch statistics do not move. Afterwards everything is as it was.
    """
    training, frozen = classifier.training, classifier.frozen
    wanted = [(p, p.requires_grad) for p in classifier.parameters()]
    classifier.eval().requires_grad_(False)
    classifier.frozen = False
    try:
        with torch.enable_grad(), torch.autocast(next(classifier.parameters()).device.type, enabled=False):
            yield
    finally:
        classifier.frozen = frozen
        classifier.train(training)
        for parameter, required in wanted:
            parameter.requires_grad_(required)


@contextmanager
def evaluating(classifier: Classifier) -> Iterator[None]:
    """Within, the classifier is in eval mode and no gradient is recorded."""
    training = classifier.training
    classifier.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        classifier.train(training)
