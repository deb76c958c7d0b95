"""Do predicted probabilities mean what they say: Brier score and expected calibration error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cmrbias.errors import CmrbiasError

BINS = 15


def brier_scores(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns each case's squared distance from its outcome, summed over classes: (N,) float64 in [0, 2].

    Its mean is the multi-class score of Brier (1950), twice the binary one for two classes.

    Args:
        probabilities: (N, K) float64, rows summing to 1.
        labels: (N,) integers in [0, K).
    """
    outcomes = labels[:, None] == np.arange(probabilities.shape[1])
    scores: np.ndarray = ((probabilities - outcomes) ** 2).sum(axis=1)
    return scores


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> float:
    """Returns the mean distance between confidence and accuracy (Guo et al. 2017), weighted by cases.

    Confidence is the largest probability, the prediction its class (the first of equal ones); bins are
    equally wide, (i / bins, (i + 1) / bins].

    Args:
        probabilities: (N, K) float64, rows summing to 1.
        labels: (N,) integers in [0, K).
        bins: how many.
    """
    weights = np.ones((1, len(labels)), np.int64)
    return float(weighted_calibration_error(probabilities, labels, np.arange(len(labels)), bins)(weights)[0])


def weighted_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, numbers: np.ndarray, bins: int = BINS
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the function from patient weights (B, P) int64 to calibration errors (B,).

    Args:
        probabilities, labels, bins: as for ``expected_calibration_error``.
        numbers: (N,) the cases' patients, numbered from 0 without gaps.
    """
    confidence = probabilities.max(axis=1)
    gap = confidence - (probabilities.argmax(axis=1) == labels)
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    patients = int(numbers.max()) + 1
    gaps = np.bincount(numbers * bins + place, gap, patients * bins).reshape(patients, bins)
    cases = np.bincount(numbers, minlength=patients)

    def error(weights: np.ndarray) -> np.ndarray:
        total = weights @ cases
        mean: np.ndarray = np.abs(weights @ gaps).sum(axis=1) / np.where(total > 0, total, np.nan)
        return mean

    return error


def check_probabilities(probabilities: np.ndarray) -> None:
    """Raises a CmrbiasError if a row of ``probabilities`` (N, K) is not a distribution, to 1e-6."""
    wrong = (probabilities < 0).any(axis=1) | (np.abs(probabilities.sum(axis=1) - 1) > 1e-6)
    for row in np.flatnonzero(wrong)[:1]:
        found = f"found {probabilities[row].tolist()} in row {row}"
        raise CmrbiasError(f"expected probabilities that sum to 1, {found}: give softmax, not logits")
