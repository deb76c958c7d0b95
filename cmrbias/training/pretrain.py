"""Self-supervised pretraining of single frames: the task that holds any ``Method``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmrbias import draws
from cmrbias.api import Batch, Method, Pairing, Recipe, Setup, Task, View, option
from cmrbias.augmentations.pipeline import Pipeline, build_pipeline
from cmrbias.backbones.weights import load_weights
from cmrbias.errors import CmrbiasError
from cmrbias.options import build, options_of
from cmrbias.training.frames import Frames
from cmrbias.training.monitor import embedding_std, estimated_statistics, knn_accuracy
from cmrbias.training.optimisers import make_optimiser
from cmrbias.training.precision import autocast

HEART_SHOWN = (
    0.25  # a view that shows less of the heart counts as without heart (paper.md, "What CSS views show")
)
MONITORED = 2048  # frames at most that the monitor embeds after each epoch


class Pretrain(Task):
    """Trains a method on the frames of ``split == train``; the checkpoint's backbone is what is kept."""

    @dataclass(frozen=True)
    class Options:
        """What ``cmrbias pretrain`` trains; the recipe says how."""

        method: str = option(help="self-supervised method")
        backbone: str = option("densenet121", "network")
        stride: int = option(32, "output stride of the network, 32 or 16 (finer maps)")
        method_options: dict[str, Any] = field(
            default_factory=dict, metadata={"help": "options of the method"}
        )
        pairs: str = option("same-image", "which two frames make a positive pair")
        pair_options: dict[str, Any] = field(
            default_factory=dict, metadata={"help": "options of the pairing"}
        )
        weights: str | None = option(None, "file or run whose backbone weights training starts from")
        label: str | None = option(None, "target column for the kNN accuracy (default: the cohort's first)")

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        options, plugins = setup.options, setup.plugins
        torch.manual_seed(setup.seed)  # the initial weights
        self.backbone = plugins.registry("backbones").get(options.backbone)(stride=options.stride)
        if options.weights:
            self.notes.append(str(load_weights(self.backbone, options.weights)))
        method = plugins.registry("methods").get(options.method)
        values = {**setup.recipe.options, **options.method_options}
        self.method: Method = method(
            self.backbone, build(options_of(method), values, f"method {options.method!r}")
        )
        self.module: nn.Module = self.method.to(setup.device, memory_format=torch.channels_last)
        self.frames = Frames(setup.cohort)
        self.method.fit(self.frames)
        self.notes += self.method.warnings(len(self.frames))
        self.pairing = _pairing(setup, self.frames)
        self.notes += self.pairing.notes()
        self.pipelines = [_pipeline(setup, view, self.frames) for view in self.method.views]
        wanted = [*self.method.columns, *(c for p in self.pipelines for c in p.columns)]
        self.columns = {c for c in wanted if c != "area" and self.frames.has(c)}
        self._label = _label(setup, self.frames)

    def __len__(self) -> int:
        return len(self.frames)

    def optimisers(self, recipe: Recipe) -> dict[str, torch.optim.Optimizer]:
        """Returns the one optimiser, called ``loss``."""
        groups = self.method.param_groups(recipe.weight_decay, recipe.decay_norms)
        return {"loss": make_optimiser(recipe, groups)}

    def load(self, rows: Tensor, epoch: int) -> tuple[tuple[Tensor, ...], Batch, dict[str, Tensor]]:
        """Returns the views (each (N, 1, H, W)), their batch record and what they show."""
        seed, device = self.setup.seed, self.setup.device
        partners = self.pairing.partner(rows, epoch, seed)
        query = self._source(rows)
        partner = query if torch.equal(rows, partners) else self._source(partners)
        sources = [query, *[partner] * (len(self.pipelines) - 1)]
        views, masks, shown = [], [], []
        for number, (pipeline, source) in enumerate(zip(self.pipelines, sources, strict=True)):
            keys = draws.keys(seed, epoch, source.index, number)
            view, mask = pipeline(source.images, source.masks, keys, source.columns)
            views.append(view.to(device, memory_format=torch.channels_last))
            masks.append(None if mask is None else mask.to(device))
            shown.append(pipeline.metrics())
        record = Batch(
            index=tuple(source.index.to(device) for source in sources),
            masks=tuple(masks),
            columns={
                name: tuple(source.columns[name].to(device) for source in sources)
                for name in sorted(self.columns)
            },
        )
        return tuple(views), record, _views_shown(shown)

    def step(self, batch: Any, progress: float) -> dict[str, Tensor]:
        """Returns the loss, the method's metrics and what the views showed."""
        views, record, shown = batch
        loss = self.module(views, record)
        return {"loss": loss, **self.method.metrics, **shown}

    def after_step(self, progress: float) -> None:
        """Lets the method move its averages."""
        self.method.after_step(progress)

    def validate(self, epoch: int) -> dict[str, float]:
        """Returns the embeddings' spread, and their kNN accuracy where the cohort has labels.

        Raises:
            CmrbiasError: embeddings are not finite.
        """
        rows = np.arange(len(self.frames))
        if len(rows) > MONITORED:
            order = draws.permutation(self.setup.seed, -1, len(rows))
            rows = np.sort(order[:MONITORED].numpy())
        embeddings = self._initial(rows) if self._untrained(epoch) else self.embed(rows)
        if not embeddings.isfinite().all():
            raise CmrbiasError(
                f"epoch {epoch}: embeddings are not finite: the training diverged: lower --lr, or use "
                "--precision fp32"
            )
        metrics = {"embedding_std": embedding_std(embeddings)}
        if self._label is not None:
            patients = self.frames.codes("patient")[rows]
            metrics["knn_accuracy"] = knn_accuracy(embeddings, self._label[rows], patients)
        return metrics

    def record(self) -> dict[str, Any]:
        """Returns what the encoder starts from, how many images (views) it sees an epoch, and the pairs."""
        batch = self.setup.recipe.batch
        return {
            "initialisation": self.setup.options.weights or "random init",
            "images_per_epoch": len(self) // batch * batch * len(self.pipelines),
            "pairing": self.pairing.record(),
        }

    def checkpoint(self) -> dict[str, Any]:
        """Returns the backbone's weights and name."""
        return {
            "backbone": self.backbone.state_dict(),
            "backbone_name": self.backbone.name,
            "stride": self.backbone.stride,
        }

    @torch.no_grad()
    def embed(self, rows: np.ndarray, batch: int = 64) -> Tensor:
        """Returns float32 embeddings (n, dim) of whole frames, with the backbone in eval mode."""
        training = self.method.training
        self.method.eval()
        with autocast(self.setup.precision, self.setup.device):
            parts = [self.backbone(images).float().cpu() for images in self._whole(rows, batch)]
        self.method.train(training)
        return torch.cat(parts)

    def _untrained(self, epoch: int) -> bool:
        return epoch == 0 and self.setup.options.weights is None

    def _initial(self, rows: np.ndarray) -> Tensor:
        """Embeds with random weights: their batch statistics are estimated first, then forgotten."""
        with (
            autocast(self.setup.precision, self.setup.device),
            estimated_statistics(self.backbone, self._whole(rows)),
        ):
            return self.embed(rows)

    def _whole(self, rows: np.ndarray, batch: int = 64) -> Iterator[Tensor]:
        """Yields whole frames (n, 1, size, size) in [-1, 1], as the network sees them when it is used."""
        size = self.setup.recipe.image_size
        for start in range(0, len(rows), batch):
            images = self.frames.images(rows[start : start + batch])
            images = F.interpolate(images, (size, size), mode="bilinear", antialias=True) * 2 - 1
            yield images.to(self.setup.device, memory_format=torch.channels_last)

    def _source(self, rows: Tensor) -> _Source:
        of = rows.numpy()
        columns = {name: torch.as_tensor(self.frames.codes(name)[of]) for name in sorted(self.columns)}
        columns["area"] = torch.as_tensor(self.frames.area[of], dtype=torch.float64)
        if self._label is not None:
            columns["label"] = torch.as_tensor(self._label[of])
        return _Source(self.frames.index[rows], self.frames.images(of), self.frames.masks(of), columns)


@dataclass(frozen=True)
class _Source:
    """Stored frames, before augmentation: numbers in the cohort, images, masks, codes and valid areas."""

    index: Tensor
    images: Tensor
    masks: Tensor | None
    columns: dict[str, Tensor]


def _pairing(setup: Setup, frames: Frames) -> Pairing:
    name = setup.options.pairs
    pairing = setup.plugins.registry("pairings").get(name)
    built: Pairing = pairing(build(options_of(pairing), setup.options.pair_options, f"pairing {name!r}"))
    built.fit(frames)
    return built


def _pipeline(setup: Setup, view: View, frames: Frames) -> Pipeline:
    """Returns the pipeline of one view; what the view leaves open is the recipe's."""
    spec = setup.recipe.augmentations if view.augmentations is None else view.augmentations
    size = view.size or setup.recipe.image_size
    pipeline = build_pipeline(setup.plugins.registry("augmentations"), spec, size)
    if pipeline.needs_masks and not setup.cohort.has_masks:
        raise CmrbiasError(
            f"{setup.cohort.path}: has no heart masks, which the augmentations {', '.join(spec)} need: "
            "leave out those that use masks"
        )
    return pipeline


def _label(setup: Setup, frames: Frames) -> np.ndarray | None:
    """Returns codes (N,) of the column that the kNN accuracy uses, -1 where unknown; None without one."""
    name = setup.options.label or next(iter(setup.cohort.targets), None)
    if name is None:
        return None
    codes, vocabulary = frames.codes(name), frames.values(name)
    target = setup.cohort.targets.get(name, {})
    if target.get("missing") is not None:  # what an empty cell stands for
        absent = _position(vocabulary, str(target["missing"]))
        codes = np.where(codes < 0, absent if absent >= 0 else len(vocabulary), codes)
    if target.get("uncertain") is not None:
        codes = np.where(codes == _position(vocabulary, str(target["uncertain"])), -1, codes)
    return codes if len(np.unique(codes[codes >= 0])) > 1 else None


def _position(vocabulary: list[str], value: str) -> int:
    return vocabulary.index(value) if value in vocabulary else -1


def _views_shown(shown: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Returns batch means of what each view's pipeline reports a row.

    ``heart_shown`` becomes the share of pairs in which either view shows too little of the heart;
    rows without a heart mask (NaN) take no part.
    """
    means = {}
    for name in sorted({name for view in shown for name in view}):
        rows = torch.stack([view[name] for view in shown if name in view])
        if name == "heart_shown":
            known = ~rows.isnan().any(0)
            lost = (rows < HEART_SHOWN).any(0)[known]
            means["views_without_heart"] = lost.double().mean() if len(lost) else torch.tensor(torch.nan)
        else:
            means[name] = rows.double().nanmean()
    return means
