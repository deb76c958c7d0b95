"""Variances and covariances of AUCs without resampling, with the patient as the unit.

DeLong, DeLong and Clarke-Pearson (Biometrics 44:837-845, 1988), computed with midranks (Sun and Xu, IEEE
Signal Processing Letters 21:1389-1393, 2014), in the clustered form of Obuchowski (Biometrics 53:567-578,
1997), which equals DeLong's where each patient has one case.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cmrbias.statistics.auc import binary_auc
from cmrbias.statistics.distributions import two_sided_z
from cmrbias.statistics.inputs import patient_numbers
from cmrbias.statistics.interval import Interval
from cmrbias.statistics.ranks import midranks


@dataclass(frozen=True)
class AucCovariance:
    """AUCs of several scores of the same cases, and how they vary together.

    Attributes:
        aucs: (C,) float64.
        covariance: (C, C) float64; NaN where a group has only one patient.
    """

    aucs: np.ndarray
    covariance: np.ndarray

    def combination(self, weights: np.ndarray) -> tuple[float, float]:
        """Returns value and variance of the ``weights`` (C,) combination: a mean, a difference."""
        used = np.flatnonzero(weights)
        part = self.covariance[np.ix_(used, used)]
        return float(weights @ self.aucs), float(weights[used] @ part @ weights[used])


def auc_covariance(scores: np.ndarray, outcomes: np.ndarray, patients: np.ndarray) -> AucCovariance:
    """Returns the AUC of each column and their covariance over patients.

    Columns may be classes, one against the others, or models; they share cases and patients. With X the
    patient's sum over its positives of (share of negatives outscored - AUC) and Y likewise over its
    negatives, Obuchowski's variance is

        I10 / (I10 - 1) sum X^2 / m^2 + I01 / (I01 - 1) sum Y^2 / n^2 + 2 I / (I - 1) sum X Y / (m n)

    for m positives in I10 patients, n negatives in I01, I patients in all. Between columns, products of
    sums over different sets of cases take the factor I / (I - 1), as X Y does; those over the same set its
    own, also where one column's positives are the other's negatives. So two classes whose scores are p and
    1 - p have one variance, which is their covariance and that of their mean.

    Args:
        scores: (N, C) finite float64.
        outcomes: (N, C) bool, both values in each column.
        patients: (N,) integer codes.
    """
    numbers = patient_numbers(patients, len(scores))
    count = int(numbers.max()) + 1
    columns = range(scores.shape[1])
    parts = [_placements(scores[:, c], outcomes[:, c], numbers, count) for c in columns]
    positive, negative = (np.stack(side, axis=1) for side in zip(*parts, strict=True))  # (patients, C)
    same = (outcomes[:, :, None] == outcomes[:, None, :]).all(axis=0)
    opposite = (outcomes[:, :, None] != outcomes[:, None, :]).all(axis=0)
    everyone = _correction(np.array(count))
    with_positive = np.array([np.unique(numbers[outcomes[:, c]]).size for c in columns])
    with_negative = np.array([np.unique(numbers[~outcomes[:, c]]).size for c in columns])
    crossed = positive.T @ negative * np.where(opposite, _correction(with_positive)[:, None], everyone)
    covariance = (
        positive.T @ positive * np.where(same, _correction(with_positive), everyone)
        + negative.T @ negative * np.where(same, _correction(with_negative), everyone)
        + crossed
        + crossed.T
    )
    return AucCovariance(np.array([binary_auc(scores[:, c], outcomes[:, c]) for c in columns]), covariance)


def pooled_covariance(scores: np.ndarray, outcomes: np.ndarray, patients: np.ndarray) -> AucCovariance:
    """Returns the micro AUC of each model and their covariance: all (case, class) scores pooled.

    A patient's scores are one cluster (Obuchowski 1997): they are correlated, and taken as independent
    they would give an interval some 20 % too narrow.

    Args:
        scores: (N, K, M) float64, of M models.
        outcomes: (N, K) bool.
        patients: (N,) integer codes.
    """
    cases, classes, models = scores.shape
    flat = np.repeat(outcomes.reshape(-1, 1), models, axis=1)
    return auc_covariance(scores.reshape(cases * classes, models), flat, np.repeat(patients, classes))


def auc_interval(auc: float, variance: float, how: str, level: float = 0.95) -> Interval:
    """Returns ``auc`` plus or minus z standard errors, cut off at 0 and 1."""
    half = two_sided_z(level) * math.sqrt(max(variance, 0.0))  # NaN stays NaN
    return Interval(float(np.maximum(auc - half, 0.0)), float(np.minimum(auc + half, 1.0)), how, level)


def _placements(
    scores: np.ndarray, outcomes: np.ndarray, numbers: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Each patient's X / m and Y / n (see ``auc_covariance``): twice (count,) float64."""
    positives, negatives = int(outcomes.sum()), int((~outcomes).sum())
    ranks = midranks(scores)
    outscored = (ranks[outcomes] - midranks(scores[outcomes])) / negatives
    outscoring = 1 - (ranks[~outcomes] - midranks(scores[~outcomes])) / positives
    auc = binary_auc(scores, outcomes)
    return (
        np.bincount(numbers[outcomes], outscored - auc, count) / positives,
        np.bincount(numbers[~outcomes], outscoring - auc, count) / negatives,
    )


def _correction(patients: np.ndarray) -> np.ndarray:
    """I / (I - 1), NaN for one patient."""
    factor: np.ndarray = patients / np.where(patients > 1, patients - 1, np.nan)
    return factor
