"""Scores of a finding against scikit-learn, weights as copies, runs averaged within a resample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from cmrbias.statistics.findings import (
    MEASURES,
    finding_differences,
    finding_scores,
    weighted_average_precision,
)


def made(runs: int = 3, cases: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    patients = rng.integers(0, 25, cases)
    outcomes = rng.random(cases) < 0.4
    logits = outcomes * 1.0 + rng.normal(size=(runs, cases))
    return np.round(1 / (1 + np.exp(-logits)), 2), outcomes, patients  # rounded: ties


def test_point_estimates_are_scikit_learns_averaged_over_runs() -> None:
    probabilities, outcomes, patients = made()
    found = finding_scores(probabilities, outcomes, patients, resamples=50)
    for name, metric in (
        ("AUROC", roc_auc_score),
        ("AUPRC", average_precision_score),
        ("log-loss", log_loss),
    ):
        each = [metric(outcomes, run) for run in probabilities]
        assert found.estimates[name].value == pytest.approx(np.mean(each), rel=1e-12)
        assert found.spread[name] == pytest.approx(np.std(each, ddof=1), rel=1e-9)
    assert found.runs == 3
    assert np.isnan(finding_scores(probabilities[:1], outcomes, patients, 20).spread["AUROC"])


@given(st.data())
def test_a_weight_is_that_many_copies_of_the_patient(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 12))
    scores = np.array(data.draw(st.lists(st.integers(0, 4), min_size=count, max_size=count))) / 4
    outcomes = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)))
    value = weighted_average_precision(scores, outcomes, np.arange(count))(weights[None])[0]
    copies = np.repeat(np.arange(count), weights)
    if outcomes[copies].any():
        assert value == pytest.approx(average_precision_score(outcomes[copies], scores[copies]))
    else:
        assert np.isnan(value)


def test_intervals_average_the_runs_within_each_resample() -> None:
    probabilities, outcomes, patients = made(runs=1)
    one = finding_scores(probabilities, outcomes, patients, 200)
    same = finding_scores(np.repeat(probabilities, 4, 0), outcomes, patients, 200)
    for name in MEASURES:  # copies of a run add no certainty and no spread
        assert same.estimates[name].interval.low == pytest.approx(one.estimates[name].interval.low)
        assert same.estimates[name].interval.high == pytest.approx(one.estimates[name].interval.high)
        assert same.spread[name] == pytest.approx(0, abs=1e-12)
        assert (
            one.estimates[name].interval.low < one.estimates[name].value < one.estimates[name].interval.high
        )


def test_differences_are_paired() -> None:
    probabilities, outcomes, patients = made()
    none = finding_differences(probabilities, probabilities[::-1], outcomes, patients, 100)
    assert none["AUROC"].value == pytest.approx(0, abs=1e-12)
    better = np.clip(probabilities + 0.2 * outcomes, 0, 1)
    less = finding_differences(better, probabilities, outcomes, patients, 100)
    assert less["AUROC"].interval.low > 0
    assert less["log-loss"].interval.high < 0


def test_few_patients_are_a_doubt() -> None:
    probabilities, outcomes, patients = made(cases=12)
    found = finding_scores(probabilities, outcomes, patients, 20)
    assert found.estimates["AUROC"].unreliable
    assert "under 10" in found.estimates["AUROC"].doubts[0]


def test_certainty_in_error_is_finite() -> None:
    found = finding_scores(np.array([[1.0, 0.0, 0.5]]), np.array([False, True, True]), np.arange(3), 10)
    assert np.isfinite(found.estimates["log-loss"].value)
