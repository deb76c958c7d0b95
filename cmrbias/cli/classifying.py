"""What ``finetune`` and ``probe`` have in common: they train the same classifier, whole or its head."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cmrbias.cli.training import (
    SETTINGS,
    Finite,
    cohort_or_phantom,
    in_short,
    machine_flags,
    named_recipe,
    overridden,
    recipe_flags,
    report,
    start_flags,
    together,
    train,
)
from cmrbias.options import pairs

if TYPE_CHECKING:
    from cmrbias.training.start import Settings

T = TypeVar("T")


def classifier_flags(out: str) -> Callable[[T], T]:
    """Returns the flags of a command that trains a classifier."""
    return together(
        start_flags(out),
        click.option(
            "--weights",
            metavar="RUN|FILE|none",
            help="Start from a run, a torchvision, MoCo or CheSS file, or at random [default: none].",
        ),
        click.option(
            "--input",
            default="full",
            help="Input mode: full, heart, background, background-box, background-fill, silhouette, swap, "
            "swap-self.",
        ),
        click.option(
            "--input-option",
            "input_options",
            multiple=True,
            metavar="KEY=VALUE",
            help="Option of the input mode: of swap, fill=donor|mean|inpaint and align=none|centroid; "
            "repeatable.",
        ),
        click.option(
            "--label",
            metavar="COLUMN[,COLUMN...]",
            help="Target column, or binary ones divided by commas [default: the first of kind class, "
            "else the first].",
        ),
        click.option(
            "--fraction",
            default=1.0,
            type=Finite(0, 1, min_open=True),
            help="Share of the training patients, beside those that validate, whose labels are used.",
        ),
        click.option("--draw", default=0, type=click.IntRange(0), help="Which draw of that share."),
        click.option(
            "--frames", default="", metavar="A,B", help="Frames a case is classified by [default: all]."
        ),
        click.option("--backbone", help="Network [default: that of the weights' run, else densenet121]."),
        click.option(
            "--stride", type=int, help="Output stride, 32 or 16 (finer maps); overrides the recipe."
        ),
        click.option(
            "--class-weights",
            default="auto",
            type=click.Choice(["auto", "balanced", "none"]),
            help="Weights in the loss: 1/count, or equal; auto: balanced for classes, none for binary "
            "targets, so that their probabilities mean what the log-loss takes them for.",
        ),
        click.option(
            "--validation",
            type=Finite(0, 0.5),
            help="Share of the training patients that select the checkpoint; overrides the recipe.",
        ),
        click.option(
            "--saliency-weight",
            default=0.0,
            type=Finite(0),
            help="Weight of 1 - AKS of the true class's GradCAM in the loss (uses contours); 0 is off.",
        ),
        recipe_flags,
        machine_flags,
    )


def train_classifier(ctx: click.Context, command: str, task: str, flags: dict[str, Any]) -> None:
    """Trains a classifier by the task and says what became of it."""
    verb = {"classify": "finetuning", "probe": "probing"}[task]

    def described(settings: Any) -> str:
        options = settings.options
        return f"{verb} {options['backbone']} on input {options['input']}: {in_short(settings)}"

    run, ended = train(ctx, task, lambda: _settings(ctx, task, flags), f"runs/{command}", described)

    def lines() -> list[str]:
        from cmrbias.training.classify_summary import summarise_classifier

        return summarise_classifier(run.log, ended.best_epoch, run.info["record"])

    report(run, ended, command, lines, ["evaluate", run.path])


def _settings(ctx: click.Context, task: str, flags: dict[str, Any]) -> Settings:
    """Returns the training's settings from the command's flags: a flag beats the recipe's option."""
    from cmrbias.training.start import Settings

    recipes = ctx.obj().registry("tasks").get(task).recipes
    recipe = named_recipe(recipes, flags["recipe"], f"task {task!r}")
    weights = None if flags["weights"] in (None, "none") else Path(flags["weights"]).resolve()
    given = {name: flags[name] for name in ("stride", "validation") if flags[name] is not None}
    return Settings(
        task=task,
        cohort=str(cohort_or_phantom(flags["cohort"])),
        recipe=overridden(recipe, flags),
        options={
            **recipe.options,
            **given,
            "backbone": flags["backbone"] or _backbone_of(weights) or "densenet121",
            "weights": str(weights) if weights else None,
            "input": flags["input"],
            "input_options": pairs(flags["input_options"], "--input-option"),
            "label": flags["label"],
            "frames": [name for name in flags["frames"].split(",") if name],
            "fraction": flags["fraction"],
            "draw": flags["draw"],
            "class_weights": flags["class_weights"],
            "saliency_weight": flags["saliency_weight"],
        },
        **{name: flags[name] for name in SETTINGS},
    )


def _backbone_of(weights: Path | None) -> str | None:
    """Returns the network of the run that weights come from, if they come from one."""
    from cmrbias.training.run import run_of

    run = run_of(weights) if weights else None
    name: str | None = run.info["settings"]["options"].get("backbone") if run else None
    return name
