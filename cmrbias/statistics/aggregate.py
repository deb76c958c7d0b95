"""From scores of saliency maps (a row a case and frame) to a mean over patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmrbias.errors import CmrbiasError
from cmrbias.resampling import patient_strata
from cmrbias.statistics.inputs import patient_numbers
from cmrbias.statistics.interval import Estimate
from cmrbias.statistics.mean import mean_estimate


@dataclass(frozen=True)
class Aggregate:
    """A mean over patients, and what could not enter it.

    Attributes:
        mean: over patients with a defined map; undefined maps are left out.
        mean_with_zeros: over all patients, undefined maps counting 0: a model whose maps vanish must not
            look better for it.
        sd: standard deviation of the patients' scores around ``mean``; NaN for fewer than two.
        n: patients in ``mean``.
        n_undefined: patients without a defined map.
        maps: rows by frame.
        undefined: rows by frame whose score is NaN.
    """

    mean: Estimate
    mean_with_zeros: Estimate
    sd: float
    n: int
    n_undefined: int
    maps: dict[str, int]
    undefined: dict[str, int]


def patient_means(values: np.ndarray, cases: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """Returns one score a patient, in ascending order of their codes: (P,) float64, NaN where undefined.

    A case's score is the mean over its defined frames; it is defined if one of them is. A patient's is
    the mean over its defined cases.

    Args:
        values: (R,) float64, a row a case and frame, NaN where undefined.
        cases, patients: (R,) integer codes of each row.

    Raises:
        CmrbiasError: a case with rows of two patients.
    """
    number, of_case = patient_numbers(cases, len(values)), patient_numbers(patients, len(values))
    owner = np.zeros(int(number.max(initial=-1)) + 1, np.int64)
    owner[number] = of_case
    for row in np.flatnonzero(owner[number] != of_case)[:1]:
        raise CmrbiasError(
            f"expected all rows of a case to be of one patient, found case {cases[row]} with patient "
            f"{patients[row]} in row {row} and with another elsewhere: give cases distinct codes"
        )
    return _group_means(_group_means(values, number), owner)


def aggregate(
    values: np.ndarray,
    cases: np.ndarray,
    patients: np.ndarray,
    frames: np.ndarray,
    names: Sequence[str],
    labels: np.ndarray | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Aggregate:
    """Returns mean, counts and intervals of an overlap score.

    For one frame alone (ED apart from ES), give its rows alone. A frame without a mask is no row here:
    NaN means that the map gave no score.

    Args:
        values: (R,) float64, a row a case and frame, NaN where undefined.
        cases, patients: (R,) integer codes.
        frames: (R,) integers in [0, len(names)).
        names: the frames'.
        labels: (R,) class of each row from 0, within which patients are resampled; None: one stratum.
        resamples, seed: of the bootstrap.
    """
    undefined = np.isnan(values)
    scores = patient_means(values, cases, patients)
    filled = patient_means(np.where(undefined, 0.0, values), cases, patients)
    strata = None
    if labels is not None:
        numbers = patient_numbers(patients, len(values))
        strata = patient_strata(labels, numbers, int(labels.max(initial=-1)) + 1)
    known = scores[~np.isnan(scores)]
    maps = np.bincount(frames, minlength=len(names)).tolist()
    missing = np.bincount(frames[undefined], minlength=len(names)).tolist()
    mean = mean_estimate(scores, strata, resamples, seed)
    return Aggregate(
        mean=mean,
        mean_with_zeros=mean_estimate(filled, strata, resamples, seed) if undefined.any() else mean,
        sd=float(known.std(ddof=1)) if len(known) > 1 else float("nan"),
        n=len(known),
        n_undefined=len(scores) - len(known),
        maps=dict(zip(names, maps, strict=True)),
        undefined=dict(zip(names, missing, strict=True)),
    )


def _group_means(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Means over the values that are not NaN; NaN for a group without any."""
    known = ~np.isnan(values)
    count = int(groups.max(initial=-1)) + 1
    sums = np.bincount(groups[known], values[known], count)
    sizes = np.bincount(groups[known], minlength=count)
    means: np.ndarray = sums / np.where(sizes > 0, sizes, np.nan)
    return means
