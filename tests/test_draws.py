"""Counter-based draws: a function of the key alone, uniform, and independent."""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats

from cmrbias import draws


def splitmix64(x: int) -> int:
    """The published finaliser, in Python's integers."""
    mask = (1 << 64) - 1
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return x ^ (x >> 31)


def test_uniform_is_splitmix64_of_key_and_counter() -> None:
    keys = [0, 1, -5, 2**62]
    drawn = draws.uniform(torch.tensor(keys), 3)
    for row, key in enumerate(keys):
        for column in range(3):
            mixed = splitmix64((key + 0x9E3779B97F4A7C15 * (column + 1)) % (1 << 64))
            assert drawn[row, column].item() == (mixed >> 11) / 2**53


def test_uniform_is_uniform_and_columns_and_rows_are_independent() -> None:
    u = draws.uniform(draws.keys(3, 1, torch.arange(20_000), 0), 2).numpy()
    assert stats.kstest(u.ravel(), "uniform").pvalue > 0.01
    assert abs(np.corrcoef(u[:, 0], u[:, 1])[0, 1]) < 0.02
    assert abs(np.corrcoef(u[:-1, 0], u[1:, 0])[0, 1]) < 0.02


def test_every_part_of_a_key_matters_and_the_batch_does_not() -> None:
    index = torch.arange(50)
    base = draws.keys(1, 2, index, 0)
    others = [draws.keys(2, 2, index, 0), draws.keys(1, 3, index, 0), draws.keys(1, 2, index, 1)]
    for other in others:
        assert not (base == other).any()
    assert len(base.unique()) == 50
    assert torch.equal(draws.keys(1, 2, index[7:9], 0), base[7:9])
    assert not torch.equal(draws.derive(base, draws.salt("crop")), draws.derive(base, draws.salt("flip")))


def test_permutations_are_permutations_and_change_by_epoch() -> None:
    first, second = draws.permutation(0, 0, 1000), draws.permutation(0, 1, 1000)
    assert torch.equal(first.sort().values, torch.arange(1000))
    assert not torch.equal(first, second)
    assert torch.equal(first, draws.permutation(0, 0, 1000))
    assert len(draws.permutation(0, 0, 0)) == 0


def test_choices_are_eligible_uniform_and_the_same_in_any_order() -> None:
    eligible = torch.tensor([[0, 1, 1, 1], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.bool)
    index = torch.arange(4)
    chosen = torch.stack([draws.choose(draws.keys(0, e, index, 0), eligible) for e in range(900)])
    assert (chosen[:, 1] == -1).all()
    assert (chosen[:, 3] == 3).all()
    assert stats.chisquare(chosen[:, 0].bincount()[1:]).pvalue > 0.01
    assert stats.chisquare(chosen[:, 2].bincount()[[0, 2]]).pvalue > 0.01
    keys, order = draws.keys(0, 5, index, 0), torch.tensor([2, 0, 3, 1])
    again = draws.choose(keys[order], eligible[order][:, order])
    assert torch.equal(torch.where(again < 0, -1, order[again]), chosen[5][order])
    assert len(draws.choose(torch.empty(0, dtype=torch.int64), torch.empty(0, 0, dtype=torch.bool))) == 0
