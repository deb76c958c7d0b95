"""What is said of a figure beside its null."""

from __future__ import annotations

import numpy as np
import pytest

from cmrbias.saliency.sanity import verdicts
from cmrbias.saliency.sanity.result import Null, Similarity
from cmrbias.statistics import Estimate, Interval, mean_estimate

NULL = Null(tuple(np.linspace(-0.1, 0.2, 10)))  # 95 % quantile: 0.2 - 0.45 / 30 = 0.185


def similarity(value: float, half: float = 0.05) -> Similarity:
    return Similarity(Estimate(value, 20, (Interval(value - half, value + half, "test"),)), 40, 3)


def test_the_null_is_the_quantile_of_the_defined_draws():
    assert NULL.quantile == pytest.approx(0.185)
    assert NULL.mean == pytest.approx(0.05)
    assert Null((*NULL.draws, float("nan"))).quantile == pytest.approx(0.185)
    assert np.isnan(Null((float("nan"),)).quantile)


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.19, "fails"), (0.18, "passes"), (float("nan"), "not assessed")]
)
def test_randomisation_fails_above_the_quantile(value, verdict):
    found = verdicts.randomisation("gradcam", "ssim", similarity(value), NULL)
    assert found.verdict == verdict
    assert found.sentence.startswith(verdict)


def test_maps_that_ignore_the_network_fail_though_random_networks_agree_as_much():
    found = verdicts.randomisation("edges", "spearman", similarity(1.0), Null((1.0,) * 10))
    assert found.verdict == "fails"
    high = verdicts.randomisation("blurred", "spearman", similarity(0.7), Null((0.8,) * 10))
    assert high.verdict == "passes"
    assert "much of any map is the image's" in high.sentence


@pytest.mark.parametrize(("value", "verdict"), [(0.24, "passes"), (0.23, "fails"), (0.1, "fails")])
def test_another_seed_must_agree_by_the_lower_end(value, verdict):
    assert verdicts.again("gradcam", "repeat", "ssim", similarity(value), NULL).verdict == verdict


def test_the_small_sample_interval_decides_where_there_is_one():
    few = mean_estimate(np.array([0.2, 0.2, 0.9]))
    assert few.interval.low > 0.185 > few.fallback.low
    found = verdicts.again("gradcam", "repeat", "ssim", Similarity(few, 3, 0), NULL)
    assert found.verdict == "fails"
