"""The comparison of saliency scores: all ways agree, every row is there, a difference is found."""

import pytest
import torch

from cmrbias.benchmarks import saliency


def test_rows_hold_times_over_ours():
    tasks = dict(saliency.compare(images=4, repeats=1))
    from_maps = ["maps -> five scores", "maps -> AKS, DSC", "maps -> AKS, DSC, masks projected before"]
    loop = "; in a loop over one way"
    all_tasks = ["A, G -> five scores", *from_maps]
    assert list(tasks) == [f"{task}{more}" for task in all_tasks for more in ("", loop)]
    for rows in tasks.values():
        assert [row.way for row in rows[:2]] == ["cmrbias", "torch eager"]
        assert rows[0].ratio == 1
    for task in ("A, G -> five scores", *from_maps[:2]):
        ours, least = tasks[task][0], tasks[task][-1]
        assert least.way == "bytes / bandwidth"
        assert least.ratio == pytest.approx(least.milliseconds / ours.milliseconds)


def test_ways_that_differ_are_not_timed():
    right, wrong = (torch.tensor([0.5]),), (torch.tensor([0.6]),)
    with pytest.raises(AssertionError, match=r"torch eager: score 0 differs in 100\.0% of rows"):
        saliency.timed({"cmrbias": lambda: right, "torch eager": lambda: wrong}, 1)


def test_all_sizes_and_numbers_of_images():
    assert [n for n, _, _ in saliency.growth((1, 3), 1)] == [1, 3]
    assert len(saliency.sizes(1)) == 8
    assert set(saliency.small_call(1)) == {"gradcam", "overlap", "gradcam_overlap"}
