"""Starting a training, or going on with one: from settings to a finished run."""

from __future__ import annotations

import dataclasses
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from cmrbias.api import Recipe, Setup, Task
from cmrbias.cohorts.format import Cohort
from cmrbias.errors import CmrbiasError
from cmrbias.options import build
from cmrbias.plugins import Plugins
from cmrbias.training.loggers import Loggers
from cmrbias.training.loop import Ended, Loop
from cmrbias.training.precision import pick_device, pick_precision
from cmrbias.training.run import Run, machine, patient_hash, run_of, versions
from cmrbias.training.stored_images import StoredImages, size_notes

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Settings:
    """All that determines a training; stored in ``run.json`` and read back on resume.

    ``options`` are those of the task, by name.
    """

    task: str
    cohort: str
    recipe: Recipe
    options: dict[str, Any]
    seed: int = 0
    precision: str = "auto"
    device: str = "auto"
    accumulate: int = 1


def start(settings: Settings, out: Path, plugins: Plugins, say: Say) -> tuple[Run, Ended]:
    """Makes a run at ``out`` and trains it to its end, or to Ctrl-C.

    Nothing is written before everything that can be wrong with the settings has been found, and what
    fails before its first checkpoint leaves nothing.
    """
    if out.exists():
        raise CmrbiasError(f"{out}: exists already: choose another --out, or go on with it by --resume {out}")
    device = pick_device(settings.device)
    precision = pick_precision(settings.precision, device)
    cohort = Cohort.open(settings.cohort)
    task = _task(settings, cohort, plugins, device, precision)
    info = {
        "command": shlex.join(sys.argv),
        "settings": {**dataclasses.asdict(settings), "cohort": str(cohort.path.resolve())},
        "precision": precision,
        "device": str(device),
        "cohort": _described(cohort),
        "versions": versions(),
        "plugins": _origins(settings, plugins),
        "machine": machine(),
        "patients_seen": _seen(settings, cohort),
        "record": task.record(),
        "status": "started",
    }
    for note in [*task.notes, *_weights_notes(settings, cohort)]:
        say(note)
    run = Run(out, info, [])
    loop = _loop(task, settings, run, precision, device, plugins, say)
    run = loop.run = Run.create(out, info)
    try:
        return run, _train(loop, run)
    except BaseException:
        if not run.last.exists():  # there is nothing to go on from, and the name is free again
            shutil.rmtree(out)
        raise


def resume(path: Path, plugins: Plugins, say: Say) -> tuple[Run, Ended]:
    """Goes on with a run, bit for bit where the machine is the same.

    Raises:
        CmrbiasError: it is no run, a plugin it needs is missing, or the cohort has changed.
    """
    run = Run.open(path)
    stored = run.info["settings"]
    settings = Settings(**{**stored, "recipe": Recipe(**stored["recipe"])})
    for need in run.info["plugins"]:
        names = {e.name for e in plugins.registry(need["kind"])}
        if need["name"] not in names:
            raise CmrbiasError(
                f"{path}: {need['kind'].rstrip('s')} {need['name']!r} came from {need['distribution']} "
                f"{need['version']}, which is not installed: pip install {need['distribution']}"
            )
    cohort = Cohort.open(settings.cohort)
    if cohort.digest != run.info["cohort"]["digest"]:
        raise CmrbiasError(
            f"{cohort.path}: is not the cohort that {path} was trained on: expected digest "
            f"{run.info['cohort']['digest'][:12]}, found {cohort.digest[:12]}"
        )
    device = pick_device(settings.device)
    precision = pick_precision(settings.precision, device)
    now = {**machine(), "precision": precision, "device": str(device), **versions()}
    then = {
        **run.info["machine"],
        "precision": run.info["precision"],
        "device": run.info["device"],
        **run.info["versions"],
    }
    for name in sorted(now):
        if now[name] != then.get(name):
            say(f"warning: {name} was {then.get(name)}, is now {now[name]}: the last bits will differ")
    task = _task(settings, cohort, plugins, device, precision)
    loop = _loop(task, settings, run, precision, device, plugins, say)
    loop.restore()
    return run, _train(loop, run)


def _task(settings: Settings, cohort: Cohort, plugins: Plugins, device: torch.device, precision: str) -> Task:
    cls = plugins.registry("tasks").get(settings.task)
    options = build(cls.Options, settings.options, f"task {settings.task!r}")
    task: Task = cls(Setup(cohort, plugins, options, settings.recipe, settings.seed, device, precision))
    return task


def _loop(
    task: Task,
    settings: Settings,
    run: Run,
    precision: str,
    device: torch.device,
    plugins: Plugins,
    say: Say,
) -> Loop:
    return Loop(
        task,
        task.setup.recipe,
        run,
        seed=settings.seed,
        precision=precision,
        device=device,
        loggers=Loggers(plugins, say),
        accumulate=settings.accumulate,
    )


def _train(loop: Loop, run: Run) -> Ended:
    ended = loop.train()
    run.info["status"] = "interrupted" if ended.interrupted else "finished"
    run.info["seconds"] = round(run.info.get("seconds", 0.0) + ended.seconds, 1)
    run.save_info()
    return ended


def _origins(settings: Settings, plugins: Plugins) -> list[dict[str, str]]:
    """Returns which plugin, at which version, offers each thing that the settings name."""
    named = [("tasks", settings.task)]
    kinds = {"method": "methods", "backbone": "backbones", "pairs": "pairings"}
    named += [(kinds[key], str(value)) for key, value in settings.options.items() if key in kinds]
    named += [("augmentations", name) for name in settings.recipe.augmentations]
    return [
        {"kind": e.kind, "name": e.name, "distribution": e.distribution, "version": e.version}
        for e in (plugins.registry(kind).entry(name) for kind, name in named)
    ]


def _described(cohort: Cohort) -> dict[str, Any]:
    """Returns what ``run.json`` tells of the cohort."""
    images = StoredImages.of(cohort)
    named = {"name": cohort.meta.get("name", ""), "digest": cohort.digest}
    return {**named, "images": None if images is None else images.record()}


def _weights_notes(settings: Settings, cohort: Cohort) -> list[str]:
    """Returns how the cohort's images differ from those that the run of the weights was trained on."""
    weights = settings.options.get("weights")
    run = run_of(Path(weights)) if weights else None
    return [] if run is None else size_notes(run, cohort, settings.recipe.image_size)


def _seen(settings: Settings, cohort: Cohort) -> list[str]:
    """Returns hashes of the patients that the weights have seen: this cohort's, and those inherited."""
    trained = {patient_hash(p) for p in cohort.column("patient")[cohort.cases("train")]}
    weights = settings.options.get("weights")
    if weights and (run := run_of(Path(weights))):
        trained |= set(run.info.get("patients_seen", []))
    return sorted(trained)
