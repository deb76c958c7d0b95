"""What plugin authors import: the base classes of everything that can be registered.

from cmrbias.api import Backbone, Batch, Method, Recipe, hookimpl, option
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from cmrbias import draws
from cmrbias.cohorts.case import Case, Reader, SourceError
from cmrbias.distributed import gather, shared_permutation, world
from cmrbias.errors import CmrbiasError
from cmrbias.hookspecs import hookimpl
from cmrbias.ops import Overlap
from cmrbias.options import NoOptions, option, options

if TYPE_CHECKING:
    from cmrbias.backbones import Classifier
    from cmrbias.cohorts.format import Cohort
    from cmrbias.plugins import Plugins

__all__ = [
    "ONE_VIEW", "TWO_VIEWS", "Augmentation", "Backbone", "Batch", "Case", "Choose", "CmrbiasError",
    "Method", "NoOptions", "Overlap", "Pairing", "Params", "Reader", "Recipe", "Saliency", "Setup",
    "SourceError", "Table", "Task", "View", "decay_groups", "draws", "gather", "hookimpl",
    "option", "options", "shared_permutation", "world",
]  # fmt: skip

Params = dict[str, Tensor]
# logits (N, K) -> the M classes that are explained of each case, (N, M) int64
Choose = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Recipe:
    """How something is trained unless flags say otherwise. Keys of ``recipes``: ``quick``, ``paper``.

    ``augmentations`` maps names to options, applied in that order; ``options`` are defaults for the
    method's own options; ``min_lr`` is where a cosine schedule ends.
    """

    epochs: int
    batch: int
    lr: float
    optimiser: str = "adam"  # adam, adamw, sgd
    weight_decay: float = 0.0
    momentum: float = 0.9  # sgd only
    decay_norms: bool = False  # weight decay on biases and norm parameters too
    schedule: str = "cosine"  # cosine, constant, steps
    milestones: Sequence[int] = ()  # epochs after which ``steps`` takes a tenth of the rate
    warmup_epochs: float = 0.0
    min_lr: float = 0.0
    image_size: int = 224
    options: Mapping[str, Any] = field(default_factory=dict)
    augmentations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class View:
    """One augmented copy of an image; None means the recipe's image size or augmentations."""

    size: int | None = None
    augmentations: Mapping[str, Mapping[str, Any]] | None = None


ONE_VIEW = (View(),)
TWO_VIEWS = (View(), View())


@dataclass(frozen=True)
class Batch:
    """What is known of the images in a step, one record a view.

    View 0 is the query's, later views are the partner's.

    Attributes:
        index: each (N,) int64, the frame's number in the cohort (``case * frames + frame``).
        masks: each (N, 1, H, W) float32 in {0, 1}, moved with the view, or None without masks;
            a frame whose mask is incomplete has an empty one.
        columns: column name to one (N,) int64 tensor of codes a view; -1 is an empty cell.
    """

    index: tuple[Tensor, ...]
    masks: tuple[Tensor | None, ...]
    columns: Mapping[str, tuple[Tensor, ...]] = field(default_factory=dict)


class Backbone(nn.Module):
    """An image encoder: (N, 1, H, W) float32 in [-1, 1] -> embeddings (N, ``dim``).

    ``feature_map`` gives the last maps (N, ``dim``, h, w); the embedding is their mean over cells.
    ``name`` and ``stride`` (input pixels a cell) are recorded in checkpoints.
    """

    name: str
    dim: int
    stride: int

    def feature_map(self, images: Tensor) -> Tensor:
        """Returns non-negative maps (N, dim, ceil(H / stride), ceil(W / stride))."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Returns embeddings (N, dim)."""
        return self.feature_map(images).mean((2, 3))


class Method(nn.Module):
    """A self-supervised method: one class, the loss its ``forward``.

    All state that an exact resume needs lives in parameters and persistent buffers. Random draws
    inside ``forward`` come from torch's generator, which the loop seeds anew for each step.

    Attributes:
        Options: frozen dataclass of the method's options.
        recipes: at least ``quick`` and ``paper``.
        views: how many views a step gets; may be set in ``__init__``.
        columns: metadata columns whose codes ``batch.columns`` should hold (absent ones are left out);
            may be set in ``__init__``.
        metrics: scalars set in ``forward``, averaged over an epoch's steps into ``log.jsonl``.
    """

    Options: ClassVar[type] = NoOptions
    recipes: ClassVar[Mapping[str, Recipe]] = {}
    views: tuple[View, ...] = TWO_VIEWS
    columns: tuple[str, ...] = ()

    def __init__(self, backbone: Backbone, options: Any) -> None:
        super().__init__()
        self.backbone = backbone
        self.options = options
        self.metrics: dict[str, Tensor] = {}

    def forward(self, views: tuple[Tensor, ...], batch: Batch) -> Tensor:
        """Returns the loss, a float32 scalar, of views each (N, 1, H, W)."""
        raise NotImplementedError

    def after_step(self, progress: float) -> None:
        """Called once after each optimiser step; ``progress`` runs from 0 to 1 over the training."""

    def fit(self, table: Table) -> None:
        """Called once, before training, with the training frames; refuses a table that does not do."""

    def warnings(self, frames: int) -> list[str]:
        """Returns what the user should know before training on ``frames`` frames, a sentence each."""
        return []

    def param_groups(self, weight_decay: float, decay_norms: bool) -> list[dict[str, Any]]:
        """Returns the optimiser's groups; by default no decay on biases and norm parameters."""
        return decay_groups(self, weight_decay, decay_norms)


class Augmentation:
    """A random change of images, a function of each row's key alone.

    ``draw`` makes the random numbers, ``apply`` uses them; images are (N, 1, H, W) float32 in
    [0, 1], where 0 is also what lies outside the image. Geometry moves masks alike (nearest).
    ``size`` is the side of the finished view in pixels.

    Attributes:
        needs_masks: refuse to run on a cohort without masks.
        mixes_rows: a row's result depends on other rows of the batch.
        metrics: may be set by ``apply``: name to one value a row (N,) of the last images.
        columns: metadata columns whose codes (N,) int64 ``apply`` finds in ``params`` by their name;
            ``area`` stands for the valid area (N, 4) float64: top, left, height, width in pixels;
            ``label`` for the target that the run is monitored by, -1 unknown, absent without one.
    """

    Options: ClassVar[type] = NoOptions
    needs_masks: bool = False
    mixes_rows: ClassVar[bool] = False
    columns: ClassVar[tuple[str, ...]] = ()

    def __init__(self, options: Any, size: int) -> None:
        self.options = options
        self.size = size
        self.metrics: dict[str, Tensor] = {}

    def draw(self, keys: Tensor) -> Params:
        """Returns this augmentation's random numbers: tensors with one row a key (N,) int64."""
        return {}

    def apply(self, images: Tensor, masks: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Returns changed images (N, 1, H', W') and masks (N, 1, H', W') float32 or None."""
        raise NotImplementedError


class Saliency:
    """How a map is made that says where in each frame the evidence for a class lies.

    A subclass writes ``maps``. It explains the class's logit, never its softmax, leaves the classifier as
    it found it (mode, gradients, batch statistics), and gives a case the same map whatever else is in
    the batch. A negative, infinite or NaN value is an error that names the method.

    Attributes:
        Options: frozen dataclass of its options; ``--layer NAME`` sets the option ``layer``.
    """

    Options: ClassVar[type] = NoOptions

    def __init__(self, options: Any) -> None:
        self.options = options

    def maps(self, classifier: Classifier, images: Tensor, classes: Tensor) -> Tensor:
        """Returns maps (N, F, h, w) float32, finite and at least 0, one a frame.

        A map spans its whole frame: cell (i, j) stands for the pixels around ((i + 0.5) H / h,
        (j + 0.5) W / w), and the map is upsampled bilinearly before it is scored; h and w are the same
        in every batch. It may be (H, W) itself. Its scale is free: scores see it min-max normalised.

        Args:
            classifier: in eval mode; ``classifier(images)`` gives logits (N, K), ``classifier.backbone``
                and ``classifier.head`` are what they come from.
            images: (N, F, 1, H, W) float32 in [-1, 1], without gradient; where they are, maps go.
            classes: (N,) int64, the class of each case that is explained.
        """
        raise NotImplementedError

    def explain(self, classifier: Classifier, images: Tensor, choose: Choose) -> tuple[Tensor, Tensor]:
        """Returns logits (N, K) and maps (N, M, F, h, w) of the classes ``choose(logits)`` (N, M).

        By default the network runs once for the logits and ``maps`` is called for each of the M columns.
        A method that can serve several classes from one forward pass writes this as well.
        """
        with torch.no_grad():
            logits: Tensor = classifier(images)
        columns = choose(logits).unbind(1)
        return logits, torch.stack([self.maps(classifier, images, classes) for classes in columns], 1)

    def notes(self, classifier: Classifier) -> list[str]:
        """Returns what the user should know of how these maps are made, a sentence each.

        Called once before any map; options that do not fit the classifier are refused here.
        """
        return []


class Table(Protocol):
    """A table with one row a frame, as pairings see it."""

    def __len__(self) -> int: ...

    def codes(self, column: str) -> np.ndarray:
        """Returns integer codes (N,) int64 of a column, -1 for empty cells; ``frame`` is one too.

        Raises:
            CmrbiasError: there is no such column.
        """
        ...

    def values(self, column: str) -> list[str]:
        """Returns the values of a column that its codes number, in their order; raises as ``codes``."""
        ...


class Pairing:
    """Which frame is the positive partner of a frame."""

    Options: ClassVar[type] = NoOptions

    def __init__(self, options: Any) -> None:
        self.options = options

    def fit(self, table: Table) -> None:
        """Called once, before training, with the training frames; refuses a table that does not do."""

    def notes(self) -> list[str]:
        """Returns what the user should know of the pairs after ``fit``, a sentence each."""
        return []

    def record(self) -> dict[str, Any]:
        """Returns what ``run.json`` tells of the pairs after ``fit``, as plain values."""
        return {}

    def partner(self, index: Tensor, epoch: int, seed: int) -> Tensor:
        """Returns the partners' rows (N,) int64 of rows ``index`` (N,) int64: pure and vectorised."""
        raise NotImplementedError


@dataclass(frozen=True)
class Setup:
    """What a task is built from: the same for a new run and for its resumption.

    ``options`` is an instance of the task's ``Options``; ``plugins`` gives the registries.
    """

    cohort: Cohort
    plugins: Plugins
    options: Any
    recipe: Recipe
    seed: int
    device: torch.device
    precision: str  # fp32 or bf16


class Task:
    """What the one training loop trains.

    Attributes:
        setup: as given; a task may put one with another recipe in its place in ``__init__``, and the loop
            follows that recipe.
        module: holds all parameters and buffers, and moves to the setup's device in ``__init__``;
            ``step`` calls it, never a method beside its ``forward``.
        notes: what the user is told before training starts, a line each.
        images_per_row: how many images the network sees of a training row, for speeds.
    """

    Options: ClassVar[type] = NoOptions
    module: nn.Module
    images_per_row: int = 1

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.notes: list[str] = []

    def __len__(self) -> int:
        """Returns the number of training rows, from which the loop draws batches."""
        raise NotImplementedError

    def optimisers(self, recipe: Recipe) -> dict[str, torch.optim.Optimizer]:
        """Returns the optimisers by name; their learning rates follow the recipe's schedule."""
        raise NotImplementedError

    def load(self, rows: Tensor, epoch: int) -> Any:
        """Returns the batch of rows (N,) int64 of an epoch, augmented: a function of its arguments."""
        raise NotImplementedError

    def step(self, batch: Any, progress: float) -> dict[str, Tensor]:
        """Returns scalars: under each optimiser's name the loss it minimises, and further metrics."""
        raise NotImplementedError

    def after_step(self, progress: float) -> None:
        """Called once after the optimisers have stepped; ``progress`` runs from 0 to 1."""

    def validate(self, epoch: int) -> dict[str, float]:
        """Returns metrics at the end of an epoch (epoch 0: before training)."""
        return {}

    def merit(self, metrics: Mapping[str, float]) -> tuple[float, ...] | None:
        """Returns how good an epoch's metrics are, larger is better, compared number by number.

        What ``checkpoint`` returned after the best epoch is kept as ``best.pt``; None (the default)
        keeps none.
        """
        return None

    def record(self) -> dict[str, Any]:
        """Returns what ``run.json`` tells of the task beside its settings, as plain values."""
        return {}

    def checkpoint(self) -> dict[str, Any]:
        """Returns what a checkpoint holds beside ``module`` and the optimisers.

        ``backbone`` (a state dict), ``backbone_name`` and ``stride`` let ``--weights`` take the run.
        """
        return {}


def decay_groups(module: nn.Module, weight_decay: float, decay_norms: bool) -> list[dict[str, Any]]:
    """Returns optimiser groups of a module's trainable parameters.

    Biases and the parameters of norm layers (all those with one dimension) get no weight decay,
    unless ``decay_norms``.
    """
    trainable = [p for p in module.parameters() if p.requires_grad]
    if decay_norms:
        return [{"params": trainable, "weight_decay": weight_decay}]
    groups = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
