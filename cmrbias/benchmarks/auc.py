"""``bootstrap_auc`` against a loop over scikit-learn and against vectorised numpy, on the same resamples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cmrbias.benchmarks.timing import Row, milliseconds, milliseconds_in_loops
from cmrbias.errors import MissingExtra
from cmrbias.ops import bootstrap_auc, bootstrap_auc_reference
from cmrbias.resampling import PatientDraws, patient_strata

__all__ = ["compare", "growth", "report", "sample"]


def sample(cases: int, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Returns scores (cases, classes) float32, one SD higher in the case's class, labels and patients."""
    labels = torch.arange(cases) % classes
    scores = torch.randn(cases, classes, generator=torch.Generator().manual_seed(0))
    return scores + torch.eye(classes)[labels], labels, torch.arange(cases)


def compare(
    cases: int = 500, classes: int = 4, resamples: int = 2000, looped: int = 200, repeats: int = 21
) -> list[tuple[str, list[Row]]]:
    """Returns the median times of micro and macro AUC of all resamples, ours first: in turn, and in a loop.

    numpy's way is ``bootstrap_auc_reference``: negatives ranked once, their weights cumulated, a gather at
    each positive, a chunk of resamples that fits a cache at a time.

    Args:
        cases: one a patient.
        classes: 2 or more.
        resamples: for ours and numpy.
        looped: resamples that scikit-learn does; its time is scaled up to all of them.
        repeats: calls of each; scikit-learn's loop runs once, for the first table.

    Raises:
        MissingExtra: scikit-learn is not installed.
        AssertionError: the ways do not agree.
    """
    arguments = (*sample(cases, classes), resamples)
    loop = _sklearn_loop(*arguments[:3], looped)
    ours, theirs = bootstrap_auc(*arguments), bootstrap_auc_reference(*arguments)
    for part, other in zip(ours.resampled, theirs.resampled, strict=True):
        assert torch.equal(part, other), "numpy does not agree"
    both = np.stack([ours.resampled.micro, ours.resampled.macro], 1)[:looped]
    np.testing.assert_allclose(both, loop(), rtol=1e-12, err_msg="scikit-learn does not agree")

    calls = {
        "cmrbias": partial(bootstrap_auc, *arguments),
        "numpy, vectorised": partial(bootstrap_auc_reference, *arguments),
    }
    in_turn, alone = milliseconds(calls, repeats), milliseconds_in_loops(calls, repeats)
    name = "scikit-learn, loop" + (f" (from {looped})" if looped < resamples else "")
    in_turn[name] = milliseconds({name: loop}, 1)[name] * resamples / looped
    return [
        (order, [Row(way, time, time / times["cmrbias"]) for way, time in times.items()])
        for order, times in (("ways in turn", in_turn), ("in a loop over one way", alone))
    ]


def growth(cases: Sequence[int], classes: int = 4, resamples: int = 2000, repeats: int = 5) -> list[Row]:
    """Returns our median time for each number of cases; the ratio is to the first of them."""
    times = []
    for count in cases:
        arguments = (*sample(count, classes), resamples)
        times.append(milliseconds({"": partial(bootstrap_auc, *arguments)}, repeats)[""])
    return [Row(f"{count} cases", time, time / times[0]) for count, time in zip(cases, times, strict=True)]


def report(
    cases: int = 500,
    classes: int = 4,
    resamples: int = 2000,
    looped: int = 200,
    repeats: int = 21,
    threads: int | None = None,
) -> Iterator[str]:
    """Yields a table's lines: all ways, then our time across numbers of cases."""
    if threads is not None:
        torch.set_num_threads(threads)
    shape = f"{classes} classes, {resamples} resamples"
    yield (
        f"bootstrap AUC of {cases} cases, {shape}, {torch.get_num_threads()} thread(s): "
        "ms, and how many times ours"
    )
    for order, rows in compare(cases, classes, resamples, min(looped, resamples), repeats):
        yield f" {order}"
        for way, time, ratio in rows:
            yield f"  {way:32}{time:10.2f}{ratio:10.1f}"
    yield f"cmrbias across cases, {shape}: ms, and how many times the first"
    for way, time, ratio in growth((500, 1_500, 5_000, 15_000, 50_000), classes, resamples):
        yield f"  {way:32}{time:10.2f}{ratio:10.1f}"


def _sklearn_loop(
    scores: Tensor, labels: Tensor, patients: Tensor, resamples: int
) -> Callable[[], NDArray[np.float64]]:
    """Returns what computes the micro and macro AUC of each resample, (resamples, 2), with scikit-learn."""
    try:
        from sklearn.metrics import roc_auc_score
    except ModuleNotFoundError:
        raise MissingExtra("scikit-learn", "test", "the comparison of bootstrap_auc") from None
    classes = scores.shape[1]
    strata = patient_strata(labels.numpy(), patients.numpy(), classes)
    resampled = PatientDraws(strata, resamples).indices(0, resamples)  # one case a patient
    outcomes, values = np.eye(classes)[labels.numpy()], scores.numpy()

    def loop() -> NDArray[np.float64]:
        return np.array([
            [roc_auc_score(outcomes[cases], values[cases], average=way) for way in ("micro", "macro")]
            for cases in resampled
        ])  # fmt: skip

    return loop
