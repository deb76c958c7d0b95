"""The swap's comparison: its ways agree, its rows say what they should, its report has all of them."""

import re

import pytest

from cmrbias.benchmarks.swap import compare, discs, report


def test_rows_hold_times_over_ours():
    tasks = dict(compare(cases=4, frames=2, size=32, repeats=3))
    assert set(tasks) == {"fill=donor", "fill=mean", "fill=inpaint", "fill=donor, align=centroid"}
    for rows in tasks.values():
        assert (rows[0].way, rows[0].ratio, rows[-1].way) == ("cmrbias", 1, "bytes / bandwidth")
        for row in rows:
            assert row.ratio == pytest.approx(row.milliseconds / rows[0].milliseconds)
    assert [row.way for row in tasks["fill=donor"]] == ["cmrbias", "torch.where", "bytes / bandwidth"]


def test_the_least_time_counts_every_byte_once(monkeypatch):
    monkeypatch.setattr("cmrbias.benchmarks.swap.bandwidth", lambda **_: 1e9)
    (_, rows), *_ = compare(cases=4, frames=1, size=32, repeats=1)
    assert rows[-1].milliseconds == pytest.approx(4 * 32 * 32 * (4 + 4 + 1) / 1e9 * 1000)


def test_a_way_that_computes_something_else_is_caught(monkeypatch):
    monkeypatch.setattr("cmrbias.benchmarks.swap.background_swap", lambda images, *_: images)
    with pytest.raises(AssertionError, match="not close"):
        compare(cases=4, size=32, repeats=1)


def test_hearts_are_a_twentieth_of_the_frame():
    assert discs(8, 2, 64).float().mean().item() == pytest.approx(0.05, abs=0.005)


def test_the_report_has_one_and_two_frames_with_malloc_tuned_and_as_it_is():
    lines = list(report(cases=2, size=16, repeats=1))
    assert [line for line in lines if line.startswith(("1 ", "2 "))] == [
        "1 frame(s) a case, malloc tuned",
        "1 frame(s) a case, malloc as it is",
        "2 frame(s) a case, malloc tuned",
        "2 frame(s) a case, malloc as it is",
    ]
    assert sum(bool(re.fullmatch(r"    torch.where +\d+\.\d\d +\d+\.\d\d", line)) for line in lines) == 4
