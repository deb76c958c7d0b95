"""What a confusion matrix says. All functions take one (K, K) or a stack of them (..., K, K).

Rows are true classes, columns predicted ones. A share of nothing is NaN.
"""

from __future__ import annotations

import numpy as np


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Returns how many cases of each true class (row) were given each class (column): (K, K) int64.

    Args:
        labels, predicted: (N,) integers in [0, classes).
        classes: how many there are.
    """
    rows, columns = labels.astype(np.int64), predicted.astype(np.int64)  # a product of uint8 wraps at 256
    counts = np.bincount(rows * classes + columns, minlength=classes**2)
    return counts.reshape(classes, classes)


def accuracy(confusion: np.ndarray) -> np.ndarray:
    """Returns the share of cases given their class: (...,) float64."""
    return _ratio(_hits(confusion).sum(axis=-1), confusion.sum(axis=(-2, -1)))


def sensitivity(confusion: np.ndarray) -> np.ndarray:
    """Returns for each class the share of its cases that were given it: (..., K) float64."""
    return _ratio(_hits(confusion), confusion.sum(axis=-1))


def specificity(confusion: np.ndarray) -> np.ndarray:
    """Returns for each class the share of other cases that were not given it: (..., K) float64."""
    return _ratio(_true_negatives(confusion), _total(confusion) - confusion.sum(axis=-1))


def positive_predictive_value(confusion: np.ndarray) -> np.ndarray:
    """Returns for each class the share of cases given it that have it: (..., K) float64."""
    return _ratio(_hits(confusion), confusion.sum(axis=-2))


def negative_predictive_value(confusion: np.ndarray) -> np.ndarray:
    """Returns for each class the share of cases not given it that do not have it: (..., K) float64."""
    return _ratio(_true_negatives(confusion), _total(confusion) - confusion.sum(axis=-2))


def f1(confusion: np.ndarray) -> np.ndarray:
    """Returns for each class 2 TP / (2 TP + FP + FN): (..., K) float64."""
    return _ratio(2 * _hits(confusion), confusion.sum(axis=-1) + confusion.sum(axis=-2))


def balanced_accuracy(confusion: np.ndarray) -> np.ndarray:
    """Returns the mean sensitivity over the classes: (...,) float64, NaN if a class has no case."""
    mean: np.ndarray = sensitivity(confusion).mean(axis=-1)
    return mean


def macro_f1(confusion: np.ndarray) -> np.ndarray:
    """Returns the mean F1 over the classes: (...,) float64."""
    mean: np.ndarray = f1(confusion).mean(axis=-1)
    return mean


def _hits(confusion: np.ndarray) -> np.ndarray:
    hits: np.ndarray = np.diagonal(confusion, axis1=-2, axis2=-1)
    return hits


def _total(confusion: np.ndarray) -> np.ndarray:
    total: np.ndarray = confusion.sum(axis=(-2, -1))[..., None]
    return total


def _true_negatives(confusion: np.ndarray) -> np.ndarray:
    given_or_had = confusion.sum(axis=-1) + confusion.sum(axis=-2) - _hits(confusion)
    negatives: np.ndarray = _total(confusion) - given_or_had
    return negatives


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    ratio: np.ndarray = part / np.where(whole > 0, whole, np.nan)
    return ratio
