"""Agreements and error rates, against scipy, scikit-learn and by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binomtest, pearsonr, spearmanr
from sklearn.metrics import roc_auc_score

from cmrbias.studies.calibration.points import BG_GAP, Figure, Point
from cmrbias.studies.calibration.rates import agreement, detected, null_replicates, rates

Make = Callable[..., list[Point]]


def test_agreements_are_scipy_s_and_scikit_learn_s(make_points: Make) -> None:
    points = [p for p in make_points({0.0: 6, 0.5: 6, 0.95: 6}) if p.shown == "full"]
    reliance = np.array([p.reliance.value for p in points])
    for measure, sign in (("AKS", -1), ("DSC", -1), (BG_GAP, 1)):
        values = np.array([p.measures[measure].value for p in points])
        found = agreement(points, measure, 0.2)
        assert found is not None
        assert (found.points, found.replicates, found.above) == (36, 18, 12)
        assert found.pearson.value == pytest.approx(pearsonr(values, reliance).statistic)
        assert found.spearman.value == pytest.approx(spearmanr(values, reliance).statistic)
        assert found.auroc is not None
        assert found.auroc.value == pytest.approx(roc_auc_score(reliance > 0.2, sign * values))
    assert agreement(points, "AKS", 0.2).auroc.value == 1  # type: ignore[union-attr]


def test_intervals_resample_replicates_whole(make_points: Make) -> None:
    points = [p for p in make_points({0.0: 8, 0.95: 8}) if p.shown == "full"]
    found = agreement(points, "DSC", 0.2)
    repeated = [dataclasses.replace(p, model=f"{p.model} again") for p in points]
    twice = agreement([*points, *repeated], "DSC", 0.2)
    assert found is not None
    assert twice is not None
    assert twice.points == 2 * found.points
    assert twice.spearman.interval.low == pytest.approx(found.spearman.interval.low)
    assert twice.spearman.n == found.spearman.n == 16
    assert "resamples of replicates" in found.spearman.interval.how


def test_no_area_where_none_or_all_are_above_the_cut(make_points: Make) -> None:
    points = make_points({0.0: 4})
    for cut in (0.9, 0.0):
        assert agreement(points, "AKS", cut).auroc is None  # type: ignore[union-attr]
    assert agreement(points[:2], "AKS", 0.1) is None


def test_detections_and_false_alarms(make_points: Make) -> None:
    points = make_points({0.0: 20, 0.95: 10})
    assert null_replicates(points) == 20
    for measure in ("AKS", BG_GAP):
        found = {(rate.model, rate.of): rate for rate in rates(points, measure, 0.2)}
        caught = found["full", "strength 0.95"]
        assert (caught.hits, caught.n) == (10, 10)
        exact = binomtest(10, 10).proportion_ci(method="exact")
        assert (caught.interval.low, caught.interval.high) == pytest.approx((exact.low, exact.high))
        assert found["full", "strength 0"].hits == 1  # of 20: the most suspicious of the null itself
        assert found["heart", "strength 0.95"].hits <= 3
        assert found["any", "strength > 0, reliance > 0.2"].hits == 10
        assert found["any", "strength > 0, reliance <= 0.2"].n == (20 if measure == "AKS" else 10)
    noise = {(rate.model, rate.of): rate for rate in rates(points, "DSC", 0.2)}
    assert noise["full", "strength 0.95"].hits <= 4
    assert not any(rate.model == "heart, shown heart" for rate in rates(points, BG_GAP, 0.2))


def test_no_rates_with_fewer_than_20_null_replicates(make_points: Make) -> None:
    assert rates(make_points({0.0: 19, 0.95: 30}), "AKS", 0.2) == []


@pytest.mark.parametrize(("measure", "beyond", "within"), [("AKS", -1.0, 0.5), (BG_GAP, 40.0, 18.5)])
def test_the_null_s_quantile_is_on_the_suspicious_side(
    make_points: Make, measure: str, beyond: float, within: float
) -> None:
    (point, *_) = make_points({0.0: 1})

    def with_value(value: float) -> Point:
        return dataclasses.replace(point, measures={measure: Figure(value, value, value)})

    null = [with_value(float(value)) for value in range(20)]
    assert detected(with_value(beyond), null, measure)
    assert not detected(with_value(within), null, measure)
    assert not detected(with_value(0.0 if measure == "AKS" else 19.0), null, measure)
    assert not detected(with_value(beyond), null[:18], measure)  # 5 % of 19 is less than one


def test_a_further_value_of_the_null_is_detected_at_5_percent_at_most(make_points: Make) -> None:
    rng = np.random.default_rng(0)
    (point, *_) = make_points({0.0: 1})
    hits = 0
    for _ in range(1000):
        values = rng.standard_normal(25)
        some = [dataclasses.replace(point, measures={"AKS": Figure(v, v, v)}) for v in values]
        hits += detected(some[0], some[1:], "AKS")
    assert 0.02 < hits / 1000 < 0.06  # 1 / 25
