"""Supervised training of a classifier of cases, encoder and all."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cmrbias.api import Backbone, Recipe, Setup, Task, decay_groups, option
from cmrbias.backbones import Classifier, load_weights
from cmrbias.errors import CmrbiasError
from cmrbias.inputs import TRAINING, InputMode
from cmrbias.training.case_batches import CaseBatch, CaseBatches
from cmrbias.training.classify_notes import notes
from cmrbias.training.findings import masked_loss, mean_auc, outcome_weights
from cmrbias.training.labelled import Labelled, labelled
from cmrbias.training.monitor import macro_auc
from cmrbias.training.optimisers import make_optimiser
from cmrbias.training.precision import autocast
from cmrbias.training.recipes import PAPER, QUICK
from cmrbias.training.run import patient_hash
from cmrbias.training.saliency_term import mean_aks

TESTED = 32  # cases a forward pass when nothing is learnt


class Classify(Task):
    """Trains encoder and linear layer on the labelled cases of ``split == train``."""

    frozen: ClassVar[bool] = False
    recipes: ClassVar[Mapping[str, Recipe]] = {"quick": QUICK, "paper": PAPER}

    @dataclasses.dataclass(frozen=True)
    class Options:
        """What is trained on what; the recipe says how."""

        backbone: str = option("densenet121", "network")
        stride: int = option(32, "output stride of the network, 32 or 16 (finer maps)")
        weights: str | None = option(None, "file or run whose backbone weights training starts from")
        input: str = option("full", "input mode: " + ", ".join(TRAINING))
        input_options: dict[str, Any] = dataclasses.field(
            default_factory=dict, metadata={"help": "options of the input mode"}
        )
        label: str | None = option(
            None, "target column, or binary ones divided by commas (default: the first of kind class)"
        )
        frames: tuple[str, ...] = option((), "frames that a case is classified by (default: all)")
        validation: float = option(
            0.2, "share of training patients that select the checkpoint", minimum=0, maximum=0.5
        )
        fraction: float = option(
            1.0, "share of the other training patients whose labels are used", minimum=1e-6, maximum=1
        )
        draw: int = option(0, "which draw of that share", minimum=0)
        class_weights: Literal["auto", "balanced", "none"] = option(
            "auto",
            "weights in the loss: balanced (1/count), none, or auto: balanced for classes, none for "
            "binary targets, whose probabilities the log-loss scores",
        )
        saliency_weight: float = option(
            0.0, "weight of 1 - AKS of the true class in the loss (uses contours), 0 is off", minimum=0
        )

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        options = setup.options
        mode = InputMode.named(options.input, options.input_options, TRAINING)
        if options.saliency_weight and not setup.cohort.has_masks:
            raise CmrbiasError(
                f"{setup.cohort.path}: has no heart masks, which --saliency-weight needs: leave it out, or "
                "import the cohort with contours"
            )
        self.data = labelled(
            setup.cohort,
            options.label,
            options.frames,
            mode.needs_masks,
            options.validation,
            options.fraction,
            options.draw,
        )
        self._fit_batch(setup)
        if options.saliency_weight and self.data.kind == "binary":
            raise CmrbiasError(
                f"--saliency-weight: expected a target of kind 'class', {self.data.target!r} is binary: "
                "leave it out"
            )
        self.cases = self.data.cases
        if mode.name == "background-box":
            mode = dataclasses.replace(mode, box=self.cases.largest_extent())
        torch.manual_seed(setup.seed)  # the initial weights
        self.classifier = self._classifier(mode)
        self.module = self.classifier.to(setup.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.batches = CaseBatches(setup, self.data, mode, masks=options.saliency_weight > 0)
        self.images_per_row = len(self.cases.frames)
        self.labels = torch.as_tensor(self.data.labels)
        weights = _class_weights(self.data) if self._balanced() else None
        self.class_weights = None if weights is None else weights.to(setup.device)
        self.notes += self.data.notes()
        self.notes += notes(self.classifier, self.cases.complete[self.data.training], options.saliency_weight)

    def __len__(self) -> int:
        return len(self.data.training)

    def optimisers(self, recipe: Recipe) -> dict[str, torch.optim.Optimizer]:
        """Returns the one optimiser, called ``loss``."""
        groups = decay_groups(self.module, recipe.weight_decay, recipe.decay_norms)
        return {"loss": make_optimiser(recipe, groups)}

    def load(self, rows: Tensor, epoch: int) -> CaseBatch:
        """Returns the cases as the input mode and the augmentations make them, all frames alike."""
        return self.batches.load(self.data.training[rows.numpy()], epoch)

    def step(self, batch: CaseBatch, progress: float) -> dict[str, Tensor]:
        """Returns the loss, what the input mode measured and, with a saliency term, its mean AKS."""
        weight = self.setup.options.saliency_weight
        if not weight:
            return {"loss": self._loss(self.module(batch.inputs), batch.labels), **batch.metrics}
        assert batch.masks is not None
        logits, maps = self.module(batch.inputs, batch.labels)
        aks = mean_aks(maps.flatten(0, 1), batch.masks)
        term = (1 - aks).nan_to_num(0.0)  # no heart in the batch: nothing to draw saliency to
        return {"loss": self._loss(logits, batch.labels) + weight * term, "aks": aks, **batch.metrics}

    def validate(self, epoch: int) -> dict[str, float]:
        """Returns loss, macro AUC and accuracy of the validation part; at the end, the training AUC.

        Cases are shown as in a test: unaugmented, and in the mode in which the classifier is tested.
        """
        metrics = {}
        if len(self.data.validation):
            logits, labels = self.logits(self.data.validation), self.labels[self.data.validation]
            device = self.setup.device
            metrics["val_loss"] = float(self._loss(logits.to(device), labels.to(device)))
            metrics["val_auc"] = self._auc(logits, labels)
            if self.data.kind == "class":
                metrics["val_accuracy"] = float((logits.argmax(1) == labels).double().mean())
        if epoch == self.setup.recipe.epochs:
            logits = self.logits(self.data.training)
            metrics["train_auc"] = self._auc(logits, self.labels[self.data.training])
        return metrics

    def merit(self, metrics: Mapping[str, float]) -> tuple[float, ...] | None:
        """Returns validation AUC, then, for ties, the negative loss; None without a validation part."""
        if "val_auc" not in metrics:
            return None
        found = metrics["val_auc"], -metrics["val_loss"]
        return tuple(-math.inf if math.isnan(value) else value for value in found)

    def record(self) -> dict[str, Any]:
        """Returns what the classifier is, and on how many of which cases it was trained."""
        data, classifier, batch = self.data, self.classifier, self.setup.recipe.batch
        column = self.setup.cohort.column("patient")
        validating = sorted({patient_hash(p) for p in column[self.cases.case[data.validation]]})
        return {
            "target": data.target,
            "kind": data.kind,
            "classes": list(data.classes),
            "balanced": self._balanced(),
            "frames": list(self.cases.frames),
            "input": dataclasses.asdict(classifier.input),
            "initialisation": self.setup.options.weights or "random init",
            "images_per_epoch": len(data.training) // batch * batch * self.images_per_row,
            "training_patients": len(set(column[self.cases.case[data.training]].tolist())),
            "training_counts": data.counts(data.training).tolist(),
            "validation_counts": data.counts(data.validation).tolist(),
            "validation_unscored": data.unscored(data.validation) if len(data.validation) else {},
            "validation_patients": validating,
            "incomplete_masks": data.incomplete,
            "left_out": data.left_out,
        }

    def checkpoint(self) -> dict[str, Any]:
        """Returns all that ``load_classifier`` needs."""
        return self.classifier.state()

    @torch.no_grad()
    def logits(self, rows: np.ndarray) -> Tensor:
        """Returns logits (n, K) float32 on the CPU of rows (n,), shown as in a test."""
        training = self.module.training
        self.module.eval()
        with autocast(self.setup.precision, self.setup.device):
            parts = [self.module(inputs).cpu() for inputs in self._tested(rows)]
        self.module.train(training)
        return torch.cat(parts)

    def _tested(self, rows: np.ndarray) -> Iterator[Tensor]:
        mode, size = self.classifier.input.tested(), self.classifier.image_size
        for start in range(0, len(rows), TESTED):
            yield self.cases.shown(rows[start : start + TESTED], mode, size).to(self.setup.device)

    def _classifier(self, mode: InputMode) -> Classifier:
        """Returns the network with its initial weights, and notes where they are from."""
        options = self.setup.options
        backbone: Backbone = self.setup.plugins.registry("backbones").get(options.backbone)(
            stride=options.stride
        )
        if options.weights:
            self.notes.append(f"initialisation: {load_weights(backbone, options.weights)}")
        else:
            self.notes.append(f"initialisation: random init, seed {self.setup.seed}")
        return Classifier(
            backbone,
            target=self.data.target,
            classes=self.data.classes,
            frames=self.cases.frames,
            image_size=self.setup.recipe.image_size,
            input=mode,
            kind=self.data.kind,
            frozen=self.frozen,
        )

    def _fit_batch(self, setup: Setup) -> None:
        """Lowers the batch to the number of training rows where few labels are what was asked for."""
        rows = len(self.data.training)
        if setup.options.fraction < 1 and rows < setup.recipe.batch:
            self.setup = dataclasses.replace(setup, recipe=dataclasses.replace(setup.recipe, batch=rows))
            self.notes.append(f"batch {rows} in place of {setup.recipe.batch}: so few cases have a label")

    def _balanced(self) -> bool:
        """Returns whether the loss is weighted by 1 / count."""
        given = self.setup.options.class_weights
        return given == "balanced" or (given == "auto" and self.data.kind == "class")

    def _auc(self, logits: Tensor, labels: Tensor) -> float:
        if self.data.kind == "binary":
            return mean_auc(logits, labels)
        return macro_auc(logits.double().softmax(1), labels)

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.data.kind == "binary":
            return masked_loss(logits, labels, self.class_weights)
        return F.cross_entropy(logits, labels, weight=self.class_weights)


def _class_weights(data: Labelled) -> Tensor:
    """Returns 1 / count of each class among the training rows, normalised to sum 1: (K,) float32.

    Of findings (2, K), see ``outcome_weights``.
    """
    if data.kind == "binary":
        return outcome_weights(data.labels[data.training])
    inverse = 1 / torch.as_tensor(data.counts(data.training), dtype=torch.float64)
    return (inverse / inverse.sum()).float()
