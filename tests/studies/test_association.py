"""Overlap against accuracy: correlations against scipy, and what a resample takes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from cmrbias.statistics import midranks
from cmrbias.studies.association import _row_ranks, by_case, panel
from cmrbias.studies.overlaps import Maps
from cmrbias.studies.predictions import Predictions, aucs

CLASSES = ("A", "B", "C")


def predictions(rng: np.random.Generator, skill: float, patients: int = 30) -> Predictions:
    labels = np.arange(patients) % 3
    logits = rng.normal(size=(patients, 3)) + skill * (labels[:, None] == np.arange(3))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    names = np.array([f"p{n:02d}" for n in range(patients)])
    return Predictions(CLASSES, names, names, np.arange(patients), labels, probabilities)


def maps(rng: np.random.Generator, found: Predictions, level: float, undefined: int = 0) -> Maps:
    """One frame a case; the AKS of the first ``undefined`` cases is NaN."""
    n = len(found.case)
    aks = np.clip(level + 0.1 * rng.normal(size=n), 0, 1)
    aks[:undefined] = np.nan
    names = np.array(CLASSES)
    predicted = names[found.probabilities.argmax(1)]
    scores = {"aks": aks, "dsc": aks / 2, "normalised-aks": aks, "chance": rng.uniform(0.03, 0.06, n)}
    return Maps(
        found.case, found.patient, np.full(n, "ED"), np.full(n, "model"), predicted, names[found.labels],
        predicted, scores, (7, 7),
    )  # fmt: skip


def column(rng: np.random.Generator, skill: float, level: float, seeds: int = 1, undefined: int = 0) -> Any:
    """What ``panel`` asks of a ``Column``."""
    from cmrbias.studies.overlaps import overlap

    said = [predictions(rng, skill) for _ in range(seeds)]
    seen = [maps(rng, one, level, undefined) for one in said]
    return SimpleNamespace(
        resamples=200,
        predictions=lambda: said,
        maps=lambda: seen,
        auc=lambda kind: aucs(said, 200)[kind],
        overlap=lambda score: overlap(seen, score, resamples=200),
    )


@pytest.fixture(scope="module")
def columns() -> list[Any]:
    rng = np.random.default_rng(22)
    return [column(rng, skill, 0.1 + 0.1 * skill, seeds=2) for skill in (0.0, 0.5, 1.0, 1.5, 2.0)]


def test_correlations_over_models_are_scipys(columns: list[Any]) -> None:
    found = panel("a", "aks", ("x", "y"), list("abcde"), columns, columns)
    x, y = ([getattr(point, axis) for point in found.points] for axis in "xy")
    assert found.pearson.value == pytest.approx(stats.pearsonr(x, y).statistic)
    assert found.spearman.value == pytest.approx(stats.spearmanr(x, y).statistic)
    assert found.descriptive
    interval = stats.pearsonr(x, y).confidence_interval(0.95)
    assert (found.pearson.interval.low, found.pearson.interval.high) == pytest.approx(tuple(interval))


def test_points_are_means_over_the_seeds(columns: list[Any]) -> None:
    found = panel("a", "aks", ("x", "y"), list("abcde"), columns, columns)
    point = found.points[2]
    assert point.x == pytest.approx(np.mean([np.nanmean(m.scores["aks"]) for m in columns[2].maps()]))
    micro = [
        roc_auc_score((p.labels[:, None] == np.arange(3)).ravel(), p.probabilities.ravel())
        for p in columns[2].predictions()
    ]
    assert point.y == pytest.approx(np.mean(micro))
    assert point.y_seeds == pytest.approx(micro)


def test_patients_are_drawn_once_for_both_axes() -> None:
    """If a model's AUC were its overlap, the correlation would be 1 in every resample."""
    rng = np.random.default_rng(23)
    same = []
    for skill in (0.0, 0.7, 1.4, 2.1):
        one = column(rng, skill, 0.5)
        said = one.predictions()[0]
        # each patient's overlap is its share of the pooled AUC's wins: linear in the same weights
        one.maps()[0].scores["aks"][:] = np.take_along_axis(said.probabilities, said.labels[:, None], 1)[:, 0]
        same.append(one)
    together = panel("a", "aks", ("x", "y"), list("abcd"), same, same)
    assert together.pearson_patients is not None
    assert together.pearson_patients.low > 0.9


def test_models_tested_on_other_patients_have_no_interval_over_patients(columns: list[Any]) -> None:
    rng = np.random.default_rng(24)
    fewer = column(rng, 1.0, 0.3)
    said = predictions(rng, 1.0, 27)
    seen = maps(rng, said, 0.3)
    fewer.predictions, fewer.maps = lambda: [said], lambda: [seen]
    found = panel("a", "aks", ("x", "y"), list("abcdef"), [*columns, fewer], [*columns, fewer])
    assert found.pearson_patients is None
    assert found.spearman_patients is None


def test_ranks_of_rows_are_midranks() -> None:
    values = np.random.default_rng(25).integers(0, 4, (20, 6)).astype(float)
    assert np.array_equal(_row_ranks(values), np.apply_along_axis(midranks, 1, values))


def test_by_case_is_sklearns_auroc_of_aks_for_being_right() -> None:
    one = column(np.random.default_rng(26), 1.0, 0.4, undefined=3)
    found = by_case(one)
    said, seen = one.predictions()[0], one.maps()[0]
    right, aks = said.right[3:], seen.scores["aks"][3:]
    assert found.auroc is not None
    assert found.auroc.value == pytest.approx(roc_auc_score(right, aks))
    assert found.right.value == pytest.approx(aks[right].mean())
    assert found.wrong.value == pytest.approx(aks[~right].mean())
    assert found.right.interval.low < found.right.value < found.right.interval.high
    given = np.column_stack([np.ones(27), seen.scores["chance"][3:], said.labels[3:, None] == [1, 2]]).astype(
        float
    )
    left = [v - given @ np.linalg.lstsq(given, v, rcond=None)[0] for v in (aks, right.astype(float))]
    assert found.adjusted is not None
    assert found.adjusted.value == pytest.approx(stats.pearsonr(*left).statistic)


def test_where_all_decisions_are_right_nothing_is_claimed() -> None:
    one = column(np.random.default_rng(27), 50.0, 0.4)
    found = by_case(one)
    assert found.wrong is None
    assert found.auroc is None
    assert found.adjusted is None
