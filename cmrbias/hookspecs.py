"""Every hook of cmrbias, on one page.

A plugin is a module with any of these functions, marked ``@cmrbias.hookimpl``, named by an entry
point in the group ``cmrbias``. The ``register_*`` hooks are called once a kind, when something of
that kind is first looked up; each gets ``register(name, thing)``, which is tied to the plugin that
it was handed to. ``thing.Options`` is a frozen dataclass (see ``cmrbias.options``). Commands are no
hook: an entry point in the group ``cmrbias.commands`` (name = command) names a ``click.Command``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from cmrbias.api import Augmentation, Backbone, Method, Pairing, Reader, Saliency, Task
    from cmrbias.scores import Score
    from cmrbias.training.run import Run

hookspec = pluggy.HookspecMarker("cmrbias")
hookimpl = pluggy.HookimplMarker("cmrbias")


@hookspec
def register_methods(register: Callable[[str, type[Method]], None]) -> None:
    """Self-supervised methods: ``register("moco", MoCo)``. Called before a pretraining is set up."""


@hookspec
def register_pairings(register: Callable[[str, type[Pairing]], None]) -> None:
    """Which two frames make a positive pair: ``register("same-case", SameCase)``.

    Called before a pretraining is set up.
    """


@hookspec
def register_augmentations(register: Callable[[str, type[Augmentation]], None]) -> None:
    """Augmentations: ``register("background-swap", BackgroundSwap)``. Called before a training is set up."""


@hookspec
def register_saliency(register: Callable[[str, type[Saliency]], None]) -> None:
    """How a saliency map is made: ``register("gradcam", GradCAM)``. Called before maps are made."""


@hookspec
def register_scores(register: Callable[[str, Score], None]) -> None:
    """How a saliency map is scored against the heart mask: ``register("aks", aks)``.

    Called before maps are scored. A score is a function of ``cmrbias.ops.Overlap``.
    """


@hookspec
def register_backbones(register: Callable[[str, Callable[..., Backbone]], None]) -> None:
    """Networks: ``register("densenet121", densenet121)``. Called before a model is built or loaded."""


@hookspec
def register_readers(register: Callable[[str, type[Reader]], None]) -> None:
    """How a source becomes cases: ``register("acdc", AcdcReader)``.

    Called by ``cohort import``; each is a subcommand.
    """


@hookspec
def register_tasks(register: Callable[[str, type[Task]], None]) -> None:
    """What the training loop trains: ``register("pretrain", Pretrain)``.

    Called before a training is set up.
    """


@hookspec
def on_run_start(run: Run) -> None:
    """Called once when a run's directory exists and before the first step; on rank 0 only."""


@hookspec
def on_epoch_end(run: Run, epoch: int, metrics: dict[str, float]) -> None:
    """Called after an epoch's checkpoint is on disk, with its line of ``log.jsonl``; on rank 0 only."""


@hookspec
def on_run_end(run: Run, error: BaseException | None) -> None:
    """Called last, always: ``error`` is what ended the run early, or None; on rank 0 only."""
