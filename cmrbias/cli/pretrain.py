"""``cmrbias pretrain``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cmrbias.errors import CmrbiasError, unknown
from cmrbias.files import cache_directory
from cmrbias.options import pairs
from cmrbias.plugins import Plugins

if TYPE_CHECKING:
    from cmrbias.api import Recipe
    from cmrbias.training.run import Run

RECIPE_FLAGS = (
    "epochs",
    "batch",
    "lr",
    "weight_decay",
    "optimiser",
    "schedule",
    "warmup_epochs",
    "image_size",
)


@click.command()
@click.option("--method", help="Self-supervised method, e.g. simclr, moco, byol; see: cmrbias plugins show.")
@click.option(
    "--cohort", type=click.Path(path_type=Path), help="Cohort; without it a phantom is made and cached."
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Run directory [default: runs/METHOD, numbered]."
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Go on with a run; the only other flag is --threads.",
)
@click.option("--recipe", default="quick", help="Named settings of the method: quick or paper.")
@click.option(
    "-o", "method_options", multiple=True, metavar="KEY=VALUE", help="Option of the method; repeatable."
)
@click.option("--backbone", default="densenet121", help="Network.")
@click.option(
    "--stride", default=32, type=int, help="Output stride of the network: 32, or 16 for finer maps."
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="Start from a torchvision, MoCo or CheSS file, or a run.",
)
@click.option("--pairs", "pairing", default="same-image", help="Which two frames make a positive pair.")
@click.option(
    "--pair-option",
    "pair_options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Option of the pairing; repeatable.",
)
@click.option("--augment", metavar="A,B", help="Augmentations in order, in place of the recipe's.")
@click.option(
    "--augment-option",
    "augment_options",
    multiple=True,
    metavar="NAME.KEY=VALUE",
    help="Option of an augmentation; repeatable.",
)
@click.option("--epochs", type=click.IntRange(1), help="Override the recipe.", show_default=False)
@click.option("--batch", type=click.IntRange(2), help="Frames an optimiser step; overrides the recipe.")
@click.option("--lr", type=click.FloatRange(0, min_open=True), help="Learning rate; overrides the recipe.")
@click.option("--weight-decay", type=click.FloatRange(0), help="Overrides the recipe.")
@click.option("--optimiser", type=click.Choice(["adam", "adamw", "sgd"]), help="Overrides the recipe.")
@click.option("--schedule", type=click.Choice(["cosine", "constant"]), help="Overrides the recipe.")
@click.option("--warmup-epochs", type=click.FloatRange(0), help="Overrides the recipe.")
@click.option("--image-size", type=click.IntRange(32), help="Side of a view in pixels; overrides the recipe.")
@click.option(
    "--accumulate",
    default=1,
    type=click.IntRange(1),
    help="Parts of a batch: less memory, and fewer in-batch negatives.",
)
@click.option("--label", help="Target column for the kNN accuracy [default: the cohort's first].")
@click.option("--seed", default=0, type=click.IntRange(0), help="Of everything random.")
@click.option(
    "--precision",
    default="auto",
    type=click.Choice(["auto", "fp32", "bf16"]),
    help="auto: bf16 where the hardware has it.",
)
@click.option("--device", default="auto", metavar="auto|cpu|cuda[:N]", help="Where to train.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads [default: torch's].")
@click.pass_context
def command(ctx: click.Context, /, resume: Path | None, threads: int | None, **flags: Any) -> None:
    """Pretrain a backbone by self-supervision on the frames of a cohort's training patients.

    Options of a method, a pairing or an augmentation: cmrbias plugins show NAME. A flag beats -o,
    -o beats the recipe, the recipe beats the default. Ctrl-C saves; --resume RUN goes on exactly.
    """
    import torch

    from cmrbias.training import start

    if threads:
        torch.set_num_threads(threads)
    plugins: Plugins = ctx.obj()
    if resume:
        _only_resume(ctx)
        run, ended = start.resume(resume, plugins, _say)
    else:
        settings = _settings(plugins, flags)
        _say(_described(settings))
        run, ended = start.start(
            settings, flags["out"] or _free(Path("runs") / flags["method"]), plugins, _say
        )
    _report(run, ended.interrupted, ended.images / max(ended.seconds, 1e-9))


def _settings(plugins: Plugins, flags: dict[str, Any]) -> Any:
    """Returns the training's settings from the command's flags."""
    from cmrbias.training.start import Settings

    if not flags["method"]:
        known = ", ".join(plugins.registry("methods").names())
        raise click.UsageError(f"--method NAME is missing (known: {known})")
    method = plugins.registry("methods").get(flags["method"])
    if flags["recipe"] not in method.recipes:
        raise unknown(f"recipe of method {flags['method']!r}", flags["recipe"], method.recipes)
    recipe: Recipe = method.recipes[flags["recipe"]]
    given = {name: flags[name] for name in RECIPE_FLAGS if flags[name] is not None}
    cohort = flags["cohort"] or _phantom()
    if flags["augment"] is None:
        recipe = _without_masks(recipe, cohort, plugins)
    augmentations = _augmentations(recipe, flags["augment"], flags["augment_options"])
    recipe = dataclasses.replace(recipe, **given, augmentations=augmentations)
    weights = flags["weights"]
    return Settings(
        task="pretrain",
        cohort=str(cohort),
        recipe=recipe,
        options={
            "method": flags["method"],
            "backbone": flags["backbone"],
            "stride": flags["stride"],
            "method_options": pairs(flags["method_options"], "-o"),
            "pairs": flags["pairing"],
            "pair_options": pairs(flags["pair_options"], "--pair-option"),
            "weights": str(weights.resolve()) if weights else None,
            "label": flags["label"],
        },
        **{name: flags[name] for name in ("seed", "precision", "device", "accumulate")},
    )


def _without_masks(recipe: Recipe, cohort: Path, plugins: Plugins) -> Recipe:
    """Returns the recipe without what needs heart masks, and says so, for a cohort that has none."""
    from cmrbias.cohorts.format import Cohort

    registry = plugins.registry("augmentations")
    masked = [name for name in recipe.augmentations if registry.get(name).needs_masks]
    if not masked:
        return recipe
    if Cohort.open(cohort).has_masks:
        _say(f"uses contours: {', '.join(masked)} (recipe paper does not)")
        return recipe
    _say(f"no heart masks in {cohort}: left out of the recipe: {', '.join(masked)}")
    kept = {name: values for name, values in recipe.augmentations.items() if name not in masked}
    return dataclasses.replace(recipe, augmentations=kept)


def _augmentations(recipe: Recipe, names: str | None, given: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Returns augmentations with their options: a flag's beat the recipe's."""
    chosen = recipe.augmentations if names is None else {name: {} for name in names.split(",") if name}
    result = {name: {**recipe.augmentations.get(name, {}), **chosen[name]} for name in chosen}
    for key, value in pairs(given, "--augment-option").items():
        name, dot, option = key.partition(".")
        if not dot or name not in result:
            used = ", ".join(result) or "none"
            raise CmrbiasError(
                f"--augment-option {key}={value}: expected NAME.KEY=VALUE with a NAME in use ({used})"
            )
        result[name][option] = value
    return result


def _phantom() -> Path:
    from cmrbias.cohorts.phantom.cohort import default_phantom

    _say("no --cohort given: a phantom cohort is used, made the first time")
    path = default_phantom(cache_directory() / "phantoms")
    _say(f"cohort: {path}")
    return path


def _described(settings: Any) -> str:
    recipe, options = settings.recipe, settings.options
    return (
        f"pretraining {options['backbone']} with {options['method']}: {recipe.epochs} epochs, batch "
        f"{recipe.batch}, {recipe.image_size} px, {recipe.optimiser} lr {recipe.lr:g}, seed {settings.seed}"
    )


def _only_resume(ctx: click.Context) -> None:
    """A resumed run keeps its settings: a flag that would be ignored is an error."""
    from click.core import ParameterSource

    for name in ctx.params:
        on_line = ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE
        if on_line and name not in ("resume", "threads"):
            raise click.UsageError(
                f"--resume goes on with the run's own settings: leave out --{name.replace('_', '-')}"
            )


def _free(base: Path) -> Path:
    """Returns ``base``, or with the first number that is not taken."""
    path, number = base, 1
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}-{number}")
    return path


def _report(run: Run, interrupted: bool, speed: float) -> None:
    from cmrbias.training.summary import summarise

    if interrupted:
        click.echo(
            f"stopped after {run.log[-1]['epoch']} whole epochs; go on: cmrbias pretrain --resume {run.path}"
        )
        return
    for line in summarise(run.log).lines():
        click.echo(line)
    click.echo(f"{speed:.0f} images/s")
    click.echo(
        f"wrote {run.path} (last.pt: weights and state; log.jsonl: a line an epoch; run.json: settings)"
    )
    click.echo(
        f"next: cmrbias pretrain --method byol --weights {run.path}  (or any other start from these weights)"
    )


def _say(text: str) -> None:
    click.echo(text, err=True)
