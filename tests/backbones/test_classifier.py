"""The classifier: its logits by hand, a frozen backbone, and reading one back from a run."""

from __future__ import annotations

import re

import pytest
import torch

import cmrbias
from cmrbias import ops
from cmrbias.api import CmrbiasError
from cmrbias.backbones import Classifier
from cmrbias.inputs import InputMode
from cmrbias.training import checkpoint


def classifier(plugins, frames=("ED", "ES"), **more):
    torch.manual_seed(0)
    backbone = plugins.registry("backbones").get("tiny")(stride=4)
    mode = InputMode("background-box", box=9)
    classes = ("A", "B", "C")
    return Classifier(
        backbone, target="label", classes=classes, frames=frames, image_size=24, input=mode, **more
    )


@pytest.mark.parametrize("frames", [("ED",), ("ED", "ES"), ("a", "b", "c")])
def test_logits_are_one_linear_layer_over_the_frames_embeddings_side_by_side(tiny_plugins, frames):
    made = classifier(tiny_plugins, frames).eval()
    images = torch.randn(5, len(frames), 24, 24)
    logits = made(images)
    expected = made.head.bias.expand(5, 3)
    for number in range(len(frames)):
        weight = made.head.weight[:, number * 16 : (number + 1) * 16]
        expected = expected + made.backbone(images[:, number, None]) @ weight.T
    torch.testing.assert_close(logits, expected)
    assert torch.equal(made(images.unsqueeze(2)), logits)
    assert torch.equal(made(made.embed(images)), logits)


def test_another_number_of_frames_is_one_line_and_compiles(tiny_plugins):
    made = classifier(tiny_plugins).eval()
    for wrong in (torch.rand(2, 1, 24, 24), torch.rand(2, 4, 24, 24), torch.rand(2, 24, 24)):
        shape = re.escape(str(tuple(wrong.shape)))
        expected = rf"expected 2 frames \(ED, ES\), got {wrong.shape[1]} in shape {shape}"
        with pytest.raises(CmrbiasError, match=expected):
            made(wrong)
        with pytest.raises(CmrbiasError, match=expected):
            made(wrong, torch.tensor([0, 1]))
    images = torch.rand(2, 2, 24, 24)
    compiled = torch.compile(made, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(images), made(images))


def test_logits_are_float32_under_autocast(tiny_plugins):
    made = classifier(tiny_plugins)
    with torch.autocast("cpu", torch.bfloat16):
        assert made(torch.randn(2, 2, 24, 24)).dtype == torch.float32


def test_maps_in_closed_form_are_those_of_the_backward_pass(tiny_plugins):
    made = classifier(tiny_plugins).eval().double()
    images, classes = torch.randn(4, 2, 24, 24, dtype=torch.float64), torch.tensor([2, 0, 1, 2])
    activations = made.backbone.feature_map(images.reshape(-1, 1, 24, 24)).detach().requires_grad_()
    embeddings = activations.mean((2, 3)).view(4, -1)
    logits = torch.nn.functional.linear(embeddings, made.head.weight, made.head.bias)
    (gradients,) = torch.autograd.grad(logits.gather(1, classes[:, None]).sum(), activations)
    expected = ops.gradcam_reference(activations, gradients).view(4, 2, 6, 6)
    maps = made.gradcam(activations, classes)
    assert expected.max() > 0
    torch.testing.assert_close(maps.double(), expected, rtol=1e-5, atol=1e-7)


def test_explaining_changes_no_logit_and_reaches_activations_and_head(tiny_plugins):
    made, images = classifier(tiny_plugins), torch.randn(4, 2, 24, 24)
    logits, maps = made.eval()(images, torch.tensor([0, 1, 2, 0]))
    torch.testing.assert_close(logits, made(images))
    assert maps.shape == (4, 2, 6, 6)
    assert maps.dtype == torch.float32
    maps.sum().backward()
    assert made.head.weight.grad.abs().sum() > 0
    assert all(p.grad.abs().sum() > 0 for p in made.backbone.parameters())


def test_a_frozen_backbone_stays_in_eval_mode_and_gets_no_gradient(tiny_plugins):
    made = classifier(tiny_plugins, frozen=True).train()
    before = {k: v.clone() for k, v in made.backbone.state_dict().items()}
    made(torch.randn(4, 2, 24, 24)).sum().backward()
    assert made.head.training
    assert not made.backbone.training
    assert all(p.grad is None for p in made.backbone.parameters())
    assert made.head.weight.grad is not None
    assert all(torch.equal(v, before[k]) for k, v in made.backbone.state_dict().items())


def test_a_classifier_comes_back_from_its_checkpoint(tiny_plugins, tmp_path):
    made = classifier(tiny_plugins)
    made(torch.randn(8, 2, 24, 24))  # moves the batch statistics
    checkpoint.save(tmp_path / "last.pt", made.state())
    loaded = cmrbias.load_classifier(tmp_path, tiny_plugins)
    assert not loaded.training
    assert (loaded.classes, loaded.frames, loaded.image_size) == (("A", "B", "C"), ("ED", "ES"), 24)
    assert (loaded.target, loaded.kind) == ("label", "class")
    assert loaded.input == InputMode("background-box", box=9)
    images = torch.randn(3, 2, 24, 24)
    assert torch.equal(loaded(images), made.eval()(images))
    backbone = cmrbias.load_backbone(tmp_path, tiny_plugins)
    torch.testing.assert_close(backbone(images[:, :1]), made.embed(images[:, :1]))


def test_the_best_checkpoint_is_read_where_there_is_one(tiny_plugins, tmp_path):
    best, last = classifier(tiny_plugins), classifier(tiny_plugins)
    with torch.no_grad():
        last.head.bias += 1
    checkpoint.save(tmp_path / "last.pt", last.state())
    assert torch.equal(cmrbias.load_classifier(tmp_path, tiny_plugins).head.bias, last.head.bias)
    checkpoint.save(tmp_path / "best.pt", best.state())
    assert torch.equal(cmrbias.load_classifier(tmp_path, tiny_plugins).head.bias, best.head.bias)


def test_a_run_without_a_classifier_is_told(tiny_plugins, tmp_path):
    state = classifier(tiny_plugins).state()
    del state["classifier"]
    checkpoint.save(tmp_path / "last.pt", state)
    with pytest.raises(
        CmrbiasError, match=r"last\.pt: holds no classifier: expected a run of 'cmrbias finetune'"
    ):
        cmrbias.load_classifier(tmp_path, tiny_plugins)
    with pytest.raises(CmrbiasError, match="no such file"):
        cmrbias.load_classifier(tmp_path / "nowhere", tiny_plugins)
