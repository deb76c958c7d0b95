"""The one training loop: any task, checkpoints, exact resume, interruption at a step's boundary."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cmrbias import draws
from cmrbias.api import Recipe, Task
from cmrbias.backbones.weights import not_finite
from cmrbias.errors import CmrbiasError
from cmrbias.training import checkpoint
from cmrbias.training.loggers import Loggers
from cmrbias.training.precision import autocast
from cmrbias.training.progress import Progress
from cmrbias.training.run import Run
from cmrbias.training.schedule import learning_rate


@dataclass
class Position:
    """Where a training stands, and what it has summed up in the epoch so far."""

    epoch: int = 0  # epochs that are done
    step: int = 0  # optimiser steps done in the epoch
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)  # parts of batches that had the metric
    best_epoch: int | None = None  # of those done, by the task's merit
    merit: list[float] = field(default_factory=list)  # that epoch's

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Adds the metrics of one part of a batch; what is NaN was not to be had there."""
        for name, value in values.items():
            number = float(value.detach())
            if not math.isnan(number):
                self.sums[name] = self.sums.get(name, 0.0) + number
                self.counts[name] = self.counts.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        """Returns the epoch's mean of each metric so far."""
        return {name: total / self.counts[name] for name, total in self.sums.items()}


@dataclass(frozen=True)
class Ended:
    """How a call of ``train`` ended; ``best_epoch`` is that of ``best.pt``, if the task selects one."""

    interrupted: bool
    images: int
    seconds: float
    best_epoch: int | None = None


class Loop:
    """Trains a task by a recipe inside a run.

    Args:
        task: what is trained; its module must be on ``device`` already.
        recipe: ``batch`` rows an optimiser step, in ``accumulate`` equal parts.
        run: where checkpoints and the log go.
        seed: of everything random.
        precision: ``fp32`` or ``bf16``.

    Raises:
        CmrbiasError: the batch does not fit the rows or the parts.
    """

    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        run: Run,
        *,
        seed: int,
        precision: str,
        device: torch.device,
        loggers: Loggers,
        accumulate: int = 1,
    ) -> None:
        if len(task) < recipe.batch:
            raise CmrbiasError(
                f"{len(task)} training rows are fewer than the batch of {recipe.batch}: "
                f"use --batch {len(task)} or less"
            )
        if recipe.batch % accumulate or recipe.batch // accumulate < 2:
            raise CmrbiasError(
                f"--accumulate {accumulate}: expected a divisor of the batch of {recipe.batch} "
                "that leaves parts of at least 2"
            )
        self.task, self.recipe, self.run = task, recipe, run
        self.seed, self.precision, self.device = seed, precision, device
        self.loggers, self.accumulate = loggers, accumulate
        self.steps_per_epoch = len(task) // recipe.batch
        self.optimisers = task.optimisers(recipe)
        self.position = Position()

    def restore(self) -> None:
        """Goes back to the run's checkpoint, and cuts the log back to it.

        A run that was killed before its first checkpoint starts anew.

        Raises:
            CmrbiasError: the checkpoint is damaged or of another task or network.
        """
        if not self.run.last.exists():
            self.run.cut_back(-1)
            return
        state = checkpoint.load(self.run.last)
        try:
            self.task.module.load_state_dict(state["module"])
            for name, optimiser in self.optimisers.items():
                optimiser.load_state_dict(state["optimisers"][name])
        except (KeyError, RuntimeError, ValueError) as error:
            reason = str(error).split("\n")[0]
            raise CmrbiasError(
                f"{self.run.last}: does not fit the network that run.json describes: {reason}"
            ) from None
        names = [f.name for f in fields(Position)]
        self.position = Position(**{name: state[name] for name in names if name in state})
        self.run.cut_back(self.position.epoch)
        if self.position.best_epoch == self.position.epoch and not self.position.step:
            self._save(self.run.best)  # it may have been killed between the two checkpoints

    def train(self) -> Ended:
        """Trains to the recipe's last epoch, or to Ctrl-C, which ends at the next step's boundary."""
        started, images, error = time.perf_counter(), 0, None
        at = self.position
        done = at.epoch * self.steps_per_epoch + at.step
        self.progress = Progress(self.recipe.epochs, self.steps_per_epoch, done, sys.stderr)
        self.loggers.call("on_run_start", run=self.run)
        try:
            with _interrupt() as interrupted:
                if not self.run.log:
                    self._end_epoch(self.task.validate(0))
                while self.position.epoch < self.recipe.epochs and not interrupted.is_set():
                    images += self._epoch(interrupted)
                if self.position.step:
                    self._save(self.run.last)
        except BaseException as raised:
            error = raised
            raise
        finally:
            self.progress.close()
            self.loggers.call("on_run_end", run=self.run, error=error)
        stopped = self.position.epoch < self.recipe.epochs
        return Ended(stopped, images, time.perf_counter() - started, self.position.best_epoch)

    def _epoch(self, interrupted: threading.Event) -> int:
        """Trains the rest of the epoch; returns how many images the network saw in it."""
        at, recipe = self.position, self.recipe
        order = draws.permutation(self.seed, at.epoch, len(self.task))
        self.task.module.train()
        first = at.step
        while at.step < self.steps_per_epoch:
            rows = order[at.step * recipe.batch : (at.step + 1) * recipe.batch]
            self._step(rows)
            at.step += 1
            self.progress.step(at.epoch, at.step, len(rows) * self.task.images_per_row, self._loss())
            if interrupted.is_set() and at.step < self.steps_per_epoch:
                break
        else:
            self._refuse_diverged()
            self.position = Position(at.epoch + 1, best_epoch=at.best_epoch, merit=at.merit)
            self._end_epoch(at.means() | self.task.validate(at.epoch + 1))
        return (at.step - first) * recipe.batch * self.task.images_per_row

    def _step(self, rows: Tensor) -> None:
        """One optimiser step over ``rows`` (batch,) int64, in ``accumulate`` parts."""
        at = self.position
        step = at.epoch * self.steps_per_epoch + at.step
        total = self.recipe.epochs * self.steps_per_epoch
        rate = learning_rate(self.recipe, step, self.steps_per_epoch)
        for optimiser in self.optimisers.values():
            optimiser.zero_grad(set_to_none=True)
            for group in optimiser.param_groups:
                group["lr"] = rate
        for number, part in enumerate(rows.chunk(self.accumulate)):
            # any draw inside a method is a function of the seed and the step: nothing to store
            torch.manual_seed(int(draws.keys(self.seed, step, torch.tensor([number]), 0)) & (2**63 - 1))
            batch = self.task.load(part, at.epoch)
            with autocast(self.precision, self.device):
                values = self.task.step(batch, step / total)
            self._backward(values)
            at.add(values)
        for optimiser in self.optimisers.values():
            optimiser.step()
        self.task.after_step((step + 1) / total)

    def _loss(self) -> float:
        means = self.position.means()
        return sum(means[name] for name in self.optimisers)

    def _backward(self, values: dict[str, Tensor]) -> None:
        for name, optimiser in self.optimisers.items():
            loss = values[name] / self.accumulate
            if not torch.isfinite(loss):
                raise self._diverged(f", step {self.position.step + 1}: the {name} is {loss.item()}")
            if len(self.optimisers) == 1:
                loss.backward()  # type: ignore[no-untyped-call]
            else:  # each optimiser's loss reaches its own parameters only (adversarial tasks)
                own = [p for group in optimiser.param_groups for p in group["params"]]
                loss.backward(inputs=own)  # type: ignore[no-untyped-call]

    def _refuse_diverged(self) -> None:
        """Raises CmrbiasError where the epoch's last steps left weights that are not finite."""
        name = not_finite(self.task.module.state_dict())
        if name is not None:
            raise self._diverged(f": weights are not finite, the first is {name}")

    def _diverged(self, found: str) -> CmrbiasError:
        """Returns the error for a training that went astray in this epoch, before it is stored."""
        epoch = self.position.epoch
        held = f"epoch {epoch}, the last good one" if epoch else "the weights it began with"
        return CmrbiasError(
            f"epoch {epoch + 1}{found}: the training diverged: lower --lr, or use --precision fp32; "
            f"{self.run.last} holds {held}"
        )

    def _end_epoch(self, metrics: dict[str, float]) -> None:
        """Writes the log's line, then the checkpoint: a line too many is cut back on resume."""
        at = self.position
        merit = list(self.task.merit(metrics) or ()) if at.epoch else []
        better = bool(merit) and (at.best_epoch is None or merit > at.merit)
        if better:
            at.best_epoch, at.merit = at.epoch, merit
        self.run.add({"epoch": at.epoch, **metrics})
        self._save(self.run.last)
        if better:
            self._save(self.run.best)
        self.progress.epoch(at.epoch, metrics)
        self.loggers.call("on_epoch_end", run=self.run, epoch=at.epoch, metrics=dict(metrics))

    def _save(self, path: Path) -> None:
        """Writes weights and position; in ``last.pt`` also what only going on needs."""
        state: dict[str, Any] = {**self.task.checkpoint(), **asdict(self.position)}
        if path == self.run.last:
            state["module"] = self.task.module.state_dict()
            state["optimisers"] = {name: o.state_dict() for name, o in self.optimisers.items()}
        checkpoint.save(path, state)


@contextmanager
def _interrupt() -> Iterator[threading.Event]:
    """Within, the first Ctrl-C sets the event instead of raising; a second one raises."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def handle(number: int, frame: object) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)
