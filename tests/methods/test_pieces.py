"""The pieces that methods share: queue, momentum copy, heads, recipes; and what methods may import."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cmrbias import api
from cmrbias.methods import heads
from cmrbias.methods.byol import BYOL
from cmrbias.methods.heads import mlp
from cmrbias.methods.moco import MoCo
from cmrbias.methods.momentum import MomentumCopy
from cmrbias.methods.queue import KeyQueue
from cmrbias.methods.simclr import SimCLR
from cmrbias.options import build

METHODS = {"simclr": SimCLR, "moco": MoCo, "byol": BYOL}


@given(st.integers(1, 9), st.lists(st.integers(1, 20), max_size=6))
def test_queue_keeps_the_last_keys_whatever_the_batches(size: int, batches: list[int]) -> None:
    queue, history = KeyQueue(size, 2, ("patient", "side")), []
    for count in batches:
        new = torch.arange(len(history), len(history) + count)
        queue.add(torch.stack((new, -new), 1).float(), {"side": new + 7, "patient": new})
        history += new.tolist()
        # a queue that was saved and loaded goes on alike
        again = KeyQueue(size, 2, ("patient", "side"))
        again.load_state_dict(queue.state_dict())
        queue = again
    keys, codes, filled = queue.stored()
    patients = codes["patient"]
    assert int(filled.sum()) == min(len(history), size)
    assert sorted(patients[filled].tolist()) == history[-size:]
    assert torch.equal(keys[filled], torch.stack((patients, -patients), 1)[filled].float())
    assert not keys[~filled].any()
    assert (patients[~filled] == -1).all()
    assert torch.equal(codes["side"][filled], patients[filled] + 7)  # metadata stay with their key


def test_queue_overwrites_the_oldest_first() -> None:
    queue = KeyQueue(5, 1)
    for start in (0, 3, 6):
        queue.add(torch.zeros(3, 1), {"patient": torch.arange(start, start + 3)})
    assert queue.codes[:, 0].tolist() == [5, 6, 7, 8, 4]


def test_what_a_queue_tells_are_copies() -> None:
    queue = KeyQueue(2, 1)
    keys, codes, filled = queue.stored()
    queue.add(torch.ones(2, 1), {"patient": torch.ones(2, dtype=torch.int64)})
    assert not keys.any()
    assert codes["patient"].tolist() == [-1, -1]
    assert not filled.any()


@pytest.mark.parametrize(("momentum", "expected"), [(1.0, 0.0), (0.0, 1.0), (0.9, 0.1)])
def test_momentum_copy_averages_parameters_and_keeps_its_own_statistics(momentum, expected) -> None:
    network, head = nn.BatchNorm1d(3), nn.Linear(3, 2)
    copied = MomentumCopy(network, head)
    start = [p.clone() for p in copied.parameters()]
    copied(torch.randn(8, 3))
    statistics = copied.layers[0].running_mean.clone()
    with torch.no_grad():
        for parameter in (*network.parameters(), *head.parameters()):
            parameter += 1
    copied.update(network, head, momentum=momentum)
    for before, after in zip(start, copied.parameters(), strict=True):
        torch.testing.assert_close(after.detach(), before.detach() + expected)
    assert torch.equal(copied.layers[0].running_mean, statistics)
    assert statistics.any()
    assert not network.running_mean.any()


def test_momentum_copy_shares_no_memory_and_takes_no_gradient() -> None:
    head = nn.Linear(3, 2)
    copied = MomentumCopy(head)
    assert copied.layers[0].weight.data_ptr() != head.weight.data_ptr()
    assert not copied(torch.randn(2, 3, requires_grad=True)).requires_grad


def test_mlp_has_norm_and_relu_after_hidden_layers_only() -> None:
    assert [type(m) for m in mlp(4, 5, 3)] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]
    assert [type(m) for m in mlp(4, 5, 6, 3, norm=False)] == [
        nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear
    ]  # fmt: skip
    assert mlp(4, 5, 3)[0].bias is None
    assert mlp(4, 5, 3, norm=False)[0].bias is not None
    assert mlp(4, 5, 3)(torch.randn(2, 4)).shape == (2, 3)


@pytest.mark.parametrize("name", METHODS)
def test_the_papers_recipe_and_defaults(name: str) -> None:
    recipe, options = METHODS[name].recipes["paper"], METHODS[name].Options()
    assert (recipe.epochs, recipe.batch, recipe.lr, recipe.image_size) == (200, 256, 1e-4, 224)
    assert recipe.decay_norms
    assert list(recipe.augmentations) == ["crop", "flip", "contrast", "rotate"]
    assert not any(recipe.augmentations.values())  # the augmentations' defaults
    assert not recipe.options  # the method's defaults
    assert options.dim == 128
    if name == "simclr":
        assert (options.hidden, options.temperature) == (2048, 0.1)
        assert (recipe.optimiser, recipe.weight_decay) == ("adam", 1e-6)
    elif name == "moco":
        assert (options.queue, options.temperature, options.momentum) == (1024, 0.07, 0.999)
        assert (recipe.optimiser, recipe.momentum, recipe.weight_decay) == ("sgd", 0.9, 1e-4)
    else:
        assert (options.hidden, options.momentum) == (4096, 0.99)
        assert (recipe.optimiser, recipe.weight_decay) == ("adam", 1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_quick_recipe_fits_a_small_cohort(name: str) -> None:
    recipe = METHODS[name].recipes["quick"]
    options = build(METHODS[name].Options, recipe.options, name)
    assert not recipe.decay_norms
    assert recipe.warmup_epochs > 0
    if name == "moco":
        frames = 336  # the default phantom's training frames
        assert options.queue <= frames / 2
        steps = recipe.epochs * (frames // recipe.batch)
        assert 1 / (1 - options.momentum) <= steps / 10  # the copy catches up many times


@pytest.mark.parametrize("name", METHODS)
def test_biases_and_norms_do_not_decay_by_default(name: str, tiny) -> None:
    method = METHODS[name](tiny, METHODS[name].Options(hidden=8, dim=4))
    decayed, free = method.param_groups(1e-4, decay_norms=False)
    assert {p.ndim for p in decayed["params"]} == {2, 4}
    assert {p.ndim for p in free["params"]} == {1}
    assert (decayed["weight_decay"], free["weight_decay"]) == (1e-4, 0.0)
    (everything,) = method.param_groups(1e-4, decay_norms=True)
    assert len(everything["params"]) == len(decayed["params"]) + len(free["params"])


@pytest.mark.parametrize(
    ("name", "options"), [("simclr", {}), ("moco", {"queue": 16, "momentum": 0.9}), ("byol", {})]
)
def test_learns_to_tell_images_apart(name: str, options: dict[str, int], tiny, batch) -> None:
    torch.manual_seed(0)
    method = METHODS[name](tiny, METHODS[name].Options(hidden=16, dim=8, **options))
    optimiser = torch.optim.Adam(method.param_groups(0.0, False), 3e-3)
    losses = []
    for step in range(120):
        bright, texture = torch.rand(2, 8, 1, 1, 1)
        images = bright + texture * torch.randn(8, 1, 8, 8)
        view, other = (images + 0.1 * torch.randn_like(images) for _ in (0, 1))
        loss = method((view, other), batch(8))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        method.after_step(step / 120)
        losses.append(loss.item())
    assert sum(losses[-30:]) < 0.9 * sum(losses[2:32])  # MoCo's queue is full after two steps


@pytest.mark.parametrize("path", sorted(Path(heads.__file__).parent.glob("*.py")), ids=lambda p: p.name)
def test_methods_import_what_third_parties_may(path: Path) -> None:
    """torch, numpy, the standard library, names that ``cmrbias.api`` exports, and each other (public too)."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules, names = [alias.name for alias in node.names], []
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            modules, names = [node.module], [alias.name for alias in node.names]
        else:
            continue
        for module in modules:
            top = module.split(".")[0]
            if top != "cmrbias":
                assert top in sys.stdlib_module_names | {"torch", "numpy"}, module
            elif module == "cmrbias.api":
                assert names, "import names, so that they can be checked"
                assert set(names) <= set(api.__all__)
            else:
                assert module.startswith("cmrbias.methods."), module
