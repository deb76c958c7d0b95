"""How well probabilities tell one finding: AUROC, AUPRC and log-loss, for any weights of patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cmrbias.resampling import PatientDraws, patient_strata
from cmrbias.statistics.auc_statistic import weighted_auc
from cmrbias.statistics.bootstrap import Replicates, Statistic, bootstrap
from cmrbias.statistics.inputs import patient_numbers
from cmrbias.statistics.interval import Estimate, estimate, few

MEASURES = ("AUROC", "AUPRC", "log-loss")
_LEAST = float(np.finfo(np.float64).eps)  # a probability of 0 counts as this in the log-loss


@dataclass(frozen=True)
class FindingScores:
    """What several runs of one model are worth on one finding, averaged.

    Attributes:
        estimates: by measure: the mean over the runs, with intervals over patients; the runs are averaged
            within each resample.
        spread: by measure: the SD over the runs, apart from the intervals; NaN for a single run.
        runs: how many there are.
    """

    estimates: dict[str, Estimate]
    spread: dict[str, float]
    runs: int


def finding_scores(
    probabilities: np.ndarray,
    outcomes: np.ndarray,
    patients: np.ndarray,
    resamples: int = 2000,
    seed: int = 0,
) -> FindingScores:
    """Returns the scores of R runs on N cases or studies.

    Args:
        probabilities: (R, N) float64 in [0, 1].
        outcomes: (N,) bool, with both values.
        patients: (N,) integer codes.
        resamples, seed: of the bootstrap over patients, stratified by outcome.
    """
    numbers = patient_numbers(patients, len(outcomes))
    statistics = [_measures(row, outcomes, numbers) for row in probabilities]
    found = bootstrap(_mean(statistics), _draws(outcomes, numbers, resamples, seed))
    once = np.ones((1, len(found.strata)), np.int64)
    each = np.concatenate([statistic(once) for statistic in statistics])  # (R, measures)
    spread = each.std(0, ddof=1) if len(each) > 1 else np.full(len(MEASURES), np.nan)
    return FindingScores(
        _estimates(found, outcomes, numbers), dict(zip(MEASURES, spread.tolist(), strict=True)), len(each)
    )


def finding_differences(
    first: np.ndarray,
    second: np.ndarray,
    outcomes: np.ndarray,
    patients: np.ndarray,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Returns by measure the ``first`` model less the ``second``, each averaged over its runs.

    Paired: both models see the same resamples of patients.

    Args:
        first: (R, N) float64, of the same N cases as ``second`` (S, N).
        second, outcomes, patients, resamples, seed: as in ``finding_scores``.
    """
    numbers = patient_numbers(patients, len(outcomes))
    ours, theirs = (_mean([_measures(row, outcomes, numbers) for row in rows]) for rows in (first, second))
    draws = _draws(outcomes, numbers, resamples, seed)
    found = bootstrap(lambda weights: ours(weights) - theirs(weights), draws)
    return _estimates(found, outcomes, numbers)


def weighted_average_precision(
    scores: np.ndarray, outcomes: np.ndarray, numbers: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the function from patient weights (B, P) int64 to average precisions (B,).

    NaN where none is positive. The sum over thresholds of (gain in recall) x precision, equal scores passing
    a threshold together, as in scikit-learn's ``average_precision_score``.

    Args:
        scores: (N,) finite.
        outcomes: (N,) bool.
        numbers: (N,) the cases' patients, numbered from 0 without gaps.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # the last of equal scores
    patient, positive = numbers[order], outcomes[order]

    def average_precision(weights: np.ndarray) -> np.ndarray:
        each = weights[:, patient]
        passed = np.cumsum(each, axis=1)[:, ends]
        hits = np.cumsum(each * positive, axis=1)[:, ends]
        gained = np.diff(hits, axis=1, prepend=0)
        summed = (gained * hits / np.maximum(passed, 1)).sum(axis=1)
        precision: np.ndarray = summed / np.where(hits[:, -1] > 0, hits[:, -1], np.nan)
        return precision

    return average_precision


def _measures(probabilities: np.ndarray, outcomes: np.ndarray, numbers: np.ndarray) -> Statistic:
    """Returns the function from patient weights (B, P) to ``MEASURES`` (B, 3) of one run."""
    auc = weighted_auc(probabilities, outcomes, numbers)
    precision = weighted_average_precision(probabilities, outcomes, numbers)
    of_outcome = np.where(outcomes, probabilities, 1 - probabilities)
    loss = -np.log(np.clip(of_outcome, _LEAST, 1.0))

    def statistic(weights: np.ndarray) -> np.ndarray:
        each = weights[:, numbers]
        return np.stack([auc(weights), precision(weights), each @ loss / each.sum(axis=1)], axis=1)

    return statistic


def _mean(statistics: Sequence[Statistic]) -> Statistic:
    return lambda weights: np.mean([statistic(weights) for statistic in statistics], axis=0)


def _draws(outcomes: np.ndarray, numbers: np.ndarray, resamples: int, seed: int) -> PatientDraws:
    return PatientDraws(patient_strata(outcomes.astype(np.int64), numbers, 2), resamples, seed)


def _estimates(found: Replicates, outcomes: np.ndarray, numbers: np.ndarray) -> dict[str, Estimate]:
    fewest = min(len(np.unique(numbers[outcomes == outcome])) for outcome in (False, True))
    doubts = few(fewest, "patients with one of the outcomes")
    return {
        name: estimate(
            float(found.point[column]),
            len(found.strata),
            (found.percentile(column), found.bca(column)),
            doubts,
        )
        for column, name in enumerate(MEASURES)
    }
