"""Draws are those of the specification, and uniform over each stratum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmrbias.resampling import PatientDraws, patient_strata

MASK, GOLDEN = (1 << 64) - 1, 0x9E3779B97F4A7C15


def mix(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def drawn(seed: int, stratum: int, members: list[int], resample: int) -> list[int]:
    """As written in the specification, in Python's integers."""
    key = mix((seed + GOLDEN * (stratum + 1)) & MASK)
    found = []
    for i in range(len(members)):
        u = mix((key + GOLDEN * ((resample << 32) + i + 1)) & MASK) >> 32
        found.append(members[(u * len(members)) >> 32])
    return found


def test_the_mixing_function() -> None:
    """The published first outputs of SplitMix64 seeded with 0 and with 1234567."""
    assert mix(GOLDEN) == 0xE220A8397B1DCDAF
    assert mix((1234567 + GOLDEN) & MASK) == 6457827717110365317


@given(st.integers(-5, 1 << 70), st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_draws_follow_the_formula(seed, strata) -> None:
    found = PatientDraws(np.array(strata), 7, seed).indices(0, 7)
    for stratum in set(strata):
        members = [patient for patient, of in enumerate(strata) if of == stratum]
        for resample in range(7):
            assert found[resample, members].tolist() == drawn(seed, stratum, members, resample)


def test_first_draws() -> None:
    """Pinned: the same in C++."""
    draws = PatientDraws(np.array([0, 0, 0, 1, 1, 1, 1]), 2, 42)
    assert draws.indices(0, 2).tolist() == [[1, 2, 1, 6, 4, 5, 5], [1, 0, 2, 3, 3, 4, 6]]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(1, 40))
def test_weights_count_the_draws(strata, resamples) -> None:
    draws = PatientDraws(np.array(strata), resamples, 3)
    weights = np.concatenate(list(draws.weights()))
    counted = [np.bincount(row, minlength=len(strata)) for row in draws.indices(0, resamples)]
    assert np.array_equal(weights, counted)
    for stratum in set(strata):
        members = np.array(strata) == stratum
        assert (weights[:, members].sum(axis=1) == members.sum()).all()


def test_many_blocks_are_as_one() -> None:
    """100,000 patients: a few resamples a block; later resamples do not depend on earlier ones."""
    draws = PatientDraws(np.arange(100_000) % 2, 6, 1)
    weights = np.concatenate(list(draws.weights()))
    assert weights.shape == (6, 100_000)
    assert np.array_equal(weights[5], np.bincount(draws.indices(5, 6)[0], minlength=100_000))


def test_draws_are_uniform() -> None:
    weights = np.concatenate(list(PatientDraws(np.zeros(10, np.int64), 20_000, 0).weights()))
    assert weights.mean(axis=0) == pytest.approx(np.ones(10), abs=0.03)
    assert weights.var(axis=0) == pytest.approx(np.full(10, 0.9), abs=0.05)


def test_strata() -> None:
    """Class of the patient; several classes form one more; multi-label targets are one."""
    numbers = np.array([0, 0, 1, 2, 2, 3])
    labels = np.array([1, 1, 0, 0, 2, 2])
    assert patient_strata(labels, numbers, 3).tolist() == [1, 0, 3, 2]
    assert patient_strata(np.ones((6, 3)), numbers, 3).tolist() == [0, 0, 0, 0]
