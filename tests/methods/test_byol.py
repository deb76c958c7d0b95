"""BYOL: the loss's scale, the target's momentum a step, and who gets a gradient."""

from __future__ import annotations

import math

import pytest
import torch

from cmrbias.methods.byol import BYOL, distance, momentum_at


def small(tiny, **options) -> BYOL:
    return BYOL(tiny, BYOL.Options(**{"hidden": 8, "dim": 4, **options}))


def test_distance_is_2_minus_2_cos() -> None:
    torch.manual_seed(0)
    p, t = torch.randn(2, 5, 7)
    expected = sum(
        2 - 2 * math.fsum(a * b for a, b in zip(x, y, strict=True)) / math.hypot(*x) / math.hypot(*y)
        for x, y in zip(p.double().tolist(), t.double().tolist(), strict=True)
    )
    assert distance(p, t).item() == pytest.approx(expected / 5, rel=1e-5)
    assert distance(p, 3 * p).item() == pytest.approx(0, abs=1e-6)
    assert distance(p, -p).item() == pytest.approx(4)
    with torch.autocast("cpu", torch.bfloat16):
        assert distance(p.bfloat16(), t.bfloat16()).dtype == torch.float32


def test_loss_is_the_sum_of_both_directions(tiny, views, batch) -> None:
    method = small(tiny).eval()
    first, second = views(3)
    loss = method((first, second), batch(3)).detach()
    p0, p1 = (method.predictor(method.projector(tiny(view))) for view in (first, second))
    t0, t1 = (method.target(view) for view in (first, second))
    expected = 0.0
    for p, t in [*zip(p0, t1, strict=True), *zip(p1, t0, strict=True)]:
        a, b = p.detach().double(), t.double()
        expected += float(((a / a.norm() - b / b.norm()) ** 2).sum())  # unit vectors, as in the paper
    assert loss.item() == pytest.approx(expected / 3, rel=1e-5)
    swapped = method((second, first), batch(3)).detach()
    assert swapped.item() == pytest.approx(loss.item(), rel=1e-6)


def test_momentum_rises_from_its_start_to_1_by_a_cosine() -> None:
    assert momentum_at(0, 0.99) == pytest.approx(0.99)
    assert momentum_at(0.5, 0.99) == pytest.approx(0.995)
    assert momentum_at(1, 0.99) == 1
    values = [momentum_at(step / 100, 0.9) for step in range(101)]
    assert values == sorted(values)


def test_target_moves_by_the_momentum_of_the_step(tiny) -> None:
    method = small(tiny, momentum=0.8)
    target = method.target.layers[0].layers[0].weight
    before = target.clone()
    with torch.no_grad():
        tiny.layers[0].weight += 1
    method.after_step(1.0)
    assert torch.equal(target, before)
    method.after_step(0.0)
    torch.testing.assert_close(target, before + 0.2)


def test_only_the_online_network_gets_a_gradient(tiny, views, batch) -> None:
    method = small(tiny)
    method(views(4), batch(4)).backward()
    for part in (tiny, method.projector, method.predictor):
        assert all(p.grad is not None for p in part.parameters())
    assert not any(p.requires_grad for p in method.target.parameters())
    grouped = [p for group in method.param_groups(1e-6, False) for p in group["params"]]
    assert {id(p) for p in grouped}.isdisjoint({id(p) for p in method.target.parameters()})


def test_target_runs_in_train_mode_with_its_own_statistics(tiny, views, batch) -> None:
    method = small(tiny)
    with torch.no_grad():
        tiny.layers[0].weight *= 3  # so that the two networks' activations differ
    view = views(4)[0]
    method((view, view), batch(4))
    own, target = tiny.layers[1], method.target.layers[0].layers[1]
    assert target.training
    torch.testing.assert_close(target.running_mean * 3, own.running_mean)


def test_odd_batches_and_identical_views(tiny, views, batch) -> None:
    method = small(tiny)
    view = views(3)[0]
    loss = method((view, view), batch(3))
    loss.backward()
    assert 0 <= loss.item() <= 8
