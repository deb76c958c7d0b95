"""What a calibration writes: a row a point, tables, a figure; what it says where replicates are few."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cmrbias.studies.calibration.design import MODELS
from cmrbias.studies.calibration.figure import COLOURS, draw_calibration
from cmrbias.studies.calibration.points import Figure, Point
from cmrbias.studies.calibration.report import Calibration, calibrate, text, write_calibration


def calibrated(points: list[Point]) -> Calibration:
    return calibrate(points, 0.2, {"preset": "made up"}, ["a note"])


def test_files(make_points: Callable[..., list[Point]], tmp_path: Path) -> None:
    points = make_points({0.0: 20, 0.95: 4})
    write_calibration(calibrated(points), tmp_path)
    with (tmp_path / "calibration.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(points) == 24 * 3
    assert (rows[1]["model"], rows[1]["shown"], rows[1]["strength"]) == ("heart", "full", "0.0")
    assert float(rows[0]["AKS low"]) == points[0].measures["AKS"].low
    assert (rows[2]["shown"], rows[2]["BG-gap"]) == ("heart", "")
    stored = json.loads((tmp_path / "calibration.json").read_text())
    assert stored["settings"] == {"preset": "made up"}
    assert stored["points"][0]["reliance"]["value"] == points[0].reliance.value
    assert {a["measure"] for a in stored["agreements"]} == {"AKS", "normalised AKS", "DSC", "lift", "BG-gap"}
    assert stored["agreements"][0]["points"] == 48  # under input full
    assert stored["rates"][0]["interval"]["how"] == "Clopper-Pearson"
    found = (tmp_path / "calibration.md").read_text()
    assert "- a note" in found
    assert "## local-far: detections and false alarms, beyond the null's 5 % quantile" in found
    assert "| AKS | full | strength 0.95 | 4 of 4 | 1.000 |" in found


def test_few_replicates_are_said_and_have_no_rates(make_points: Callable[..., list[Point]]) -> None:
    calibration = calibrated(make_points({0.0: 2, 0.95: 2}))
    assert calibration.rates == []
    lines = list(text(calibration))
    assert "local-far: too few replicates for error rates: 2 at strength 0, at least 20 needed" in lines
    assert not any("false alarms" in line for line in lines)


def test_the_figure_has_points_and_rates(make_points: Callable[..., list[Point]], tmp_path: Path) -> None:
    from matplotlib.image import imread

    assert COLOURS.keys() == MODELS.keys()
    path = tmp_path / "calibration.png"
    draw_calibration(calibrated(make_points({0.0: 20, 0.95: 2})), path)
    pixels = imread(path)[..., :3]
    assert pixels.shape[1] > 1500
    half = pixels.shape[0] // 2
    blue = np.abs(pixels - (0, 0x72 / 255, 0xB2 / 255)).max(2) < 0.1
    assert blue[:half].any()
    assert blue[half:].any()  # the second line of panels, of the rates


def test_a_doubtful_estimate_has_the_interval_that_holds() -> None:
    estimate = {
        "value": 0.0,
        "intervals": [{"low": 0.0, "high": 0.0}],
        "doubts": ["zero width"],
        "fallback": {"low": 0.0, "high": 0.2},
    }
    assert Figure.of(estimate) == Figure(0.0, 0.0, 0.2)
    assert Figure.of({**estimate, "doubts": []}) == Figure(0.0, 0.0, 0.0)
