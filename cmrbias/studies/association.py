"""Does overlap go with accuracy? Over models, and case by case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cmrbias.statistics import (
    Estimate,
    Interval,
    PatientDraws,
    bootstrap,
    correlation,
    mean_statistic,
    partial_correlation,
    weighted_auc,
)
from cmrbias.statistics.bootstrap import Statistic, drawn_weights
from cmrbias.statistics.interval import estimate, few
from cmrbias.studies.column import Column
from cmrbias.studies.overlaps import Maps
from cmrbias.studies.predictions import Predictions, auc_statistic_of

FEW_MODELS = 10  # under so many points a figure is called descriptive
_PER_PATIENT = "percentile bootstrap, patients resampled, models fixed"


@dataclass(frozen=True)
class Point:
    """A model in a panel: means over seeds, and each seed's (S,)."""

    model: str
    x: float
    y: float
    x_seeds: np.ndarray
    y_seeds: np.ndarray


@dataclass(frozen=True)
class Panel:
    """Models as points.

    Attributes:
        title, x_label, y_label: of the panel and its axes.
        points: those models that have both numbers.
        pearson, spearman: over the models, Fisher's interval.
        pearson_patients, spearman_patients: the interval over patients; None if the models were not tested
            on the same patients.
    """

    title: str
    x_label: str
    y_label: str
    points: tuple[Point, ...]
    pearson: Estimate
    spearman: Estimate
    pearson_patients: Interval | None
    spearman_patients: Interval | None

    @property
    def descriptive(self) -> bool:
        """Whether there are too few models for more than a description."""
        return len(self.points) < FEW_MODELS


def panel(
    title: str,
    score: str,
    labels: tuple[str, str],
    models: Sequence[str],
    x: Sequence[Column],
    y: Sequence[Column],
) -> Panel:
    """Returns a panel: a score of the maps on the row of ``x`` against the micro AUC on that of ``y``.

    Args:
        title: of the panel.
        score: name of the score.
        labels: of the axes.
        models: their titles.
        x, y: a column a model. Where both are the same row, a resample takes the same patients for both.
    """
    points = []
    for model, over, under in zip(models, x, y, strict=True):
        overlap, auc = over.overlap(score), under.auc("micro")
        if np.isfinite([overlap.estimate.value, auc.estimate.value]).all():
            seeds = [_patient_mean(score, m) for m in over.maps()], [_micro(p) for p in under.predictions()]
            points.append(Point(model, overlap.estimate.value, auc.estimate.value, *map(np.array, seeds)))
    values = np.array([[p.x, p.y] for p in points]).reshape(-1, 2)
    kept = [models.index(p.model) for p in points]
    drawn = _replicates(score, [x[k] for k in kept], [y[k] for k in kept])
    return Panel(
        title,
        *labels,
        tuple(points),
        correlation(values[:, 0], values[:, 1], "pearson"),
        correlation(values[:, 0], values[:, 1], "spearman"),
        None if drawn is None else _interval(*drawn),
        None if drawn is None else _interval(_row_ranks(drawn[0]), _row_ranks(drawn[1])),
    )


def _replicates(score: str, x: Sequence[Column], y: Sequence[Column]) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns each resample's overlap and AUC of each model, (B, M) twice, undefined resamples left out."""
    over, under = _same_patients(x), _same_patients(y)
    if over is None or under is None:
        return None
    resamples = x[0].resamples
    together = np.array_equal(over.patient, under.patient)  # one draw for both axes
    first = PatientDraws(over.strata, resamples, 0)
    second = PatientDraws(under.strata, resamples, 0 if together else 1)
    names = np.unique(over.patient)
    overlaps = np.column_stack([_drawn(_overlap_statistic(score, c.maps(), names), first, 0) for c in x])
    micro = np.column_stack([_drawn(auc_statistic_of(c.predictions()), second, -2) for c in y])
    defined = np.isfinite(overlaps).all(axis=1) & np.isfinite(micro).all(axis=1)
    return overlaps[defined], micro[defined]


def _same_patients(columns: Sequence[Column]) -> Predictions | None:
    """Returns some predictions of the patients that all columns were tested on; None if they differ."""
    each = [column.predictions()[0] for column in columns]
    same = all(np.array_equal(one.patient, each[0].patient) for one in each)
    return each[0] if each and same else None


def _overlap_statistic(score: str, seeds: Sequence[Maps], patients: np.ndarray) -> Statistic:
    """Returns the function of patient weights that gives the mean over seeds and patients."""
    means = np.stack([one.by_patient(score, one.chosen(), patients) for one in seeds])
    known = (~np.isnan(means)).sum(axis=0)
    return mean_statistic(np.nansum(means, axis=0) / np.where(known > 0, known, np.nan))


def _drawn(statistic: Statistic, draws: PatientDraws, column: int) -> np.ndarray:
    return np.concatenate([statistic(weights)[:, column] for weights in drawn_weights(draws)])


def _row_ranks(values: np.ndarray) -> np.ndarray:
    """Returns each row's ranks (B, M), the mean rank for ties: few models, many resamples."""
    below = (values[:, :, None] > values[:, None, :]).sum(axis=2)
    equal = (values[:, :, None] == values[:, None, :]).sum(axis=2)
    ranks: np.ndarray = below + (equal + 1) / 2
    return ranks


def _interval(x: np.ndarray, y: np.ndarray, level: float = 0.95) -> Interval:
    """Returns the percentile interval of the correlation over models (B, M), from its resamples."""
    x, y = (values - values.mean(axis=1, keepdims=True) for values in (x, y))
    scale = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    found = ((x * y).sum(axis=1) / np.where(scale > 0, scale, np.nan))[scale > 0]
    if not len(found):
        return Interval(np.nan, np.nan, _PER_PATIENT, level)
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), _PER_PATIENT, level)


def _patient_mean(score: str, maps: Maps) -> float:
    rows = maps.chosen()
    values = maps.by_patient(score, rows, np.unique(maps.patient[rows]))
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan


def _micro(found: Predictions) -> float:
    whole = np.ones((1, int(found.numbers.max()) + 1), np.int64)
    return float(auc_statistic_of([found])(whole)[0, -2])


@dataclass(frozen=True)
class ByCase:
    """AKS and whether the decision is right, case by case, of one model on one row.

    Attributes:
        right, wrong: mean AKS of cases decided rightly and wrongly, of all seeds, patients resampled; None
            where there are none.
        auroc: of AKS for correctness, patients resampled; None where all are right or all wrong.
        adjusted: partial correlation of AKS and correctness given mask area and class; None if undefined.
    """

    right: Estimate | None
    wrong: Estimate | None
    auroc: Estimate | None
    adjusted: Estimate | None


def by_case(column: Column) -> ByCase:
    """Returns how AKS goes with being right."""
    pairs = [_cases(m, p) for m, p in zip(column.maps(), column.predictions(), strict=True)]
    patients = 1 + max(int(numbers.max(initial=0)) for _, _, numbers, *_ in pairs)
    draws = PatientDraws(np.zeros(patients, np.int64), column.resamples)
    of_right, of_wrong = (_mean_aks([(p[0], p[1] == side, p[2]) for p in pairs], draws) for side in (1, 0))
    statistics = [weighted_auc(p[0], p[1].astype(bool), p[2]) for p in pairs if 0 < p[1].sum() < len(p[1])]
    auroc = None
    if statistics:
        replicates = bootstrap(_mean_of(statistics), draws)
        right = np.concatenate([p[1] for p in pairs])
        doubts = few(int(min(right.sum(), (1 - right).sum())), "cases on a side")
        auroc = estimate(float(replicates.point[0]), len(draws.strata), (replicates.percentile(),), doubts)
    return ByCase(of_right, of_wrong, auroc, _adjusted(pairs))


def _mean_aks(
    seeds: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], draws: PatientDraws
) -> Estimate | None:
    """Returns the mean AKS of some cases of all seeds.

    Args:
        seeds: AKS (n,), which cases (n,) bool, and their patients' numbers (n,).
        draws: of the patients.
    """
    patients = len(draws.strata)
    counts = sum(np.bincount(of, some, patients) for _, some, of in seeds)
    sums = sum(np.bincount(of, aks * some, patients) for aks, some, of in seeds)
    if not np.any(counts):
        return None

    def statistic(weights: np.ndarray) -> np.ndarray:
        count = weights @ counts
        mean: np.ndarray = (weights @ sums / np.where(count > 0, count, np.nan))[:, None]
        return mean

    replicates, having = bootstrap(statistic, draws), int(np.count_nonzero(counts))
    return estimate(float(replicates.point[0]), having, (replicates.percentile(),), few(having))


def _mean_of(statistics: Sequence[Callable[[np.ndarray], np.ndarray]]) -> Statistic:
    def statistic(weights: np.ndarray) -> np.ndarray:
        mean: np.ndarray = np.mean([one(weights) for one in statistics], axis=0)[:, None]
        return mean

    return statistic


def _cases(maps: Maps, found: Predictions) -> tuple[np.ndarray, ...]:
    """Returns AKS, correctness, patient number, area and class of each case with a defined AKS, (n,) each."""
    rows = maps.chosen()
    names = np.unique(maps.case[rows])
    place = np.searchsorted(names, maps.case[rows])

    def mean(score: str) -> np.ndarray:
        values = maps.scores[score][rows]
        known = ~np.isnan(values)
        count = np.bincount(place[known], minlength=len(names))
        sums: np.ndarray = np.bincount(place[known], values[known], len(names)) / np.where(
            count, count, np.nan
        )
        return sums

    aks, area = mean("aks"), mean("chance")
    at = {case: i for i, case in enumerate(found.case.tolist())}
    kept = np.array([i for i, case in enumerate(names.tolist()) if case in at and np.isfinite(aks[i])], int)
    of = np.array([at[case] for case in names[kept].tolist()], int)
    return aks[kept], found.right[of].astype(float), found.numbers[of], area[kept], found.labels[of]


def _adjusted(pairs: Sequence[tuple[np.ndarray, ...]]) -> Estimate | None:
    """Returns the partial correlation of the first seed's cases: seeds are no further cases."""
    aks, right, _, area, labels = pairs[0]
    classes = np.unique(labels)[1:]
    if len(aks) < len(classes) + 6 or np.ptp(right) == 0:
        return None
    found = partial_correlation(aks, right, np.column_stack([area, labels[:, None] == classes]).astype(float))
    return found if np.isfinite(found.value) else None
