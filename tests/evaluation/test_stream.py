"""Cases as a classifier is shown them: in order, in the mode, with their masks, one batch at a time."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

from cmrbias import Cohort
from cmrbias.cohorts.writer import CohortWriter
from cmrbias.evaluation.stream import stream_cases
from cmrbias.inputs import InputMode
from cmrbias.training.cases import Cases


@pytest.fixture
def cases(small_cohort: Path) -> Cases:
    cohort = Cohort.open(small_cohort)
    return Cases(cohort, cohort.cases(), ("ES", "ED"))


@pytest.mark.parametrize("batch", [1, 5, 12, 99])
def test_all_cases_come_once_and_in_order_however_they_are_batched(cases: Cases, batch: int) -> None:
    parts = list(stream_cases(cases, InputMode(), 48, batch=batch, masks=True))
    assert np.concatenate([part.rows for part in parts]).tolist() == list(range(12))
    stored = cases.cohort.images(np.arange(12))[:, ::-1]  # ES first, as asked for
    shown = torch.cat([part.images for part in parts])[:, :, 0]
    torch.testing.assert_close(shown, torch.as_tensor(stored.copy()) / 255 * 2 - 1, atol=1e-6, rtol=0)
    hearts = torch.cat([part.masks for part in parts])
    assert torch.equal(hearts, torch.as_tensor(cases.cohort.masks(np.arange(12))[:, ::-1] != 0))


def test_masks_lie_where_the_hearts_lie_in_resampled_images(cases: Cases) -> None:
    (part,) = stream_cases(cases, InputMode("silhouette"), 31, masks=True)
    assert part.images.shape == (12, 2, 1, 31, 31)
    agree = (part.images[:, :, 0] > 0) == part.masks
    assert agree.double().mean() > 0.99
    assert part.masks.double().mean() == pytest.approx(np.pi * 10**2 / 48**2, rel=0.1)


def test_some_rows_come_in_the_order_in_which_they_are_asked_for(cases: Cases) -> None:
    whole = next(stream_cases(cases, InputMode("heart"), 48)).images
    parts = list(stream_cases(cases, InputMode("heart"), 48, np.array([7, 2, 9]), batch=2))
    assert [part.rows.tolist() for part in parts] == [[7, 2], [9]]
    assert torch.equal(torch.cat([part.images for part in parts]), whole[[7, 2, 9]])


def test_masks_are_not_read_unless_wanted(cases: Cases) -> None:
    (part,) = stream_cases(cases, InputMode(), 48)
    assert part.masks is None


def test_donors_follow_their_rows_through_batches(cases: Cases) -> None:
    donors = np.roll(np.arange(12), 5)
    mode = InputMode("swap-other-class")
    whole = torch.cat([part.images for part in stream_cases(cases, mode, 48, donors=donors)])
    split = torch.cat([part.images for part in stream_cases(cases, mode, 48, donors=donors, batch=5)])
    assert torch.equal(whole, split)
    corner = cases.cohort.images(donors)[:, ::-1, 0, 0] / 255 * 2 - 1
    np.testing.assert_allclose(whole[:, :, 0, 0, 0], corner, atol=1e-6)


def cohort_of(path: Path, count: int) -> Cohort:
    with CohortWriter(
        path, name="many", frames=("ED",), structures=("LV",), targets={}, preparation={}, provenance={}
    ) as writer:
        image, mask = np.arange(64 * 64, dtype=np.uint8).reshape(1, 64, 64), np.full((1, 64, 64), 3, np.uint8)
        for number in range(count):
            writer.add({"case": f"c{number}", "patient": f"p{number}", "split": "test"}, image, mask)
    return Cohort.open(path)


def test_more_cases_take_no_more_memory(tmp_path: Path) -> None:
    """What numpy holds at its peak, and which of torch's batches are alive."""
    peaks = []
    for count in (40, 400):
        cohort = cohort_of(tmp_path / str(count), count)
        cases = Cases(cohort, cohort.cases("test"), ("ED",))
        alive: list[weakref.ref[torch.Tensor]] = []
        tracemalloc.start()
        for part in stream_cases(cases, InputMode("heart"), 64, masks=True, batch=8):
            gc.collect()
            alive = [reference for reference in alive if reference() is not None]
            assert len(alive) <= 1
            alive.append(weakref.ref(part.images))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
