"""Overlap over seeds, by hand: two patients, one with two cases, a map that vanished."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cmrbias.studies.overlaps import GAUSSIAN, HALF_WIDTH, Maps, above_gaussian, overlap, read_maps

HEADER = "case,patient,frame,method,map,class,label,predicted,aks,dsc,normalised-aks,chance,ceiling,aks-5mm"
ROWS = [  # case, patient, frame, map, class, label, predicted, aks
    ("c1", "p1", "ED", "model", "A", "A", "A", "0.2"),
    ("c1", "p1", "ES", "model", "A", "A", "A", "0.4"),
    ("c2", "p1", "ED", "model", "A", "A", "A", "0.5"),
    ("c2", "p1", "ES", "model", "A", "A", "A", ""),  # it vanished
    ("c3", "p2", "ED", "model", "A", "B", "A", "0.1"),
    ("c3", "p2", "ED", "model", "B", "B", "A", "0.9"),  # of the true class
    ("c3", "p2", "ES", "model", "A", "B", "A", "0.3"),
    ("c1", "p1", "ED", GAUSSIAN, "", "A", "A", "0.1"),
    ("c1", "p1", "ES", GAUSSIAN, "", "A", "A", "0.1"),
    ("c2", "p1", "ED", GAUSSIAN, "", "A", "A", "0.1"),
    ("c2", "p1", "ES", GAUSSIAN, "", "A", "A", "0.1"),
    ("c3", "p2", "ED", GAUSSIAN, "", "B", "A", "0.2"),
    ("c3", "p2", "ES", GAUSSIAN, "", "B", "A", "0.2"),
]


def written(folder: Path, shift: float = 0.0) -> Maps:
    folder.mkdir()
    lines = [f"{HEADER},map_height,map_width"]
    for case, patient, frame, map, name, label, predicted, aks in ROWS:
        value = "" if aks == "" else repr(float(aks) + shift)
        scores = ",".join([value] * 3 + ["0.05", "0.8", value])
        lines.append(f"{case},{patient},{frame},gradcam,{map},{name},{label},{predicted},{scores},7,7")
    (folder / "overlap.csv").write_text("\n".join(lines) + "\n")
    return read_maps(folder)


@pytest.fixture
def seeds(tmp_path: Path) -> list[Maps]:
    return [written(tmp_path / "a"), written(tmp_path / "b", shift=0.05)]


def test_frames_then_cases_then_seeds_then_patients(seeds: list[Maps]) -> None:
    found = overlap(seeds, "aks", resamples=20)
    first = [np.mean([0.3, 0.5]), 0.2]  # p1: c1 is 0.3, c2 has one defined frame
    assert found.estimate.value == pytest.approx(np.mean(first) + 0.025)
    assert found.spread.mean == pytest.approx(np.mean(first) + 0.025)
    assert found.spread.sd == pytest.approx(np.std([0.0, 0.05], ddof=1))
    assert found.half == pytest.approx(np.std(first, ddof=1))
    assert (found.estimate.n, found.undefined) == (2, 0)


def test_vanished_maps_may_count_0(seeds: list[Maps]) -> None:
    found = overlap(seeds[:1], "aks", undefined=0.0, resamples=20)
    assert found.estimate.value == pytest.approx(np.mean([np.mean([0.3, 0.25]), 0.2]))


def test_maps_of_the_true_class_are_others(seeds: list[Maps]) -> None:
    found = overlap(seeds[:1], "aks", target="true", resamples=20)
    assert found.estimate.value == pytest.approx(np.mean([0.4, 0.9]))


def test_cases_of_one_class(seeds: list[Maps]) -> None:
    found = overlap(seeds[:1], "aks", label="B", resamples=20)
    assert (found.estimate.value, found.estimate.n) == (pytest.approx(0.2), 1)


def test_half_widths_are_those_of_t(seeds: list[Maps]) -> None:
    from scipy import stats

    found = overlap(seeds[:1], "dsc", kind=HALF_WIDTH, resamples=20)
    expected = stats.t.ppf(0.975, 1) * np.std([0.4, 0.2], ddof=1) / np.sqrt(2)
    assert found.half == pytest.approx(expected)


def test_the_gaussian_is_paired_and_vanished_maps_count_0(seeds: list[Maps]) -> None:
    found = above_gaussian(seeds[:1], resamples=20)
    assert found.value == pytest.approx(np.mean([np.mean([0.2, np.mean([0.4, -0.1])]), 0.0]))


def test_scores_of_wider_masks_are_read_where_there_are_any(seeds: list[Maps]) -> None:
    assert overlap(seeds[:1], "aks-5mm", resamples=20).estimate.value == pytest.approx(0.3)
    assert "aks-10mm" not in seeds[0].scores
    assert seeds[0].size == (7, 7)
