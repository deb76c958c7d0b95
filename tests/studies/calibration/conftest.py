"""Points that were made up, so that what is to be found is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cmrbias.studies.calibration.points import BG_GAP, MEASURES, NONE, Figure, Point


def figure(value: float) -> Figure:
    return Figure(value, value - 0.05, value + 0.05)


@pytest.fixture(scope="session")
def make_points() -> Callable[..., list[Point]]:
    """Returns a function that makes points of two models: one relies on the cue by its strength, one never.

    AKS falls and BG-gap rises with reliance, by much or not at all; the other measures are noise.
    """

    def make(replicates: dict[float, int], seed: int = 0) -> list[Point]:
        rng = np.random.default_rng(seed)
        found = []
        for strength, count in replicates.items():
            for replicate in range(count):
                for model in ("full", "heart"):
                    for shown in ("full", "heart") if model == "heart" else ("full",):
                        reliance = 0.05 + (0.7 * strength if model == "full" else 0) + rng.uniform(0, 0.02)
                        measures = {name: figure(rng.uniform(0.4, 0.6)) for name in MEASURES}
                        measures["AKS"] = figure(0.8 - reliance + rng.uniform(0, 0.01))
                        measures[BG_GAP] = figure(reliance) if shown == "full" else NONE
                        known = (figure(0.8), figure(reliance), figure(reliance / 2), figure(0.1))
                        named = ("local-far", strength, replicate, model, shown)
                        found.append(Point(*named, strength, 30, *known, measures))
        return found

    return make
