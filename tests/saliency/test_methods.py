"""Each saliency method against an independent computation: captum, torch's autograd, numpy's SVD."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import InputXGradient, LayerGradCam, LayerGradientXActivation
from captum.attr import IntegratedGradients as CaptumIntegrated
from captum.attr import Occlusion as CaptumOcclusion

from cmrbias.api import CmrbiasError, Saliency
from cmrbias.backbones import Classifier
from cmrbias.inputs import InputMode
from cmrbias.options import build, options_of
from cmrbias.plugins import plugin_manager

NAMES = plugin_manager([]).registry("saliency").names()
CAMS = ["gradcam", "gradcam-plus-plus", "layercam", "eigencam"]
CLASSES = torch.tensor([0, 2, 1, 2])


def made(name: str, **options) -> Saliency:
    cls = plugin_manager([]).registry("saliency").get(name)
    return cls(build(options_of(cls), options, name))


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert ours.max() > 0
    torch.testing.assert_close(ours.float(), theirs.float(), rtol=1e-4, atol=1e-6)


def last_relu(classifier: Classifier) -> torch.nn.Module:
    return classifier.backbone.features[2]


@pytest.mark.parametrize("layer", [None, "features.2", "features.1"])
def test_gradcam_is_captums(classifier, images, layer):
    module = classifier.backbone.features[int((layer or "features.2")[-1])]
    theirs = LayerGradCam(classifier, module).attribute(images, CLASSES, relu_attributions=True)
    close(made("gradcam", layer=layer).maps(classifier, images, CLASSES), theirs.view(4, 2, 6, 6))


@pytest.mark.parametrize("stride", [32, 16])
def test_gradcam_of_densenet_is_captums_at_relu5_and_norm5(stride):
    backbone = plugin_manager([]).registry("backbones").get("densenet121")(stride=stride)
    wanted = {"target": "label", "classes": "AB", "frames": ("ED", "ES"), "image_size": 64}
    network = Classifier(backbone, input=InputMode(), **wanted).eval()
    shown = torch.rand(2, 2, 1, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    classes = torch.tensor([1, 0])
    for layer in ("relu5", "norm5"):
        module = getattr(backbone.features, layer)
        theirs = LayerGradCam(network, module).attribute(shown, classes, relu_attributions=True)
        ours = made("gradcam", layer=f"features.{layer}").maps(network, shown, classes)
        close(ours, theirs.view_as(ours))
        if layer == "relu5":
            close(made("gradcam").maps(network, shown, classes), theirs.view_as(ours))


def test_the_papers_gradient_is_taken_before_the_relu(classifier, images):
    ours = made("gradcam", gradient="before-relu").maps(classifier, images, CLASSES)
    seen = []
    handle = classifier.backbone.features[1].register_forward_hook(lambda m, i, o: seen.append(o))
    logits = classifier(images.clone())
    handle.remove()
    gradients = torch.autograd.grad(logits.gather(1, CLASSES[:, None]).sum(), seen[0])[0]
    activations = seen[0].detach().relu()
    expected = (gradients.mean((2, 3), keepdim=True) * activations).sum(1).relu().view(4, 2, 6, 6)
    close(ours, expected)
    # the identity: W[c, k] / (h w)^2 times the number of cells where A_k > 0
    weights = classifier.head.weight[CLASSES].view(8, 16) * (activations > 0).sum((2, 3)) / 36**2
    close(ours, (weights[..., None, None] * activations).sum(1).relu().view(4, 2, 6, 6).detach())


@pytest.mark.parametrize("name", CAMS)
def test_the_closed_form_is_the_backward_pass(classifier, images, name):
    closed, backward = made(name), made(name, layer="features.2")
    close(closed.maps(classifier, images, CLASSES), backward.maps(classifier, images, CLASSES))
    assert "no backward pass" in closed.notes(classifier)[0]
    assert backward.notes(classifier) == ["at features.2, by a backward pass"]


def test_a_head_that_is_not_linear_takes_the_backward_pass(classifier, images):
    classifier.head = torch.nn.Sequential(torch.nn.Linear(32, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    theirs = LayerGradCam(classifier, last_relu(classifier)).attribute(
        images, CLASSES, relu_attributions=True
    )
    method = made("gradcam")
    close(method.maps(classifier, images, CLASSES), theirs.view(4, 2, 6, 6))
    assert method.notes(classifier) == ["at the feature map, by a backward pass"]


def test_layercam_is_captums_gradient_times_activation_where_the_gradient_is_positive(classifier, images):
    layer = last_relu(classifier)
    product = LayerGradientXActivation(classifier, layer).attribute(images, CLASSES)
    theirs = product.relu().sum(1)  # A is not negative: the product's sign is the gradient's
    close(made("layercam").maps(classifier, images, CLASSES), theirs.view(4, 2, 6, 6))


def test_gradcam_plus_plus_by_the_papers_formula_cell_by_cell(classifier, images):
    activations = classifier.backbone.feature_map(images.flatten(0, 1)).detach().double().numpy()
    weights = classifier.head.weight.detach().double().numpy()
    expected = np.zeros((4, 2, 6, 6))
    for case, label in enumerate(CLASSES.tolist()):
        for frame in range(2):
            for k in range(16):
                gradient, a = weights[label, frame * 16 + k] / 36, activations[case * 2 + frame, k]
                alpha = gradient**2 / (2 * gradient**2 + a.sum() * gradient**3)
                expected[case, frame] += 36 * alpha * max(gradient, 0) * a
    expected = torch.from_numpy(np.maximum(expected, 0))
    close(made("gradcam-plus-plus").maps(classifier, images, CLASSES), expected)


@pytest.mark.parametrize("layer", [None, "features.1", "features.0"])
def test_eigencam_is_numpys_first_component(classifier, images, layer):
    part = classifier.backbone.features[: int((layer or "features.2")[-1]) + 1]
    activations = part(images.flatten(0, 1)).detach().double().numpy()
    ours = made("eigencam", layer=layer).maps(classifier, images, CLASSES).flatten(0, 1)
    for a, found in zip(activations, ours, strict=True):
        cells = a.reshape(16, 36).T
        first = cells @ np.linalg.svd(cells)[2][0]
        first = first if first.sum() >= 0 else -first
        close(found, torch.from_numpy(np.maximum(first, 0).reshape(6, 6)))


def test_gradient_input_is_captums(classifier, images):
    theirs = InputXGradient(classifier).attribute(images.clone().requires_grad_(), CLASSES)
    close(made("gradient-input", baseline=0.0).maps(classifier, images, CLASSES), theirs[:, :, 0].relu())


def test_integrated_gradients_are_captums_and_complete(classifier, images):
    method = made("integrated-gradients", steps=20)
    theirs = CaptumIntegrated(classifier).attribute(images, -1.0, CLASSES, n_steps=20)
    close(method.maps(classifier, images, CLASSES), theirs[:, :, 0].float().relu())
    total = (
        made("integrated-gradients", steps=300).attributions(classifier, images, CLASSES).sum((1, 2, 3, 4))
    )
    with torch.no_grad():
        ends = classifier(images) - classifier(torch.full_like(images, -1))
    torch.testing.assert_close(total, ends.gather(1, CLASSES[:, None])[:, 0], rtol=1e-2, atol=1e-2)


def test_occlusion_is_captums(classifier, images):
    ours = made("occlusion", cells=6).maps(classifier, images, CLASSES)
    theirs = CaptumOcclusion(classifier).attribute(
        images, (1, 1, 4, 4), strides=(1, 1, 4, 4), target=CLASSES, baselines=-1.0
    )
    close(ours, theirs[:, :, 0, ::4, ::4].relu())


@pytest.mark.parametrize("name", NAMES)
def test_every_method_leaves_the_classifier_as_it_was_and_cases_alone(classifier, images, name):
    classifier.train()
    classifier.frozen = True
    before = {key: value.clone() for key, value in classifier.state_dict().items()}
    method = made(name)
    classifier.eval()
    logits, several = method.explain(classifier, images, lambda z: torch.tensor([[0, 2]] * len(z)))
    torch.testing.assert_close(logits, classifier(images).detach())
    assert several.shape[:3] == (4, 2, 2)
    assert not several.requires_grad
    assert (several >= 0).all()
    one = method.maps(classifier, images[1:2], torch.tensor([2]))
    torch.testing.assert_close(one[0], several[1, 1], rtol=1e-4, atol=1e-6)
    assert classifier.frozen
    assert all(p.requires_grad and p.grad is None for p in classifier.parameters())
    assert all(torch.equal(value, before[key]) for key, value in classifier.state_dict().items())


@pytest.mark.parametrize("name", [name for name in NAMES if name != "eigencam"])
def test_each_frame_has_its_own_map(classifier, images, name):
    """What changes in ES changes nothing in the map of ED where the head is linear in the frames."""
    changed = images.clone()
    changed[:, 1] = -changed[:, 1]
    maps, others = (made(name).maps(classifier, x, CLASSES) for x in (images, changed))
    torch.testing.assert_close(maps[:, 0], others[:, 0], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(maps[:, 1], others[:, 1], atol=1e-4)


def test_a_layer_that_does_not_exist_is_told_with_those_that_do(classifier):
    message = r"unknown layer 'features.9': did you mean .*known to backbone 'tiny': features, features.0"
    with pytest.raises(CmrbiasError, match=message):
        made("gradcam", layer="features.9").notes(classifier)
    with pytest.raises(CmrbiasError, match="at most 24 cells a side, got 30"):
        made("occlusion", cells=30).maps(classifier, torch.zeros(1, 2, 1, 24, 24), torch.tensor([0]))
