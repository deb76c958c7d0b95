"""Classes, split and random streams."""

import numpy as np
import pytest

from cmrbias.cohorts.phantom.patients import apportion, draw_classes, draw_split, stream


def test_apportion_follows_the_papers_cohort():
    assert apportion(1742, [412, 799, 227, 304]).tolist() == [412, 799, 227, 304]
    assert apportion(100, [412, 799, 227, 304]).tolist() == [24, 46, 13, 17]  # 23.65 45.87 13.03 17.45
    assert apportion(7, [1, 1, 1, 1, 1]).tolist() == [2, 2, 1, 1, 1]


@pytest.mark.parametrize("patients", [4, 5, 9, 33, 200])
def test_every_class_occurs_and_all_patients_have_one(patients):
    classes = draw_classes(patients, [412, 799, 227, 304], seed=1)
    assert len(classes) == patients
    assert set(classes) == {0, 1, 2, 3}


def test_the_split_is_70_to_30_in_every_class():
    classes = draw_classes(200, [412, 799, 227, 304], seed=2)
    split = draw_split(classes, seed=2)
    assert (split == "train").sum() == 140
    for label in range(4):
        members = split[classes == label]
        assert abs((members == "train").sum() - 0.7 * len(members)) < 1


def test_streams_are_apart():
    first = stream(0, "heart", 3).random(4)
    assert (first == stream(0, "heart", 3).random(4)).all()
    others = [stream(1, "heart", 3), stream(0, "body", 3), stream(0, "heart", 4)]
    assert all(not np.isin(other.random(4), first).any() for other in others)
