"""Donors: another patient's, blind to labels in training, fixed for a test."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cmrbias import draws
from cmrbias.inputs import batch_donors, fixed_donors

PATIENTS = st.lists(st.integers(-1, 4), min_size=1, max_size=12).map(torch.tensor)


def keys(count, epoch=0, seed=0):
    return draws.keys(seed, epoch, torch.arange(count), 0)


@given(patients=PATIENTS, epoch=st.integers(0, 100))
def test_a_donor_is_another_known_patient_or_the_case_itself(patients, epoch):
    donors = batch_donors(keys(len(patients), epoch), patients)
    for row, donor in enumerate(donors.tolist()):
        others = (patients >= 0) & (patients != patients[row])
        if patients[row] < 0 or not others.any():
            assert donor == row
        else:
            assert others[donor]


@given(patients=PATIENTS, seed=st.integers(0, 1000))
def test_a_donor_does_not_depend_on_the_order_of_the_batch(patients, seed):
    drawn = keys(len(patients), seed=seed)
    order = torch.randperm(len(patients), generator=torch.Generator().manual_seed(seed))
    donors = batch_donors(drawn, patients)
    assert torch.equal(order[batch_donors(drawn[order], patients[order])], donors[order])


def test_donors_are_drawn_anew_each_epoch_and_uniformly():
    patients = torch.arange(6)
    drawn = torch.stack([batch_donors(keys(6, epoch), patients) for epoch in range(3000)])
    counts = torch.stack([(drawn == donor).sum(0) for donor in range(6)], 1)  # recipient, donor
    assert (counts.diagonal() == 0).all()
    assert (counts[~torch.eye(6, dtype=torch.bool)] - 600).abs().max() < 6 * (3000 * 0.2 * 0.8) ** 0.5


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 9)), min_size=1, max_size=15),
    st.booleans(),
    st.integers(0, 100),
)
def test_fixed_donors_have_the_class_asked_for_and_another_patient(cases, same_class, seed):
    labels, patients = (torch.tensor(values) for values in zip(*cases, strict=True))
    donors = fixed_donors(labels, patients, same_class, seed)
    assert donors.shape == (5, len(labels))
    assert torch.equal(donors, fixed_donors(labels, patients, same_class, seed))
    for row, drawn in enumerate(donors.T.tolist()):
        fits = ((labels == labels[row]) == same_class) & (patients >= 0) & (patients != patients[row])
        if patients[row] < 0 or not fits.any():
            assert drawn == [-1] * 5
        else:
            assert fits[drawn].all()
            assert len(set(drawn)) == min(5, int(fits.sum()))  # distinct while there are enough


@pytest.mark.parametrize("same_class", [True, False])
def test_another_seed_gives_other_fixed_donors(same_class):
    labels, patients = torch.arange(40) % 2, torch.arange(40)
    first, second = (fixed_donors(labels, patients, same_class, seed) for seed in (0, 1))
    assert not torch.equal(first, second)
