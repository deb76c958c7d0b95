"""Means adjusted for mask area, and strata, of patients some of whom have cases of two classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cmrbias.studies.adjusted import adjusted_means
from cmrbias.studies.column import Column
from cmrbias.studies.overlaps import Maps, classes_of, difference, overlap


def maps(rows: np.ndarray, seed: int = 0) -> Maps:
    """Fourteen cases of twelve patients in the given order: p00 and p01 have one of HCM and one of ICM."""
    rng = np.random.default_rng(seed)
    label = np.array(["HCM"] * 6 + ["ICM"] * 8)[rows]
    patient = np.array([f"p{i:02d}" for i in (*range(12), 0, 1)])[rows]
    scores = {"aks": rng.random(14)[rows], "chance": (0.04 + 0.01 * rng.random(14))[rows]}
    case, all_alike = np.array([f"c{i:02d}" for i in range(14)])[rows], np.full(14, "ED")
    return Maps(case, patient, all_alike, np.full(14, "model"), label, label, label, scores, (7, 7))


@pytest.fixture
def orders() -> list[np.ndarray]:
    return [np.arange(14), np.arange(14)[::-1], np.random.default_rng(3).permutation(14)]


def test_patients_of_several_classes_take_no_part(orders: list[np.ndarray]) -> None:
    """Least squares on the ten other patients, whatever the order of the rows."""
    whole = maps(orders[0])
    pure = np.arange(2, 12)
    aks, area = whole.scores["aks"][pure], whole.scores["chance"][pure]
    hcm = pure < 6
    design = np.column_stack([hcm, ~hcm, area - area.mean()]).astype(float)
    expected = np.linalg.lstsq(design, aks, rcond=None)[0]
    for order in orders:
        found = adjusted_means([maps(order)])
        assert [(name, each.n) for name, each in found.items()] == [("HCM", 4), ("ICM", 6)]
        assert [each.value for each in found.values()] == pytest.approx(expected[:2])


def test_such_patients_are_counted(orders: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    for order in orders:
        monkeypatch.setattr(Column, "maps", lambda self, order=order: [maps(order)])
        assert Column((), Path(), 20).of_several_classes == 2


def test_a_patient_of_several_classes_is_of_a_stratum_of_its_own_kind(orders: list[np.ndarray]) -> None:
    for order in orders:
        found = maps(order)
        patients = np.unique(found.patient)
        names, labels = classes_of(found, found.chosen(), np.append(patients, "p99"))
        assert names.tolist() == ["HCM", "ICM"]
        assert labels.tolist() == [2, 2, *[0] * 4, *[1] * 6, 2]  # p99 has no row


def test_intervals_do_not_depend_on_the_order_of_rows(orders: list[np.ndarray]) -> None:
    for measure in (
        lambda order: overlap([maps(order)], "aks", resamples=200),
        lambda order: difference([maps(order)], [maps(order, seed=1)], "aks", resamples=200),
    ):
        ends = [(e.interval.low, e.interval.high) for e in (measure(order).estimate for order in orders)]
        assert ends[1:] == [pytest.approx(ends[0])] * 2
