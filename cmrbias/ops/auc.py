"""``bootstrap_auc``: micro, macro and per-class AUC of a sample and of its bootstrap resamples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cmrbias.errors import CmrbiasError
from cmrbias.ops.extension import _C, check_floats, check_tensors, has_kernel, library, wrong
from cmrbias.resampling import PatientDraws, patient_strata

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

_CHUNK = 2**18  # weights of scores that the reference looks at together: what a cache holds


class AUC(NamedTuple):
    """One number, or one a resample, for each way to average over classes."""

    micro: Tensor  #: all (case, class) scores pooled
    macro: Tensor  #: mean over classes
    per_class: Tensor  #: one-vs-rest, classes last


class BootstrapAUC(NamedTuple):
    """AUCs of a sample and of its resamples."""

    sample: AUC  #: (), () and (K,) float64
    resampled: AUC  #: (B,), (B,) and (B, K) float64, NaN where skipped
    skipped: AUC  #: (), () and (K,) int64: resamples without both outcomes (macro: in some class)


def bootstrap_auc(
    scores: Tensor, labels: Tensor, patients: Tensor, resamples: int = 2000, seed: int = 0
) -> BootstrapAUC:
    """Returns AUCs of the sample and of resamples in which patients are drawn whole.

    Each resample draws as many patients as there are, with replacement, within strata: those of each class
    alone, and those of several classes. Patients of a multi-label target form one stratum. Draws are a
    function of seed, strata and patient codes (see ``PatientDraws``), not of scores or the order of cases:
    two models on the same patients are resampled alike, and their difference is paired.

    An AUC is (2 * pairs in order + tied pairs) / (2 * pairs), counted in integers, and one division: the
    same bits for any number of threads, and those of ``bootstrap_auc_reference``. Not differentiable.

    Args:
        scores: (N, K) float32, float64 or bfloat16, higher = rather that class. Infinities are ordered.
        labels: (N,) int64, each case's class, 0 to K - 1; with K = 1, the score of class 1, they are 0 or 1.
            Or multi-label, (N, K) bool or uint8, 0 or 1.
        patients: (N,) int64, any codes; patients * most cases of one * K must stay below 2**31.
        resamples: B, 1 to 2**31 - 1.
        seed: 0 to 2**63 - 1.

    Raises:
        CmrbiasError: an argument is not as above, a score is NaN, or a class has no case (of a multi-label
            target: no case with it, or none without it).

    Source: ties as in Mann and Whitney 1947; the clustered bootstrap of Davison and Hinkley 1997,
    section 3.8; the generator of Steele, Lea and Flood 2014 (SplitMix64).
    """
    _check(scores, labels, patients, resamples, seed)
    operator = torch.ops.cmrbias.bootstrap_auc.default
    return _results(operator(scores.detach(), labels, patients, resamples, seed))


def bootstrap_auc_reference(
    scores: Tensor, labels: Tensor, patients: Tensor, resamples: int = 2000, seed: int = 0
) -> BootstrapAUC:
    """Returns what ``bootstrap_auc`` does, in numpy."""
    _check(scores, labels, patients, resamples, seed)
    return _results(_reference(_sample(scores, labels, patients), resamples, seed))


def _results(aucs: Tensor) -> BootstrapAUC:
    """Names the rows (classes, micro, macro) and columns (sample, resamples) of (K + 2, 1 + B) AUCs."""
    sample, resampled = aucs[:, 0], aucs[:, 1:]
    parts = (sample, resampled, resampled.isnan().sum(1))
    return BootstrapAUC(*(AUC(part[-2], part[-1], part[:-2].movedim(0, -1)) for part in parts))


# --- arguments ------------------------------------------------------------------------------------


def _check(scores: Tensor, labels: Tensor, patients: Tensor, resamples: int, seed: int) -> None:
    """Checks all but values, at which nothing may look while torch compiles."""
    check_tensors(scores=scores, labels=labels, patients=patients)
    if scores.ndim != 2 or 0 in scores.shape:
        raise wrong("scores", "shape (N, K), at least one case and one class", tuple(scores.shape))
    check_floats("scores", scores)
    n, k = scores.shape
    if labels.shape not in ((n,), (n, k)):
        raise wrong("labels", f"shape ({n},), or ({n}, {k}) if multi-label", tuple(labels.shape))
    if labels.ndim == 1 and labels.dtype != torch.int64:
        raise wrong("labels", "int64, the class of each case", labels.dtype)
    if labels.ndim == 2 and labels.dtype not in (torch.bool, torch.uint8):
        raise wrong("labels", "bool or uint8, as they are multi-label", labels.dtype)
    if patients.shape != (n,):
        raise wrong("patients", f"shape ({n},)", tuple(patients.shape))
    if patients.dtype != torch.int64:
        raise wrong("patients", "int64", patients.dtype)
    for name, values in (("scores", scores), ("labels", labels), ("patients", patients)):
        if values.device.type != "cpu":
            raise wrong(name, "a tensor on the CPU (move it with .cpu())", values.device)
    for name, number, least, bits in (("resamples", resamples, 1, 31), ("seed", seed, 0, 63)):
        if not isinstance(number, int) or not least <= number < 2**bits:
            raise wrong(name, f"a whole number, {least} to 2**{bits} - 1", number)


class _Sample(NamedTuple):
    """Checked and prepared arguments."""

    scores: Doubles  # (N, K)
    positive: NDArray[np.bool_]  # (N, K): has the case the class?
    patient: Integers  # (N,), numbered from 0 in ascending order of codes
    strata: Integers  # (patients,)


def _sample(scores: Tensor, labels: Tensor, patients: Tensor) -> _Sample:
    """Checks values and returns the sample; runs outside what torch compiles."""
    values, classes, codes = scores.double().numpy(), labels.numpy(), patients.numpy()
    wrong_scores = np.isnan(values)
    if wrong_scores.any():
        row, column = np.argwhere(wrong_scores)[0]
        raise CmrbiasError(f"scores[{row}, {column}]: expected a number, got nan")
    count = max(values.shape[1], 2)
    positive = _multi_label(classes) if classes.ndim == 2 else _one_hot(classes, count)
    positive = positive[:, -values.shape[1] :]  # of one column, it is class 1
    patient = np.unique(codes, return_inverse=True)[1]
    sizes = np.bincount(patient)
    if len(sizes) * int(sizes.max()) * values.shape[1] >= 2**31:
        expected = "patients * most cases of one * classes below 2**31"
        raise wrong("patients", expected, f"{len(sizes)} * {sizes.max()} * {values.shape[1]}")
    strata = patient_strata(classes, patient, count)
    return _Sample(np.ascontiguousarray(values), np.ascontiguousarray(positive), patient, strata)


def _one_hot(classes: Integers, count: int) -> NDArray[np.bool_]:
    for row in np.flatnonzero((classes < 0) | (classes >= count))[:1]:
        raise CmrbiasError(f"labels[{row}]: expected a class, 0 to {count - 1}, got {classes[row]}")
    for missing in np.flatnonzero(np.bincount(classes, minlength=count) == 0)[:1]:
        raise wrong("labels", "at least one case of each class", f"none of class {missing}")
    one_hot: NDArray[np.bool_] = classes[:, None] == np.arange(count)
    return one_hot


def _multi_label(labels: NDArray[np.uint8 | np.bool_]) -> NDArray[np.bool_]:
    for row, column in np.argwhere(labels > 1)[:1]:
        raise CmrbiasError(f"labels[{row}, {column}]: expected 0 or 1, got {labels[row, column]}")
    positive = labels.astype(bool)
    for missing in np.flatnonzero(~positive.any(0))[:1]:
        raise wrong("labels", "at least one case with each class", f"none with class {missing}")
    for missing in np.flatnonzero(positive.all(0))[:1]:
        raise wrong("labels", "at least one case without each class", f"none without class {missing}")
    return positive


# --- the reference --------------------------------------------------------------------------------


def _reference(sample: _Sample, resamples: int, seed: int) -> Tensor:
    """Returns the (K + 2, 1 + B) AUCs, a chunk of resamples at a time."""
    step = max(1, _CHUNK // sample.scores.size)
    chunks = [_aucs(sample, np.ones((1, len(sample.strata)), np.int64))]
    for weights in PatientDraws(sample.strata, resamples, seed).weights():
        chunks += [_aucs(sample, weights[first : first + step]) for first in range(0, len(weights), step)]
    return torch.from_numpy(np.concatenate(chunks, axis=1))


def _aucs(sample: _Sample, weights: Integers) -> Doubles:
    """Returns the (K + 2, B) AUCs of samples that hold patients as often as (B, patients) weights say."""
    scores, positive, patient, _ = sample
    classes = scores.shape[1]
    rows = [_auc(scores[:, k], positive[:, k], patient, weights) for k in range(classes)]
    micro = _auc(scores.ravel(), positive.ravel(), np.repeat(patient, classes), weights)
    return np.stack([*rows, micro, sum(rows) / classes])


def _auc(scores: Doubles, positive: NDArray[np.bool_], patient: Integers, weights: Integers) -> Doubles:
    """Returns the AUC (B,) of some scores (M,), whose patients (M,) are held as often as weights say."""
    order = np.flatnonzero(~positive)
    order = order[np.argsort(scores[order])]
    below = np.zeros((len(weights), len(order) + 1), np.int64)  # negatives under the first, second, ...
    np.cumsum(weights[:, patient[order]], axis=1, out=below[:, 1:])
    held, found = weights[:, patient[positive]], scores[positive]
    lower, upper = (np.searchsorted(scores[order], found, side) for side in ("left", "right"))
    pairs = (held * (below[:, lower] + below[:, upper])).sum(1)
    every = 2 * held.sum(1) * below[:, -1]
    return np.where(every > 0, pairs / np.maximum(every, 1), np.nan)


# --- the operator ---------------------------------------------------------------------------------


def _operator(scores: Tensor, labels: Tensor, patients: Tensor, resamples: int, seed: int) -> Tensor:
    """Returns the (K + 2, 1 + B) AUCs of classes, micro and macro, of the sample and its resamples."""
    sample = _sample(scores, labels, patients)
    if not has_kernel(scores.device):
        return _reference(sample, resamples, seed)
    cases, classes = sample.scores.shape
    order = np.argsort(sample.scores, axis=None)  # torch takes three times as long
    sizes = np.bincount(sample.strata)
    place = np.empty_like(sample.strata)  # the kernel's patients are numbered stratum by stratum
    place[np.argsort(sample.strata, kind="stable")] = np.arange(len(place))
    patient = place[sample.patient]
    aucs = scores.new_empty((classes + 2, 1 + resamples), dtype=torch.float64)
    _C.bootstrap_auc_cpu(
        _C.BootstrapAuc(
            resamples=resamples,
            seed=seed,
            cases=cases,
            classes=classes,
            patients=len(place),
            strata=len(sizes),
            sizes=sizes.ctypes.data,
            weights=0,
            patient=patient.ctypes.data,
            scores=sample.scores.ctypes.data,
            positive=sample.positive.ctypes.data,
            order=order.ctypes.data,
            aucs=aucs.data_ptr(),
        )
    )
    return aucs


library.define(  # type: ignore[no-untyped-call]
    "bootstrap_auc(Tensor scores, Tensor labels, Tensor patients, SymInt resamples, SymInt seed) -> Tensor"
)
torch.library.impl("cmrbias::bootstrap_auc", "cpu", _operator, lib=library)
torch.library.register_fake(
    "cmrbias::bootstrap_auc",
    lambda scores, labels, patients, resamples, seed: scores.new_empty(
        (scores.shape[1] + 2, 1 + resamples), dtype=torch.float64
    ),
    lib=library,
)
