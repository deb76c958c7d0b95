"""How estimates read."""

from __future__ import annotations

import math

import numpy as np

from cmrbias.statistics import Estimate, Interval, mean_estimate
from cmrbias.statistics.interval import estimate

WIDE, NONE = Interval(0.7, 0.9, "percentile"), Interval(math.nan, math.nan, "BCa")


def test_a_reliable_one() -> None:
    found = estimate(0.8333, 120, (WIDE, NONE))
    assert str(found) == "0.833 (0.700 to 0.900)"
    assert found.sentence == "0.833 (95% interval 0.700 to 0.900, percentile; n = 120)"
    assert not found.unreliable


def test_an_unreliable_one_shows_its_fallback() -> None:
    found = estimate(0.8, 6, (WIDE,), ("6 patients, under 10",), Interval(0.5, 0.95, "Newcombe"))
    assert str(found) == "0.800 (0.700 to 0.900, unreliable; 0.500 to 0.950 by Newcombe)"
    assert found.sentence == (
        "0.800 (95% interval 0.700 to 0.900, percentile, unreliable; 0.500 to 0.950 by Newcombe; "
        "6 patients, under 10; n = 6)"
    )


def test_zero_width_is_never_bare() -> None:
    zero = Interval(1.0, 1.0, "percentile")
    assert str(estimate(1.0, 30, (zero,))) == "1.000 (zero width, unreliable)"
    found = estimate(1.0, 30, (zero,), fallback=Interval(0.9, 1.0, "Newcombe"))
    assert str(found) == "1.000 (zero width, unreliable; 0.900 to 1.000 by Newcombe)"


def test_no_interval_and_no_value() -> None:
    found = estimate(0.5, 1, (NONE,))
    assert str(found) == "0.500 (no interval, unreliable)"
    assert found.doubts == ("no interval",)
    assert str(Estimate(math.nan, 0, (NONE,))) == "undefined"


def test_an_interval_from_few_resamples_is_unreliable() -> None:
    def drawn(resamples: int | None) -> tuple[str, ...]:
        return estimate(0.5, 40, (Interval(0.4, 0.6, "percentile bootstrap", 0.95, resamples),)).doubts

    assert drawn(199) == ("only 199 resamples",)
    assert drawn(200) == drawn(None) == ()
    values = mean_estimate(np.arange(40.0), np.zeros(40, int), 3, 0)
    assert values.doubts == ("only 3 resamples",)
    assert not mean_estimate(np.arange(40.0), np.zeros(40, int), 200, 0).unreliable
