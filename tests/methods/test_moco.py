"""MoCo: the loss by hand, its queue, its shuffled batch norm and its slow copy."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cmrbias.api import Batch, CmrbiasError
from cmrbias.methods.moco import MoCo, info_nce


def small(tiny, **options) -> MoCo:
    return MoCo(tiny, MoCo.Options(**{"queue": 8, "hidden": 8, "dim": 4, **options}))


def unit(*shape: int) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(*shape), dim=-1)


def by_hand(
    query: list[float], positive: list[float], negatives: list[list[float]], temperature: float
) -> float:
    def similarity(key: list[float]) -> float:
        length = math.sqrt(sum(q * q for q in query))
        return math.exp(sum(q * k for q, k in zip(query, key, strict=True)) / length / temperature)

    return -math.log(similarity(positive) / (similarity(positive) + sum(map(similarity, negatives))))


@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_loss_is_infonce_over_the_counted_negatives(temperature: float) -> None:
    torch.manual_seed(0)
    queries, positives, negatives = torch.randn(3, 4), unit(3, 4), unit(5, 4)
    counted = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 0, 1, 0], [0, 0, 0, 0, 0]]).bool()
    expected = [
        by_hand(q, p, [n for n, c in zip(negatives.double().tolist(), row, strict=True) if c], temperature)
        for q, p, row in zip(
            queries.double().tolist(), positives.double().tolist(), counted.tolist(), strict=True
        )
    ]
    loss = info_nce(queries, positives, negatives, counted, temperature)
    assert loss.item() == pytest.approx(sum(expected) / 3, rel=1e-5)
    assert expected[2] == 0  # nothing to be told from


def test_masked_negatives_get_no_gradient_and_give_no_nan() -> None:
    queries, negatives = torch.randn(2, 4, requires_grad=True), unit(3, 4).requires_grad_()
    info_nce(queries, unit(2, 4), negatives, torch.zeros(2, 3).bool(), 0.07).backward()
    assert not negatives.grad.any()
    assert not queries.grad.any()


def test_loss_is_float32_under_autocast() -> None:
    torch.manual_seed(0)
    queries, positives, negatives = torch.randn(2, 4).bfloat16(), unit(2, 4), unit(5, 4)
    counted = torch.ones(2, 5).bool()
    expected = info_nce(queries.float(), positives, negatives, counted, 0.07)
    with torch.autocast("cpu", torch.bfloat16):
        loss = info_nce(queries, positives, negatives, counted, 0.07)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected)


def test_keys_are_enqueued_after_the_loss(tiny, views, batch) -> None:
    method = small(tiny)
    first = method(views(3), batch(3))
    assert first.item() == 0  # no negative yet: least of all the batch's own keys
    assert float(method.metrics["queue_filled"]) == 0
    assert int(method.queue.filled) == 3
    second = method(views(3), batch(3))
    assert second.item() > 0
    assert float(method.metrics["queue_filled"]) == pytest.approx(3 / 8)
    second.backward()  # the queue moved on meanwhile


def test_queue_keys_are_the_key_networks_normalised_in_the_batchs_order(tiny, views, batch) -> None:
    method = small(tiny).eval()  # in eval mode a key does not depend on its group
    first, second = views(5)
    method((first, second), batch([3, 1, 4, 1, 5]))
    expected = torch.nn.functional.normalize(method.key_network(second), dim=1)
    torch.testing.assert_close(method.queue.keys[:5], expected)
    assert method.queue.codes[:, 0].tolist() == [3, 1, 4, 1, 5, -1, -1, -1]


def test_loss_of_the_whole_method_by_hand(tiny, views, batch) -> None:
    method = small(tiny).eval()
    stored = unit(6, 4)
    method.queue.add(stored, {"patient": torch.full((6,), -1)})
    first, second = views(3)
    loss = method((first, second), batch(3))
    queries = method.projector(tiny(first)).double().tolist()
    keys = torch.nn.functional.normalize(method.key_network(second), dim=1).double().tolist()
    each = [by_hand(q, k, stored.double().tolist(), 0.07) for q, k in zip(queries, keys, strict=True)]
    assert loss.item() == pytest.approx(sum(each) / 3, rel=1e-4)


def groups_of(method: MoCo, second: Tensor, batch: Batch) -> list[list[int]]:
    """Runs the method; which images of the second view went through the key network together."""
    seen: list[list[int]] = []

    def note(module, inputs) -> None:
        same = (inputs[0][:, None] == second).flatten(2).all(2)
        seen.append(same.int().argmax(1).tolist())

    handle = method.key_network.register_forward_pre_hook(note)
    method((torch.zeros_like(second), second), batch)
    handle.remove()
    return seen


@pytest.mark.parametrize(("count", "sizes"), [(8, [2, 2, 2, 2]), (11, [3, 3, 3, 2]), (5, [3, 2]), (3, [3])])
def test_keys_share_statistics_in_random_groups(tiny, views, batch, count, sizes) -> None:
    method, second = small(tiny, bn_groups=4), views(count)[1]
    torch.manual_seed(0)
    first = groups_of(method, second, batch(count))
    assert [len(group) for group in first] == sizes
    assert sorted(image for group in first for image in group) == list(range(count))
    torch.manual_seed(1)
    assert groups_of(method, second, batch(count)) != first
    torch.manual_seed(0)
    assert groups_of(method, second, batch(count)) == first  # drawn from torch's generator


@pytest.mark.parametrize("groups", [1, 4])
def test_groups_give_a_key_other_statistics_than_its_batch(tiny, views, batch, groups) -> None:
    method, (first, second) = small(tiny, bn_groups=groups), views(8)
    of_the_batch = torch.nn.functional.normalize(method.key_network(second), dim=1)
    method((first, second), batch(8))
    assert torch.allclose(method.queue.keys, of_the_batch, atol=1e-5) == (groups == 1)


def test_key_network_trains_its_own_statistics_and_gets_no_gradient(tiny, views, batch) -> None:
    method = small(tiny, bn_groups=1)
    assert all(m.training for m in method.key_network.modules())
    first, second = views(6)
    method((first, second), batch(6))
    loss = method((first, second), batch(6))
    loss.backward()
    assert all(p.grad is None for p in method.key_network.parameters())
    own, copied = tiny.layers[1], method.key_network.layers[0].layers[1]
    assert int(copied.num_batches_tracked) == int(own.num_batches_tracked) == 2
    maps = tiny.layers[0](second)  # the weights have not moved yet
    torch.testing.assert_close(copied.running_mean, maps.mean((0, 2, 3)) * (0.1 + 0.09))
    assert not torch.allclose(copied.running_mean, own.running_mean)


def test_key_network_follows_once_a_step(tiny) -> None:
    method = small(tiny, momentum=0.75)
    before = tiny.layers[0].weight.detach().clone()
    with torch.no_grad():
        tiny.layers[0].weight += 1
        method.projector[0].bias += 2
    bias = method.key_network.layers[1][0].bias.clone()
    method.after_step(0.5)
    torch.testing.assert_close(method.key_network.layers[0].layers[0].weight, before + 0.25)
    torch.testing.assert_close(method.key_network.layers[1][0].bias, bias + 0.5)


def test_own_patients_keys_are_counted_and_left_out_if_asked(tiny, views, batch) -> None:
    for exclude in (False, True):
        torch.manual_seed(2)
        method = small(tiny, exclude_own_patient=exclude).eval()
        stored = unit(4, 4)
        method.queue.add(stored, {"patient": torch.tensor([7, 8, 8, -1])})
        first, second = views(3)
        loss = method((first, second), batch([8, 7, -1]))
        assert float(method.metrics["own_patient_negatives"]) == pytest.approx((2 + 1 + 0) / 12)
        left = [[0, 3], [1, 2, 3], [0, 1, 2, 3]] if exclude else [[0, 1, 2, 3]] * 3
        queries = method.projector(tiny(first)).double().tolist()
        keys = torch.nn.functional.normalize(method.key_network(second), dim=1).double().tolist()
        rows = stored.double()
        each = [by_hand(q, k, rows[n].tolist(), 0.07) for q, k, n in zip(queries, keys, left, strict=True)]
        assert loss.item() == pytest.approx(sum(each) / 3, rel=1e-4)


def test_the_key_is_stored_with_the_partners_patient(tiny, views, batch) -> None:
    method = small(tiny)
    method(views(2), batch([1, 2], [3, 4]))
    assert method.queue.codes[:2, 0].tolist() == [3, 4]


def test_excluding_needs_patients(tiny, views, batch) -> None:
    with pytest.raises(CmrbiasError, match="'exclude-own-patient' needs the column 'patient'"):
        small(tiny, exclude_own_patient=True)(views(4), batch(4))


def test_the_state_dict_holds_all_that_resume_needs(tiny, views, batch) -> None:
    method = small(tiny)
    for count in (3, 5, 3):
        method(views(count), batch(list(range(count))))
    again = small(type(tiny)())
    again.load_state_dict(method.state_dict())
    torch.manual_seed(3)
    loss = method(views(4), batch([0, 1, 2, 3]))
    torch.manual_seed(3)
    assert torch.equal(again(views(4), batch([0, 1, 2, 3])), loss)
    state, other = method.state_dict(), again.state_dict()
    assert all(torch.equal(state[key], other[key]) for key in state)
    assert {"queue.keys", "queue.codes", "queue.pointer", "queue.filled"} <= state.keys()


@pytest.mark.parametrize("norm", [False, True])
def test_norm_puts_batch_norm_into_both_projections(tiny, norm: bool) -> None:
    method = small(tiny, norm=norm)
    kinds = [type(layer) for layer in method.projector]
    assert (torch.nn.BatchNorm1d in kinds) is norm
    copied = [type(m) for m in method.key_network.modules()]
    assert (torch.nn.BatchNorm1d in copied) is norm
