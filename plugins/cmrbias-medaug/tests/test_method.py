"""MedAug's negatives, checked by hand and by what may never happen: run after installing the plugin."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cmrbias.api import Backbone, Batch, CmrbiasError
from cmrbias.methods import MoCo, Stored
from cmrbias.options import build, options_of
from cmrbias.plugins import plugin_manager

HARD = ["append", "reweight", "only", "synthetic"]
SLOTS, DIM = 12, 4


class Tiny(Backbone):
    name, dim, stride = "tiny", 6, 2

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 6, 3, 2, 1), nn.ReLU())

    def feature_map(self, images: Tensor) -> Tensor:
        return self.layers(images)


def method(negatives: str, **options: object) -> MoCo:
    cls = plugin_manager().registry("methods").get("medaug")
    values = {"queue": SLOTS, "dim": DIM, "hidden": 8, "negatives": negatives, **options}
    torch.manual_seed(0)
    return cls(Tiny(), build(options_of(cls), values, "medaug"))


def unit(*shape: int) -> Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))), dim=-1)


def batch(patients: list[int], lateralities: list[int]) -> Batch:
    index = torch.arange(len(patients))
    codes = {"patient": torch.tensor(patients), "laterality": torch.tensor(lateralities)}
    return Batch((index, index), (None, None), {name: (each, each) for name, each in codes.items()})


def stored(patients: list[int], lateralities: list[int], filled: int | None = None) -> Stored:
    count = len(patients)
    codes = {"patient": torch.tensor(patients), "laterality": torch.tensor(lateralities)}
    return Stored(unit(count, DIM), codes, torch.arange(count) < (count if filled is None else filled))


def loss_of(made: MoCo, queries: Tensor, queue: Stored, rows: Batch) -> float:
    torch.manual_seed(1)
    return float(made.contrast(queries, unit(len(queries), DIM), queue, rows))


def by_hand(
    query: Tensor, positive: Tensor, negatives: list[tuple[float, Tensor]], temperature: float
) -> float:
    """InfoNCE of one query against weighted negatives."""
    query = F.normalize(query.double(), dim=0)
    top = math.exp(float(query @ positive.double()) / temperature)
    rest = sum(w * math.exp(float(query @ key.double()) / temperature) for w, key in negatives)
    return -math.log(top / (top + rest))


PATIENTS = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
SIDES = [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0]


def test_random_is_moco() -> None:
    made, plain = method("random"), MoCo.contrast
    queries = torch.randn(3, DIM)
    queue, rows = stored(PATIENTS, SIDES), batch([0, 1, 9], [0, 1, 0])
    assert float(made.contrast(queries, unit(3, DIM), queue, rows)) == float(
        plain(made, queries, unit(3, DIM), queue, rows)
    )
    assert float(made.metrics["own_patient_negatives"]) == pytest.approx(4 / 36)


def test_only_meets_the_same_laterality_of_other_patients() -> None:
    made, queries, queue = method("only"), torch.randn(2, DIM), stored(PATIENTS, SIDES)
    loss = loss_of(made, queries, queue, batch([1, 5], [1, 0]))
    met = [[1, 5, 7, 9], [0, 2, 4, 6, 8]]
    each = [
        by_hand(queries[i], unit(2, DIM)[i], [(1.0, queue.keys[k]) for k in met[i]], 0.2) for i in range(2)
    ]
    assert loss == pytest.approx(sum(each) / 2, rel=1e-5)


def test_reweight_gives_hard_ones_their_share() -> None:
    made, queries, queue = method("reweight", share=0.75), torch.randn(1, DIM), stored(PATIENTS, SIDES)
    loss = loss_of(made, queries, queue, batch([0], [1]))
    hard, others = [3, 5, 7, 9], [2, 4, 6, 8, 10, 11]
    weighted = [(0.75 * 10 / 4, queue.keys[k]) for k in hard] + [
        (0.25 * 10 / 6, queue.keys[k]) for k in others
    ]
    assert loss == pytest.approx(by_hand(queries[0], unit(1, DIM)[0], weighted, 0.2), rel=1e-5)


def test_append_takes_a_fraction_of_the_queue_again() -> None:
    made, queries, queue = method("append", fraction=4 / SLOTS), torch.randn(1, DIM), stored(PATIENTS, SIDES)
    loss = loss_of(made, queries, queue, batch([0], [1]))  # exactly four are hard: all of them, once
    met = [(2.0 if k in (3, 5, 7, 9) else 1.0, queue.keys[k]) for k in range(2, 12)]
    assert loss == pytest.approx(by_hand(queries[0], unit(1, DIM)[0], met, 0.2), rel=1e-5)


def test_synthetic_keys_lie_between_two_hard_ones() -> None:
    made, queries = method("synthetic", fraction=0.5), torch.randn(1, DIM)
    patients, sides = [0, 0, *range(1, 11)], [1, 1, 0, 0, *[1] * 8]
    queue = stored(patients, sides)
    met = [(1.0, key) for key, patient in zip(queue.keys, patients, strict=True) if patient != 9]
    plain = by_hand(queries[0], unit(1, DIM)[0], met, 0.2)
    assert loss_of(made, queries, queue, batch([9], [0])) > plain + 1e-4
    alone = stored([0] * 11 + [1], [1] * 11 + [0])  # a single hard one: nothing to mix
    assert loss_of(made, queries, alone, batch([9], [0])) == pytest.approx(
        by_hand(queries[0], unit(1, DIM)[0], [(1.0, k) for k in alone.keys], 0.2), rel=1e-5
    )


def test_synthetic_keys_come_from_the_segment() -> None:
    from cmrbias_medaug.negatives import mixed

    keys = F.normalize(torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]), dim=1)
    hard = torch.tensor([[True, True, False]])
    torch.manual_seed(0)
    third = mixed(keys[2:], keys, hard, 500)
    assert third.abs().max() < 1e-6  # nothing of the key that is not hard
    first, second = mixed(keys[:1], keys, hard, 500), mixed(keys[1:2], keys, hard, 500)
    assert first.min() >= 0
    assert 0.4 < (first**2 > 0.5).float().mean() < 0.6  # as often near the one as near the other
    assert second.shape == (1, 500)


@pytest.mark.parametrize("negatives", HARD)
def test_until_the_queue_is_full_hard_ones_are_not_preferred(negatives: str) -> None:
    queries, queue = torch.randn(2, DIM), stored(PATIENTS, SIDES, filled=11)
    loss = loss_of(method(negatives), queries, queue, batch([0, 1], [0, 1]))
    met = [[k for k in range(11) if PATIENTS[k] != p] for p in (0, 1)]
    each = [
        by_hand(queries[i], unit(2, DIM)[i], [(1.0, queue.keys[k]) for k in met[i]], 0.2) for i in range(2)
    ]
    assert loss == pytest.approx(sum(each) / 2, rel=1e-5)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.sampled_from(HARD),
    st.lists(st.integers(0, 3), min_size=SLOTS, max_size=SLOTS),
    st.lists(st.integers(-1, 1), min_size=SLOTS, max_size=SLOTS),
    st.integers(0, SLOTS),
)
def test_the_querys_patient_is_never_among_its_negatives(negatives, patients, sides, filled) -> None:
    made = method(negatives)
    queue, rows, queries = stored(patients, sides, filled), batch([0, 1], [0, 1]), torch.randn(2, DIM)
    loss = loss_of(made, queries, queue, rows)
    assert float(made.metrics["own_patient_negatives"]) == 0
    assert math.isfinite(loss)
    for row, patient in enumerate((0, 1)):  # moving the patient's own keys changes nothing for it
        moved = queue.keys.clone()
        moved[queue.codes["patient"] == patient] = F.normalize(torch.ones(DIM), dim=0)
        alone = batch([patient], [row])
        assert loss_of(made, queries[row : row + 1], queue._replace(keys=moved), alone) == pytest.approx(
            loss_of(made, queries[row : row + 1], queue, alone), rel=1e-5
        )


def test_gradients_are_finite_where_a_query_has_no_hard_key() -> None:
    for negatives in HARD:
        queries = torch.randn(2, DIM, requires_grad=True)
        queue = stored(PATIENTS, [0] * SLOTS)
        method(negatives).contrast(queries, unit(2, DIM), queue, batch([0, 1], [1, 0])).backward()
        assert queries.grad.isfinite().all()


def test_metadata_stay_with_their_key_around_the_ring() -> None:
    made = method("only").eval()
    keys, known = [], []
    for step in range(5):
        patients = [3 * step + i for i in range(5)]
        sides = [(step + i) % 2 for i in range(5)]
        views = torch.rand(2, 5, 1, 8, 8, generator=torch.Generator().manual_seed(step)) * 2 - 1
        made((views[0], views[1]), batch(patients, sides))
        keys += F.normalize(made.key_network(views[1]), dim=1)
        known += zip(patients, sides, strict=True)
    found = made.queue.stored()
    columns = [found.codes["patient"].tolist(), found.codes["laterality"].tolist()]
    for key, *codes in zip(found.keys, *columns, strict=True):
        nearest = max(range(len(keys) - SLOTS, len(keys)), key=lambda n: float(keys[n] @ key))
        torch.testing.assert_close(keys[nearest], key)
        assert tuple(codes) == known[nearest]


class Images:
    def __init__(self, **columns: list[str]) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns["patient"])

    def values(self, column: str) -> list[str]:
        if column not in self.columns:
            raise CmrbiasError(f"unknown column {column!r}")
        return sorted(set(self.columns[column]) - {""})

    def codes(self, column: str) -> np.ndarray:
        book = {value: code for code, value in enumerate(self.values(column))}
        return np.array([book.get(cell, -1) for cell in self.columns[column]])


def test_hard_negatives_need_lateralities() -> None:
    rows = {"case": ["x", "y"], "patient": ["a", "b"]}
    method("random").fit(Images(**rows))
    with pytest.raises(
        CmrbiasError, match="name another column by -o laterality-column=NAME: unknown column"
    ):
        method("only").fit(Images(**rows))
    with pytest.raises(CmrbiasError, match=r"'laterality' is empty in 1 of 2 training images \(case y\)"):
        method("only").fit(Images(**rows, laterality=["frontal", ""]))
    with pytest.raises(CmrbiasError, match="found frontal alone: every negative would be hard"):
        method("append").fit(Images(**rows, laterality=["frontal"] * 2))
    with pytest.raises(CmrbiasError, match=r"found others in 1 of 2 .* name all by -o lateralities=A,B"):
        method("append").fit(Images(**rows, laterality=["frontal", "oblique"]))
    method("append", laterality_column="projection").fit(Images(**rows, projection=["ap", "pa"]))


def test_paper_recipe() -> None:
    cls = plugin_manager().registry("methods").get("medaug")
    recipe, options = cls.recipes["paper"], cls.Options()
    assert (recipe.epochs, recipe.batch, recipe.lr, recipe.weight_decay) == (20, 16, 1e-4, 1e-4)
    assert (recipe.schedule, tuple(recipe.milestones), recipe.image_size) == ("steps", (12, 18, 24), 320)
    assert (options.queue, options.temperature, options.momentum, options.dim) == (24576, 0.2, 0.999, 128)
    assert (options.negatives, options.fraction) == ("random", 0.1)
