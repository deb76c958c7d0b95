"""``cmrbias pretrain``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cmrbias.cli.training import (
    SETTINGS,
    cohort_or_phantom,
    in_short,
    machine_flags,
    named_recipe,
    overridden,
    recipe_flags,
    report,
    say,
    start_flags,
    train,
)
from cmrbias.options import pairs
from cmrbias.plugins import Plugins

if TYPE_CHECKING:
    from cmrbias.api import Recipe
    from cmrbias.training.start import Settings


@click.command()
@click.option(
    "--method",
    metavar="NAME",
    help="Self-supervised method, e.g. simclr, moco, byol; see: cmrbias plugins show.  [required, but with "
    "--resume]",
)
@start_flags("runs/METHOD")
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
@recipe_flags
@click.option("--label", help="Target column for the kNN accuracy [default: the cohort's first].")
@machine_flags
@click.pass_context
def command(ctx: click.Context, /, **flags: Any) -> None:
    """Pretrain a backbone by self-supervision on the frames of a cohort's training patients.

    Options of a method, a pairing or an augmentation: cmrbias plugins show NAME. A flag beats -o,
    -o beats the recipe, the recipe beats the default. Ctrl-C saves; --resume RUN goes on exactly.
    """
    run, ended = train(
        ctx, "pretrain", lambda: _settings(ctx.obj(), flags), f"runs/{flags['method']}", _described
    )

    def lines() -> list[str]:
        from cmrbias.training.summary import summarise

        return summarise(run.log).lines()

    following = ["finetune", "--weights", run.path]
    if flags["cohort"] or flags["resume"]:  # else the phantom, which is finetune's default as well
        following += ["--cohort", flags["cohort"] or run.info["settings"]["cohort"]]
    report(run, ended, "pretrain", lines, following)


def _settings(plugins: Plugins, flags: dict[str, Any]) -> Settings:
    """Returns the training's settings from the command's flags."""
    from cmrbias.training.start import Settings

    if not flags["method"]:
        known = ", ".join(plugins.registry("methods").names())
        raise click.UsageError(f"--method NAME is missing (known: {known})")
    method = plugins.registry("methods").get(flags["method"])
    recipe: Recipe = named_recipe(method.recipes, flags["recipe"], f"method {flags['method']!r}")
    cohort = cohort_or_phantom(flags["cohort"])
    if flags["augment"] is None:
        recipe = _without_masks(recipe, cohort, plugins)
    weights = flags["weights"]
    return Settings(
        task="pretrain",
        cohort=str(cohort),
        recipe=overridden(recipe, flags),
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
        **{name: flags[name] for name in SETTINGS},
    )


def _without_masks(recipe: Recipe, cohort: Path, plugins: Plugins) -> Recipe:
    """Returns the recipe without what needs heart masks, and says so, for a cohort that has none."""
    from cmrbias.cohorts.format import Cohort

    registry = plugins.registry("augmentations")
    masked = [name for name in recipe.augmentations if registry.get(name).needs_masks]
    if not masked:
        return recipe
    if Cohort.open(cohort).has_masks:
        say(f"uses contours: {', '.join(masked)} (recipe paper does not)")
        return recipe
    say(f"no heart masks in {cohort}: left out of the recipe: {', '.join(masked)}")
    kept = {name: values for name, values in recipe.augmentations.items() if name not in masked}
    return dataclasses.replace(recipe, augmentations=kept)


def _described(settings: Any) -> str:
    options = settings.options
    return f"pretraining {options['backbone']} with {options['method']}: {in_short(settings)}"
