"""Our pretraining step against the same step in plain torch: same model, data, precision, seed.

Run: python benchmarks/pretrain_step.py [--method moco] [--backbone densenet121] [--size 64] [--batch 32]
Claim: the loop, the loading and the augmentation take under 5 % of the time beside forward, backward
and optimiser. The plain step gets its views ready-made. Both must reach the same weights.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from cmrbias import draws
from cmrbias.api import Setup
from cmrbias.cohorts.format import Cohort
from cmrbias.cohorts.phantom.cohort import default_phantom
from cmrbias.files import cache_directory
from cmrbias.options import build
from cmrbias.plugins import plugin_manager
from cmrbias.training.loggers import Loggers
from cmrbias.training.loop import Loop
from cmrbias.training.precision import autocast, pick_precision
from cmrbias.training.pretrain import Pretrain
from cmrbias.training.run import Run
from cmrbias.training.schedule import learning_rate


def make(arguments: argparse.Namespace, cohort: Cohort) -> Pretrain:
    plugins = plugin_manager([])
    recipe = plugins.registry("methods").get(arguments.method).recipes["quick"]
    recipe = dataclasses.replace(
        recipe, image_size=arguments.size, batch=arguments.batch, epochs=arguments.epochs
    )
    options = build(
        Pretrain.Options, {"method": arguments.method, "backbone": arguments.backbone}, "the benchmark"
    )
    device = torch.device("cpu")
    precision = pick_precision(arguments.precision, device)
    return Pretrain(Setup(cohort, plugins, options, recipe, 0, device, precision))


def ours(task: Pretrain) -> float:
    """Trains by the loop; returns the seconds of its steps alone (no checkpoint, no monitor)."""
    setup = task.setup
    with tempfile.TemporaryDirectory() as folder:
        loop = Loop(
            task,
            setup.recipe,
            Run(Path(folder), {}, []),
            seed=0,
            precision=setup.precision,
            device=setup.device,
            loggers=Loggers(setup.plugins, print),
        )
        task.module.train()
        started = time.perf_counter()
        for epoch in range(setup.recipe.epochs):
            loop.position.epoch = epoch
            order = draws.permutation(0, epoch, len(task))
            for step in range(loop.steps_per_epoch):
                loop.position.step = step
                loop._step(order[step * setup.recipe.batch : (step + 1) * setup.recipe.batch])
        return time.perf_counter() - started


def views(task: Pretrain) -> list[list[Any]]:
    """Returns every batch of every epoch, ready-made."""
    batch, steps = task.setup.recipe.batch, len(task) // task.setup.recipe.batch
    return [
        [
            task.load(draws.permutation(0, epoch, len(task))[s * batch : (s + 1) * batch], epoch)
            for s in range(steps)
        ]
        for epoch in range(task.setup.recipe.epochs)
    ]


def plain(task: Pretrain, batches: list[list[Any]]) -> float:
    """The same training in plain torch: forward, backward, optimiser."""
    setup, steps = task.setup, len(batches[0])
    (optimiser,) = task.optimisers(setup.recipe).values()
    task.module.train()
    total = setup.recipe.epochs * steps
    started = time.perf_counter()
    for epoch, of_epoch in enumerate(batches):
        for number, (images, record, _) in enumerate(of_epoch):
            step = epoch * steps + number
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(setup.recipe, step, steps)
            torch.manual_seed(int(draws.keys(0, step, torch.tensor([0]), 0)) & (2**63 - 1))
            optimiser.zero_grad(set_to_none=True)
            with autocast(setup.precision, setup.device):
                loss = task.module(images, record)
            loss.backward()
            optimiser.step()
            task.method.after_step((step + 1) / total)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="moco")
    parser.add_argument("--backbone", default="densenet121")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--precision", default="auto")
    arguments = parser.parse_args()
    cohort = Cohort.open(default_phantom(cache_directory() / "phantoms"))
    batches = views(make(arguments, cohort))
    plain(make(arguments, cohort), batches[:1])  # warm up
    baseline, loop = make(arguments, cohort), make(arguments, cohort)
    theirs, mine = plain(baseline, batches), ours(loop)
    same = all(
        torch.equal(a, b)
        for a, b in zip(baseline.module.state_dict().values(), loop.module.state_dict().values(), strict=True)
    )
    images = sum(len(of_epoch) for of_epoch in batches) * arguments.batch
    print(
        f"{arguments.method} {arguments.backbone} {arguments.size} px batch {arguments.batch} "
        f"{loop.setup.precision}, {torch.get_num_threads()} threads"
    )
    print(f"plain torch, views ready-made  {images / theirs:7.1f} images/s")
    print(f"cmrbias, loading and augmenting {images / mine:6.1f} images/s")
    outside = 100 * (1 - theirs / mine)
    print(f"ratio {mine / theirs:.3f}; outside forward, backward and optimiser: {outside:.1f} %")
    print(f"same weights afterwards: {same}")
    if not same:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
