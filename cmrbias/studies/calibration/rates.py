"""What a measure is worth: how it goes with reliance, and how often it would be wrong.

Points of one replicate share phantom and patients, so that resampling takes replicates whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cmrbias.resampling import PatientDraws
from cmrbias.statistics import Estimate, correlation
from cmrbias.statistics.auc_statistic import weighted_auc
from cmrbias.statistics.bootstrap import Statistic, bootstrap
from cmrbias.statistics.correlation import correlation_statistic
from cmrbias.statistics.interval import Interval, estimate, few
from cmrbias.statistics.proportions import clopper_pearson_interval
from cmrbias.studies.calibration.points import SUSPICIOUS, Point

ENOUGH = 20  # replicates at strength 0 from which error rates are told
NULL_QUANTILE = 0.05
RESAMPLES = 2000


@dataclass(frozen=True)
class Agreement:
    """How a measure goes with reliance over the models and replicates of one cue.

    Attributes:
        cue, measure: which.
        points, replicates: how many.
        pearson, spearman: with reliance. A good measure of suspicion is at -1, BG-gap at 1.
        auroc: of the measure, on its suspicious side, for reliance above the cut; None where no point,
            or every one, is above it.
        above: points above the cut.
    """

    cue: str
    measure: str
    points: int
    replicates: int
    pearson: Estimate
    spearman: Estimate
    auroc: Estimate | None
    above: int


@dataclass(frozen=True)
class Rate:
    """How often a measure calls a model suspicious: beyond the null's 5 % quantile.

    Attributes:
        cue, measure: which.
        model: of which models; ``any`` stands for all.
        of: of which replicates: a strength (at 0: false alarms, each replicate held against the other
            ones), or those with reliance above the cut (detections) or not above it (false alarms).
        hits, n: suspicious ones among so many.
        interval: Clopper and Pearson's, as if all were independent.
        reliance: their mean.
    """

    cue: str
    measure: str
    model: str
    of: str
    hits: int
    n: int
    interval: Interval
    reliance: float


def agreement(points: Sequence[Point], measure: str, cut: float) -> Agreement | None:
    """Returns how a measure goes with reliance over points of one cue; None for fewer than three."""
    known = [p for p in points if np.isfinite(p.measures[measure].value)]
    if len(known) < 3:
        return None
    values = np.array([p.measures[measure].value for p in known])
    reliance = np.array([p.reliance.value for p in known])
    phantoms = sorted({p.phantom for p in known})
    numbers = np.array([phantoms.index(p.phantom) for p in known])
    relies = reliance > cut
    area = None
    if 0 < relies.sum() < len(relies):
        statistic = weighted_auc(SUSPICIOUS[measure] * values, relies, numbers)
        area = _estimate(lambda weights: statistic(weights)[:, None], numbers)
    return Agreement(
        cue=known[0].cue,
        measure=measure,
        points=len(known),
        replicates=len(phantoms),
        pearson=_correlation(values, reliance, "pearson", numbers),
        spearman=_correlation(values, reliance, "spearman", numbers),
        auroc=area,
        above=int(relies.sum()),
    )


def _correlation(x: np.ndarray, y: np.ndarray, kind: str, numbers: np.ndarray) -> Estimate:
    """Returns the correlation with a bootstrap over replicates before Fisher's interval."""
    statistic = correlation_statistic(x, y, kind)  # type: ignore[arg-type]
    clustered = _estimate(lambda weights: statistic(weights[:, numbers]), numbers)
    fisher = correlation(x, y, kind).interval  # type: ignore[arg-type]
    alone = replace(fisher, how=f"{fisher.how}, as if points were independent")
    intervals = (*clustered.intervals, alone)
    return estimate(clustered.value, clustered.n, intervals, few(clustered.n, "replicates"), alone)


def _estimate(statistic: Statistic, numbers: np.ndarray) -> Estimate:
    count = int(numbers.max()) + 1
    found = bootstrap(statistic, PatientDraws(np.zeros(count, np.int64), RESAMPLES))
    intervals = (_of_replicates(found.percentile()), _of_replicates(found.bca()))
    return estimate(float(found.point[0]), count, intervals, few(count, "replicates"))


def _of_replicates(interval: Interval) -> Interval:
    """The bootstrap says that it resamples patients; here each is a replicate."""
    return replace(interval, how=interval.how.replace("patients", "replicates"))


def null_replicates(points: Sequence[Point]) -> int:
    """Returns how many replicates there are at strength 0."""
    return len({p.phantom for p in points if p.strength == 0})


def rates(points: Sequence[Point], measure: str, cut: float) -> list[Rate]:
    """Returns detections and false alarms of a measure over the points of one cue.

    Each model under each test input has its own null: its points at strength 0. Models with fewer than
    ``ENOUGH`` of them are left out.
    """
    found, biased = [], []
    for model, shown in dict.fromkeys((p.model, p.shown) for p in points):
        mine = [p for p in points if (p.model, p.shown) == (model, shown)]
        mine = [p for p in mine if np.isfinite(p.measures[measure].value)]
        null = [p for p in mine if p.strength == 0]
        if len(null) < ENOUGH:
            continue
        flagged = [(p, detected(p, [q for q in null if q is not p], measure)) for p in mine]
        for strength in sorted({p.strength for p in mine}):
            these = [pair for pair in flagged if pair[0].strength == strength]
            name = model if shown == "full" else f"{model}, shown {shown}"
            found.append(_rate(these, measure, name, f"strength {strength:g}"))
        biased += [pair for pair in flagged if pair[0].strength > 0]
    relying = [pair for pair in biased if pair[0].reliance.value > cut]
    others = [pair for pair in biased if not pair[0].reliance.value > cut]
    for these, sign in ((relying, ">"), (others, "<=")):
        if these:
            found.append(_rate(these, measure, "any", f"strength > 0, reliance {sign} {cut:g}"))
    return found


def _rate(flagged: Sequence[tuple[Point, bool]], measure: str, model: str, of: str) -> Rate:
    hits, n = sum(hit for _, hit in flagged), len(flagged)
    mean = float(np.mean([p.reliance.value for p, _ in flagged]))
    interval = clopper_pearson_interval(hits, n)
    return Rate(flagged[0][0].cue, measure, model, of, hits, n, interval, mean)


def detected(point: Point, null: Sequence[Point], measure: str) -> bool:
    """Whether a measure passes the null's 5 % quantile on its suspicious side.

    The quantile is the k-th most suspicious of n null values, k = floor(0.05 (n + 1)): a further value
    of the null passes it with a probability of 5 % at most. With fewer than 19 none is detected.
    """
    sign = -SUSPICIOUS[measure]  # suspicious is low from here on
    values = sorted(sign * p.measures[measure].value for p in null)
    rank = int(NULL_QUANTILE * (len(values) + 1) + 1e-9)
    return rank > 0 and sign * point.measures[measure].value < values[rank - 1]
