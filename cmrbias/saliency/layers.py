"""A layer's activations and the gradients of logits at it: what the CAM family is made of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cmrbias.api import Backbone
from cmrbias.backbones import Classifier
from cmrbias.errors import CmrbiasError, unknown


def has_linear_head(classifier: Classifier) -> bool:
    """Whether logits are linear in the embeddings, so that their gradients need no backward pass."""
    return type(classifier.head) is nn.Linear


def feature_map(classifier: Classifier, images: Tensor) -> Tensor:
    """Returns the feature map (N * F, K, h, w) of the frames of cases (N, F, 1, H, W).

    Raises:
        CmrbiasError: the network's embeddings are not its mean, so that it does not decide the logits.
    """
    backbone = classifier.backbone
    if type(backbone).forward is not Backbone.forward:
        raise CmrbiasError(
            f"backbone {backbone.name!r}: its embeddings are not the mean of its feature map: choose the "
            "layer that is explained by --layer"
        )
    singly = images.reshape(-1, 1, *images.shape[-2:])
    return backbone.feature_map(singly.contiguous(memory_format=torch.channels_last))


def find_layer(backbone: Backbone, name: str) -> nn.Module:
    """Returns a module of the network by its name in ``named_modules``.

    Raises:
        CmrbiasError: there is none; the error lists those near and those that hold the others.
    """
    modules: dict[str, nn.Module] = dict(backbone.named_modules())
    modules.pop("")
    if name not in modules:
        near = str(unknown("layer", name, modules)).partition("(known: ")[0]
        listed = ", ".join(layer for layer in modules if layer.count(".") <= 1)
        raise CmrbiasError(f"{near}(known to backbone {backbone.name!r}: {listed}, and the modules in them)")
    return modules[name]


@contextmanager
def tapped(layer: nn.Module, name: str) -> Iterator[list[Tensor]]:
    """Within, a forward pass leaves the layer's output in the list, as the start of its gradient's graph.

    Only what follows the layer is kept for the backward pass. Later in-place operations act on a copy.

    Raises:
        CmrbiasError: the layer's output has not the form (N, K, h, w).
    """
    seen: list[Tensor] = []

    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if not isinstance(output, Tensor) or output.ndim != 4:
            form = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise CmrbiasError(f"layer {name!r}: expected an output (N, K, h, w), got {form}: choose another")
        seen.append(output.detach().requires_grad_())
        return seen[-1].clone()

    handle = layer.register_forward_hook(hook)
    try:
        yield seen
    finally:
        handle.remove()
    if len(seen) != 1:
        raise CmrbiasError(f"layer {name!r}: expected to be used once a forward pass, is {len(seen)} times")


def feature_gradients(classifier: Classifier, activations: Tensor, logits: Tensor, classes: Tensor) -> Tensor:
    """Returns the gradients of logits at the feature map without a backward pass, (N * F, M, K, h, w).

    The head is linear over means of the h x w cells: each cell's gradient is W[c, k] / (h w).

    Args:
        classifier: one that ``has_linear_head``.
        activations: (N * F, K, h, w), its feature map of the frames.
        logits: not needed; here so that both ways to gradients are called alike.
        classes: (N, M) int64.
    """
    height, width = activations.shape[2:]
    slices = classifier.head.weight[classes].detach().float() / (height * width)  # (N, M, F * K)
    singly = slices.view(*classes.shape, -1, activations.shape[1]).transpose(1, 2).flatten(0, 1)
    return singly[..., None, None].expand(*singly.shape, height, width)


def backward_gradients(
    classifier: Classifier, activations: Tensor, logits: Tensor, classes: Tensor
) -> Tensor:
    """Returns the gradients of logits (N, K) at a layer's activations by M backward passes.

    Args:
        classifier: not needed, see ``feature_gradients``.
        activations: (N * F, C, h, w).
        logits: computed from ``activations``, with their graph.
        classes: (N, M) int64.

    Returns:
        (N * F, M, C, h, w).
    """
    chosen = logits.gather(1, classes).sum(0)
    count = len(chosen)
    found = [torch.autograd.grad(chosen[i], activations, retain_graph=i + 1 < count)[0] for i in range(count)]
    return torch.stack(found, 1)
