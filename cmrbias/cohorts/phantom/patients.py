"""Who is in a phantom cohort, and the random streams that keep heart, body, scanner and cue apart."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

TRAIN_SHARE = 0.7


def stream(seed: int, purpose: str, patient: int = 0) -> np.random.Generator:
    """Returns the generator of one purpose and patient, independent of every other one.

    What is drawn for one purpose never moves another's numbers: that is what makes anatomy, scanner
    and cue independent, and twins possible.
    """
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), patient])


def apportion(total: int, shares: Sequence[float]) -> np.ndarray:
    """Returns ``total`` split into whole numbers (K,) in proportion to shares, by largest remainder.

    Equal remainders go to the first.
    """
    exact = total * np.asarray(shares, float) / sum(shares)
    counts = np.floor(exact + 1e-9).astype(np.int64)
    order = np.argsort(-np.round(exact - counts, 9), kind="stable")
    counts[order[: total - counts.sum()]] += 1
    return counts


def draw_classes(patients: int, shares: Sequence[float], seed: int) -> np.ndarray:
    """Returns each patient's class (N,) int64: every class at least once, the order shuffled.

    ``patients`` is at least the number of classes.
    """
    counts = apportion(patients, shares)
    while counts.min() == 0:
        counts[counts.argmax()] -= 1
        counts[counts.argmin()] += 1
    return stream(seed, "classes").permutation(np.repeat(np.arange(len(counts)), counts))


def draw_split(classes: np.ndarray, seed: int) -> np.ndarray:
    """Returns ``train`` or ``test`` for each patient (N,), 70 % to train, each class alike."""
    counts = np.bincount(classes)
    trained = apportion(round(TRAIN_SHARE * len(classes)), counts.tolist())
    rng = stream(seed, "split")
    split = np.full(len(classes), "test", dtype=object)
    for label, count in enumerate(trained):
        members = rng.permutation(np.flatnonzero(classes == label))
        split[members[:count]] = "train"
    return split
