"""Does the heart's brightness alone tell the diagnosis? Context that scaling leaves in the heart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmrbias.cohorts.format import Cohort

_PERMUTATIONS = 500


@dataclass(frozen=True)
class ContextAuc:
    """How well one number of the heart's pixels tells a target.

    Attributes:
        target, frame: of which column and frame.
        measure: ``mean`` or ``sd`` of the stored intensities inside the heart mask.
        auc: one-vs-rest, each class's max(AUC, 1 - AUC), averaged over the classes.
        chance: the 99 % quantile of ``auc`` when labels are permuted.
        patients: how many went in, one case each.
    """

    target: str
    frame: str
    measure: str
    auc: float
    chance: float
    patients: int

    @property
    def notable(self) -> bool:
        """Whether it tells more than chance."""
        return self.auc > self.chance

    @property
    def sentence(self) -> str:
        """The finding in words."""
        return (
            f"the {self.measure} of the heart's intensities in {self.frame} tells {self.target!r}: AUC "
            f"{self.auc:.3f} (99 % of chance below {self.chance:.3f}, {self.patients} patients)"
        )


def context_aucs(cohort: Cohort, mean: np.ndarray, spread: np.ndarray) -> list[ContextAuc]:
    """Returns the AUC of the heart's mean and SD for each target and frame.

    Only complete masks count, and of each patient the first case that has one.

    Args:
        cohort: gives targets, patients and which masks are complete.
        mean, spread: (N, frames) float64, NaN where a mask is empty.
    """
    found = []
    complete = cohort.complete() & np.isfinite(mean)
    patients = cohort.codes("patient")[0]
    for target, kind in cohort.targets.items():
        codes, values = cohort.codes(target)
        known = (codes >= 0) & ~np.isin(codes, _uncertain(kind.get("uncertain"), values))
        for position, frame in enumerate(cohort.frames):
            rows = np.flatnonzero(known & complete[:, position])
            rows = rows[np.unique(patients[rows], return_index=True)[1]]
            labels = np.unique(codes[rows], return_inverse=True)[1]
            if len(rows) == 0 or labels.max() == 0:
                continue
            for measure, numbers in (("mean", mean), ("sd", spread)):
                auc, chance = _with_chance(numbers[rows, position], labels)
                found.append(ContextAuc(target, frame, measure, auc, chance, len(rows)))
    return found


def one_vs_rest_aucs(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns each class's AUC against the others: (classes,) float64, ties counting one half.

    Args:
        scores: (N,) finite.
        labels: (N,) int64 from 0; every class up to the largest has a case, and there are two.
    """
    return _aucs(_ranks(scores), labels)


def _with_chance(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Returns the macro average of max(AUC, 1 - AUC), and its 99 % quantile by permutation."""
    ranks = _ranks(scores)
    generator = np.random.default_rng(0)
    null = [_either_way(_aucs(ranks, generator.permutation(labels))) for _ in range(_PERMUTATIONS)]
    return _either_way(_aucs(ranks, labels)), float(np.quantile(null, 0.99))


def _either_way(aucs: np.ndarray) -> float:
    return float(np.maximum(aucs, 1 - aucs).mean())


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Ranks from 1, the mean rank for ties."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: np.ndarray = (last - (counts - 1) / 2)[inverse]
    return ranks


def _aucs(ranks: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The Mann-Whitney statistic of each class, from rank sums."""
    inside = np.bincount(labels).astype(np.float64)
    sums = np.bincount(labels, weights=ranks)
    aucs: np.ndarray = (sums - inside * (inside + 1) / 2) / (inside * (len(labels) - inside))
    return aucs


def _uncertain(value: object, values: list[str]) -> list[int]:
    return [values.index(str(value))] if str(value) in values else []
