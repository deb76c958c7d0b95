"""AKS by diagnosis, adjusted for how large the hearts are: larger hearts are easier to hit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cmrbias.statistics import Estimate, Interval, average_seeds
from cmrbias.statistics.distributions import t_quantile
from cmrbias.statistics.interval import estimate, few
from cmrbias.studies.overlaps import Maps, classes_of, patients_of


def adjusted_means(seeds: Sequence[Maps], level: float = 0.95) -> dict[str, Estimate]:
    """Returns each class's mean AKS at the mean mask area, by least squares of AKS on class and area.

    Patients with cases of several classes take no part.

    Args:
        seeds: one model's maps of the same cases.
        level: of the t intervals.
    """
    rows = [one.chosen() for one in seeds]
    patients = patients_of(seeds, rows)
    scores = average_seeds(
        np.stack([m.by_patient("aks", r, patients) for m, r in zip(seeds, rows, strict=True)])
    )
    area = seeds[0].by_patient("chance", rows[0], patients)
    names, labels = classes_of(seeds[0], rows[0], patients)
    known = (labels < len(names)) & ~(np.isnan(scores) | np.isnan(area))
    scores, area, labels = scores[known], area[known], labels[known]
    classes, number = np.unique(labels, return_inverse=True)
    free = len(scores) - len(classes) - 1
    if free < 1 or np.ptp(area) == 0:
        return {}
    design = np.column_stack([np.eye(len(classes))[number], area - area.mean()])
    inverse = np.linalg.pinv(design.T @ design)
    fitted = inverse @ design.T @ scores
    variance = ((scores - design @ fitted) ** 2).sum() / free * np.diagonal(inverse)
    half = t_quantile((1 + level) / 2, free) * np.sqrt(variance)
    found = {}
    for k, name in enumerate(names[classes].tolist()):
        size = int((number == k).sum())
        interval = Interval(float(fitted[k] - half[k]), float(fitted[k] + half[k]), "t, least squares", level)
        found[name] = estimate(float(fitted[k]), size, (interval,), few(size))
    return found
