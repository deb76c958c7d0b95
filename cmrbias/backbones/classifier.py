"""A classifier: one encoder for all frames of a case, their embeddings side by side, one linear layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cmrbias.api import Backbone
from cmrbias.backbones.weights import checkpoint_file, read_checkpoint
from cmrbias.errors import CmrbiasError
from cmrbias.inputs import InputMode

if TYPE_CHECKING:
    from cmrbias.plugins import Plugins


class Classifier(nn.Module):
    """Frames of a case (N, F, H, W) or (N, F, 1, H, W) in [-1, 1] -> logits (N, K), float32.

    Slice ``head.weight[:, f * dim : (f + 1) * dim]`` belongs to frame f.

    Attributes:
        backbone: encodes each frame alone: (N * F, 1, H, W) -> (N * F, dim).
        head: ``nn.Linear(F * dim, K)``.
        target: the cohort's column that it predicts.
        kind: what the logits are: ``class``, for a softmax over classes, or ``binary``, each a finding's.
        classes: the K classes' names.
        frames: the F frames' names, in order.
        image_size: side in pixels of the images that it was trained on.
        input: what it was shown (see ``InputMode``; ``input.tested()`` is what it is tested on).
        frozen: whether the backbone stays in eval mode and gets no gradient.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        target: str,
        classes: Sequence[str],
        frames: Sequence[str],
        image_size: int,
        input: InputMode,
        kind: str = "class",
        frozen: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(len(frames) * backbone.dim, len(classes))
        self.target, self.kind = target, kind
        self.classes, self.frames = tuple(classes), tuple(frames)
        self.image_size, self.input, self.frozen = image_size, input, frozen
        if frozen:
            backbone.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Classifier:
        """Sets training mode; a frozen backbone stays in eval mode, so its statistics do not drift."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def forward(self, images: Tensor, explain: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Returns logits (N, K) float32, and with ``explain`` the GradCAM maps (N, F, h, w) beside them.

        Args:
            images: as above, or ``embed``'s embeddings (N, F * dim).
            explain: (N,) int64, the class whose logit each case's maps explain (see ``gradcam``).

        Raises:
            CmrbiasError: the cases have another number of frames.
        """
        if images.ndim != 2 and images.shape[1] != len(self.frames):
            raise CmrbiasError(
                f"images: expected {len(self.frames)} frames ({', '.join(self.frames)}), got "
                f"{images.shape[1]} in shape {tuple(images.shape)}"
            )
        if explain is not None:
            activations = self._encoded(self.backbone.feature_map, images)
            embeddings = activations.mean((2, 3)).view(len(images), -1)
            return self._logits(embeddings), self.gradcam(activations, explain)
        return self._logits(images if images.ndim == 2 else self.embed(images))

    def embed(self, images: Tensor) -> Tensor:
        """Returns the frames' embeddings side by side, (N, F * dim)."""
        return self._encoded(self.backbone, images).view(len(images), -1)

    def gradcam(self, activations: Tensor, classes: Tensor) -> Tensor:
        """Returns GradCAM of the feature map in closed form, (N, F, h, w) float32, without a backward pass.

        The head is linear over means of the h x w cells, so that the gradient of logit c is the same in
        every cell of channel k, W[c, k] / (h w), and the map relu(sum over k of W[c, k] A_k) / (h w).
        Differentiable in the activations and in the head's weights.

        Args:
            activations: (N * F, dim, h, w), the backbone's ``feature_map`` of the frames.
            classes: (N,) int64, the class that is explained.

        Source: Selvaraju et al. 2017, "Grad-CAM", equations 1 and 2 (section 3.1 on this case).
        """
        cells = activations.shape[2] * activations.shape[3]
        weights = self.head.weight[classes].reshape(*activations.shape[:2], 1, 1)
        with torch.autocast(activations.device.type, enabled=False):
            maps = (weights.float() * activations.float()).sum(1).relu() / cells
        return maps.view(len(classes), -1, *maps.shape[1:])

    def _encoded(self, encode: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        """Returns what ``encode`` makes of each frame alone, without gradient for a frozen backbone."""
        singly = images.reshape(-1, 1, *images.shape[-2:]).contiguous(memory_format=torch.channels_last)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return encode(singly)

    def _logits(self, embeddings: Tensor) -> Tensor:
        with torch.autocast(embeddings.device.type, enabled=False):
            logits: Tensor = self.head(embeddings.float())
        return logits

    def state(self) -> dict[str, Any]:
        """Returns what a checkpoint holds, from which ``load_classifier`` builds it again."""
        return {
            "backbone": self.backbone.state_dict(),
            "backbone_name": self.backbone.name,
            "stride": self.backbone.stride,
            "classifier": {
                "target": self.target,
                "kind": self.kind,
                "classes": list(self.classes),
                "frames": list(self.frames),
                "image_size": self.image_size,
                "input": dataclasses.asdict(self.input),
                "head": self.head.state_dict(),
            },
        }


def load_classifier(path: Path | str, plugins: Plugins | None = None) -> Classifier:
    """Returns the classifier of a run of ``finetune`` or ``probe``, in eval mode.

    Args:
        path: a run (``best.pt`` if it has one, else ``last.pt``) or a checkpoint in it.
        plugins: where its network is looked up; None means the installed plugins.

    Raises:
        CmrbiasError: no such run, one without a classifier, or nothing installed offers its network.
    """
    from cmrbias.plugins import plugin_manager

    file = checkpoint_file(Path(path))
    content = read_checkpoint(file)
    if not isinstance(content, dict) or "classifier" not in content:
        raise CmrbiasError(
            f"{file}: holds no classifier: expected a run of 'cmrbias finetune' or 'cmrbias probe'; make "
            f"one with: cmrbias finetune --weights {path}"
        )
    stored = dict(content["classifier"])
    offered = (plugins or plugin_manager()).registry("backbones")
    backbone: Backbone = offered.get(content["backbone_name"])(stride=content["stride"])
    head, mode = stored.pop("head"), InputMode(**stored.pop("input"))
    classifier = Classifier(backbone, input=mode, **stored)
    backbone.load_state_dict(content["backbone"])
    classifier.head.load_state_dict(head)
    return classifier.eval()
