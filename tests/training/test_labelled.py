"""Which cases train, which validate, which are left out, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from cmrbias.api import CmrbiasError
from cmrbias.cohorts.format import Cohort
from cmrbias.inputs import InputMode
from cmrbias.training.cases import Cases
from cmrbias.training.labelled import labelled


def test_the_validation_part_is_a_fifth_of_each_class_and_shares_no_patient(make_cohort):
    patients = [f"p{i // 2}" for i in range(40)]
    cohort = make_cohort([("A", "B")[i // 2 % 2] for i in range(40)], patients)
    data = labelled(cohort, None, (), False, 0.2)
    assert data.classes == ("A", "B")
    assert data.counts(data.training).tolist() == [16, 16]
    assert data.counts(data.validation).tolist() == [4, 4]
    of = np.array(patients)
    assert not set(of[data.training]) & set(of[data.validation])
    assert sorted([*data.training, *data.validation]) == list(range(40))
    again = labelled(cohort, "label", (), False, 0.2)
    assert np.array_equal(again.validation, data.validation)


def test_without_a_validation_part_all_train(make_cohort):
    data = labelled(make_cohort("AABB"), None, (), False, 0.0)
    assert len(data.validation) == 0
    assert data.labels.tolist() == [0, 0, 1, 1]
    assert data.notes() == ["training cases: A 2, B 2"]


def test_cases_with_an_incomplete_mask_are_left_out_of_masked_modes_and_counted(make_cohort):
    cohort = make_cohort("AABBAB", incomplete=[(0, 1), (3, 0), (3, 1)])
    assert len(labelled(cohort, None, (), False, 0.0).cases) == 6
    data = labelled(cohort, None, (), True, 0.0)
    assert data.cases.case.tolist() == [1, 2, 4, 5]
    assert data.labels.tolist() == [0, 1, 0, 1]
    assert data.incomplete == {"ED": 1, "ES": 2}
    assert data.notes()[-1] == "left out: 2 training cases with an incomplete heart mask (ED 1, ES 2)"
    only_ed = labelled(cohort, None, ("ED",), True, 0.0)
    assert only_ed.cases.case.tolist() == [0, 1, 2, 4, 5]


def test_test_patients_take_no_part(small_cohort):
    cohort = Cohort.open(small_cohort)
    data = labelled(cohort, None, (), False, 0.2)
    assert set(cohort.column("split")[data.cases.case]) == {"train"}


def test_what_cannot_be_classified_is_one_line(make_cohort):
    def refused(message, cohort, column=None, frames=(), masked=False):
        with pytest.raises(CmrbiasError, match=message) as told:
            labelled(cohort, column, frames, masked, 0.2)
        assert "\n" not in str(told.value)

    refused(r"unknown label column 'lable': did you mean 'label'\?", make_cohort("AABB"), "lable")
    refused(
        "'label' is empty in 2 of 5 training rows \\(case c1, c3\\)", make_cohort(["A", "", "B", "", "B"])
    )
    refused("column 'label': class 'B' has a single training patient", make_cohort("AAAB"))
    twice = make_cohort("AABB", ["p", "q", "r", "r"])
    refused("class 'B' has a single training patient", twice)
    refused("expected training cases of two classes or more, found A", make_cohort("AAA"))
    refused("this cohort has no heart masks", make_cohort("AABB", masks=False), masked=True)
    none = make_cohort("AABB", incomplete=[(i, 1) for i in range(4)])
    refused(r"no training case has complete heart masks \(MYO\+LV\) in ED and ES", none, masked=True)
    refused("unknown frame 'EX': did you mean", make_cohort("AABB"), frames=("EX",))
    refused("images differ in size", make_cohort("AABB", sizes=(10, 11)))
    refused("holds no labels to classify", make_cohort("AABB", targets={}))
    binary = {"label": {"kind": "binary", "uncertain": -1}}
    refused(r"column 'label': .* found 0 with and 2 without", make_cohort("000", targets=binary), "label")
    refused("'other' is no target; binary ones: label", make_cohort("0011", targets=binary), "label,other")


def test_findings_are_yes_no_or_masked(make_cohort):
    target = {"label": {"kind": "binary", "uncertain": -1}}
    labels = ["1", "0", "-1", "", "1", "0"]
    data = labelled(make_cohort(labels, targets=target), None, (), False, 0.0)
    assert (data.kind, data.target, data.classes) == ("binary", "label", ("label",))
    np.testing.assert_array_equal(data.labels[:, 0], [1, 0, np.nan, np.nan, 1, 0])
    assert data.notes() == ["training cases: label 2 yes, 2 no, 2 masked"]
    target["label"]["missing"] = 0  # as CheXpert has it: what is not mentioned is not there
    data = labelled(make_cohort(labels, targets=target), None, (), False, 0.0)
    np.testing.assert_array_equal(data.labels[:, 0], [1, 0, np.nan, 0, 1, 0])


def test_a_fraction_is_drawn_by_patient_and_leaves_the_validation_part_alone(make_cohort):
    patients = [f"p{i // 2}" for i in range(40)]
    targets = {"label": {"kind": "binary", "uncertain": -1}}
    cohort = make_cohort([("0", "1")[i // 2 % 2] for i in range(40)], patients, targets=targets)
    whole = labelled(cohort, None, (), False, 0.2)
    draws = [labelled(cohort, None, (), False, 0.2, 0.25, draw) for draw in range(3)]
    of = np.array(patients)
    for data in draws:
        assert np.array_equal(data.validation, whole.validation)
        assert set(data.training) < set(whole.training)
        assert len(data.training) == 8  # 4 of 16 patients, both images of each
        assert len(set(of[data.training])) == 4
        assert data.counts(data.training).tolist() == [4]
    assert len({tuple(data.training) for data in draws}) == 3
    again = labelled(cohort, None, (), False, 0.2, 0.25, 1)
    assert np.array_equal(again.training, draws[1].training)


def test_images_and_masks_of_chosen_frames_in_their_order(make_cohort):
    cohort = make_cohort("AABB", incomplete=[(1, 1)])
    cases = Cases(cohort, np.array([1, 3]), ("ES", "ED"))
    images = cases.images(np.array([1, 0]))
    assert images.shape == (2, 2, 12, 10)
    assert images[:, :, 0, 0].mul(255).round().tolist() == [[17, 16], [7, 6]]
    assert cases.masks(np.array([0, 1])).sum((2, 3)).tolist() == [[0, 6], [8, 6]]  # empty where incomplete


def test_what_is_shown_is_scaled_and_what_is_masked_is_minus_one(make_cohort):
    cases = Cases(make_cohort("AABB"), np.arange(4), ("ED", "ES"))
    shown = cases.shown(np.array([2]), InputMode("heart"), 12)
    assert shown.shape == (1, 2, 1, 12, 12)
    assert shown.min() == -1
    assert (shown > -1).flatten(2).any(2).all()
    full = cases.shown(np.array([2, 0]), InputMode(), 12)
    assert full[:, :, 0, 5, 5].add(1).mul(255 / 2).round().tolist() == [[11, 12], [1, 2]]
    swapped = cases.shown(np.array([2]), InputMode("swap-same-class"), 12, donors=np.array([0]))
    assert swapped[0, 1, 0, 0, 0] == full[1, 1, 0, 0, 0]
