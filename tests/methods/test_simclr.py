"""SimCLR's loss against a loop over numbers, and which views count as negatives."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cmrbias.api import CmrbiasError
from cmrbias.methods.simclr import SimCLR, contrasts, nt_xent


def cosine(a: Tensor, b: Tensor) -> float:
    dot = sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))
    return dot / math.sqrt(sum(x * x for x in a.tolist()) * sum(y * y for y in b.tolist()))


def by_hand(first: Tensor, second: Tensor, temperature: float, patients: list[int] | None = None) -> float:
    """Equation 1 of the paper, a number at a time; ``patients`` of both views, if they are left out."""
    count, views = len(first), [*first, *second]
    total = 0.0
    for i in range(2 * count):
        positive = (i + count) % (2 * count)
        below = 0.0
        for k in range(2 * count):
            own = patients is not None and patients[i] == patients[k]
            if k == positive or (k != i and not own):
                below += math.exp(cosine(views[i], views[k]) / temperature)
        total -= math.log(math.exp(cosine(views[i], views[positive]) / temperature) / below)
    return total / (2 * count)


def loss_of(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    positives, negatives = contrasts(len(first), first.device)
    return nt_xent(torch.cat((first, second)), positives, negatives, temperature)


@pytest.mark.parametrize("count", [2, 5, 8])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_loss_is_equation_1(count: int, temperature: float) -> None:
    torch.manual_seed(count)
    first, second = torch.randn(2, count, 7)
    expected = by_hand(first.double(), second.double(), temperature)
    assert loss_of(first, second, temperature).item() == pytest.approx(expected, rel=1e-5)


def test_identical_views_of_all_alike_images_cannot_be_told_apart() -> None:
    z = torch.ones(4, 3)
    assert loss_of(z, z, 0.1).item() == pytest.approx(math.log(7), rel=1e-6)  # 1 of 2N - 1 views


def test_identical_views_of_orthogonal_images() -> None:
    z = torch.eye(3)
    expected = -math.log(math.e / (math.e + 4))  # one positive at cosine 1, four negatives at 0
    assert loss_of(z, z, 1.0).item() == pytest.approx(expected, rel=1e-6)


def test_rows_have_their_positive_and_all_others_as_negatives() -> None:
    positives, negatives = contrasts(3, torch.device("cpu"))
    assert positives.tolist() == [3, 4, 5, 0, 1, 2]
    for row in range(6):
        assert [c for c in range(6) if not negatives[row, c]] == sorted({row, int(positives[row])})


def test_half_precision_projections_lose_nothing_in_the_loss() -> None:
    torch.manual_seed(0)
    first, second = torch.randn(2, 4, 16).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_of(first, second, 0.01)  # exp(100) overflows float16, and float32 without care
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(by_hand(first.double(), second.double(), 0.01), rel=1e-5)


def test_the_method_leaves_out_the_own_patient_if_asked(tiny, views, batch) -> None:
    patients = [5, 5, 9, -1, -1]  # unknown patients are nobody's own
    seen = []
    for exclude in (False, True):
        torch.manual_seed(1)
        method = SimCLR(tiny, SimCLR.Options(hidden=8, dim=4, exclude_own_patient=exclude))
        method.projector.register_forward_hook(lambda m, i, output: seen.append(output.detach().double()))
        loss = method(views(5), batch(patients))
        unknown_apart = [5, 5, 9, 100, 101]
        expected = by_hand(*seen[-1].chunk(2), 0.1, unknown_apart * 2 if exclude else None)
        assert loss.item() == pytest.approx(expected, rel=1e-5)
        # of 10 rows with 8 negatives each, the 4 of patient 5 meet 2 views of their own
        assert float(method.metrics["own_patient_negatives"]) == pytest.approx(4 * 2 / 80)


def test_excluding_needs_patients(tiny, views, batch) -> None:
    method = SimCLR(tiny, SimCLR.Options(hidden=8, dim=4, exclude_own_patient=True))
    with pytest.raises(CmrbiasError, match="'exclude-own-patient' needs the column 'patient'"):
        method(views(4), batch(4))


def test_both_views_share_one_pass(tiny, views, batch) -> None:
    passes = []
    tiny.register_forward_hook(lambda module, inputs, output: passes.append(len(inputs[0])))
    SimCLR(tiny, SimCLR.Options(hidden=8, dim=4))(views(3), batch(3)).backward()
    assert passes == [6]
    assert all(p.grad is not None for p in tiny.parameters())
