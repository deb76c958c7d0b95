"""What the commands that train have in common: flags, the recipe that comes of them, and what they say."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from cmrbias.cli.hints import say_next, shell
from cmrbias.errors import CmrbiasError, unknown
from cmrbias.files import cache_directory
from cmrbias.options import pairs

if TYPE_CHECKING:
    from cmrbias.api import Recipe
    from cmrbias.training.loop import Ended
    from cmrbias.training.run import Run
    from cmrbias.training.start import Settings

T = TypeVar("T")
OVERRIDES = (
    "epochs",
    "batch",
    "lr",
    "weight_decay",
    "optimiser",
    "schedule",
    "warmup_epochs",
    "image_size",
)  # flags that stand for a field of the recipe
LARGEST = 1e30  # far beyond any use, and any product with it is still a float32
STOPPED = 130  # exit status, as a shell's of what Ctrl-C has ended
SETTINGS = ("seed", "precision", "device", "accumulate")  # flags that stand for a field of the settings


class Finite(click.FloatRange):
    """A number in a range, which NaN and infinity are not, as little as what float32 cannot hold."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not abs(number) <= LARGEST:
            self.fail(f"expected a finite number, at most {LARGEST:g}, got {value}", param, ctx)
        return number


def together(*decorators: Callable[[Any], Any]) -> Callable[[T], T]:
    """Returns the decorators as one, in the order in which ``--help`` lists them."""

    def decorate(command: T) -> T:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def start_flags(out: str) -> Callable[[T], T]:
    """Returns the flags that say what a run is made of; ``out`` is where it goes by default."""
    return together(
        click.option(
            "--cohort",
            type=click.Path(path_type=Path),
            help="Cohort; without it a phantom is made and cached.",
        ),
        click.option(
            "--out", type=click.Path(path_type=Path), help=f"Run directory [default: {out}, numbered]."
        ),
        click.option(
            "--resume",
            type=click.Path(path_type=Path),
            metavar="RUN",
            help="Go on with a run; the only other flag is --threads.",
        ),
        click.option("--recipe", default="quick", help="Named settings: quick or paper."),
    )


recipe_flags = together(
    click.option("--augment", metavar="A,B", help="Augmentations in order, in place of the recipe's."),
    click.option(
        "--augment-option",
        "augment_options",
        multiple=True,
        metavar="NAME.KEY=VALUE",
        help="Option of an augmentation; repeatable.",
    ),
    click.option("--epochs", type=click.IntRange(1), help="Override the recipe.", show_default=False),
    click.option("--batch", type=click.IntRange(2), help="Rows an optimiser step; overrides the recipe."),
    click.option("--lr", type=Finite(0, min_open=True), help="Learning rate; overrides the recipe."),
    click.option("--weight-decay", type=Finite(0), help="Overrides the recipe."),
    click.option("--optimiser", type=click.Choice(["adam", "adamw", "sgd"]), help="Overrides the recipe."),
    click.option("--schedule", type=click.Choice(["cosine", "constant"]), help="Overrides the recipe."),
    click.option("--warmup-epochs", type=Finite(0), help="Overrides the recipe."),
    click.option("--image-size", type=click.IntRange(32), help="Side of the images; overrides the recipe."),
    click.option(
        "--accumulate",
        default=1,
        type=click.IntRange(1),
        help="Parts of a batch: less memory, but each part is a mini-batch of its own.",
    ),
)

machine_flags = together(
    click.option("--seed", default=0, type=click.IntRange(0), help="Of everything random."),
    click.option(
        "--precision",
        default="auto",
        type=click.Choice(["auto", "fp32", "bf16"]),
        help="auto: bf16 where the hardware has it.",
    ),
    click.option("--device", default="auto", metavar="auto|cpu|cuda[:N]", help="Where to train."),
    click.option("--threads", type=click.IntRange(1), help="CPU threads [default: torch's]."),
)


def train(
    ctx: click.Context, task: str, settings: Callable[[], Settings], out: str, described: Callable[[Any], str]
) -> tuple[Run, Ended]:
    """Starts a run, or goes on with the one that ``--resume`` names.

    Args:
        ctx: the command's context, with the flags above.
        task: what the command trains.
        settings: makes a new run's settings.
        out: where a new run goes without ``--out``.
        described: what is said of the settings before training.
    """
    import torch

    from cmrbias.training import start
    from cmrbias.training.run import Run

    flags, plugins = ctx.params, ctx.obj()
    if flags["threads"]:
        torch.set_num_threads(flags["threads"])
    if flags["resume"]:
        _refuse_ignored(ctx)
        trained = Run.open(flags["resume"]).info["settings"]["task"]
        if trained != task:
            raise CmrbiasError(f"{flags['resume']}: is a run of task {trained!r}, not of {task!r}")
        return start.resume(flags["resume"], plugins, say)
    new = settings()
    say(described(new))
    return start.start(new, flags["out"] or _free(Path(out)), plugins, say)


def named_recipe(recipes: Mapping[str, Recipe], name: str, owner: str) -> Recipe:
    """Returns one of the recipes of ``owner``."""
    if name not in recipes:
        raise unknown(f"recipe of {owner}", name, recipes)
    return recipes[name]


def overridden(recipe: Recipe, flags: Mapping[str, Any]) -> Recipe:
    """Returns the recipe with what flags say otherwise."""
    given = {name: flags[name] for name in OVERRIDES if flags[name] is not None}
    augmentations = _augmentations(recipe, flags["augment"], flags["augment_options"])
    return dataclasses.replace(recipe, **given, augmentations=augmentations)


def cohort_or_phantom(cohort: Path | None) -> Path:
    """Returns the cohort, or where the default phantom is; says so."""
    if cohort is not None:
        return cohort
    from cmrbias.cohorts.phantom.cohort import default_phantom

    say("no --cohort given: a phantom cohort is used, made the first time")
    path = default_phantom(cache_directory() / "phantoms")
    say(f"cohort: {path}")
    return path


def in_short(settings: Any) -> str:
    """Returns the settings that matter most, in a few words."""
    recipe = settings.recipe
    return (
        f"{recipe.epochs} epochs, batch {recipe.batch}, {recipe.image_size} px, "
        f"{recipe.optimiser} lr {recipe.lr:g}, seed {settings.seed}"
    )


def report(
    run: Run, ended: Ended, command: str, lines: Callable[[], Sequence[str]], following: Sequence[object]
) -> None:
    """Says how a training ended: ``lines`` of a finished run, and the words of the command to run next.

    Raises:
        Exit: Ctrl-C has stopped it: status 130, so that what a script runs after it does not begin.
    """
    if ended.interrupted:
        going_on = shell([command, "--resume", run.path])
        click.echo(f"stopped after {run.log[-1]['epoch']} whole epochs; go on: {going_on}")
        raise click.exceptions.Exit(STOPPED)
    for line in lines():
        click.echo(line)
    best = "best.pt: weights; " if run.best.exists() else ""
    holds = f"{best}last.pt: weights and state; log.jsonl: a line an epoch; run.json: settings"
    if ended.images:
        click.echo(f"{ended.images / max(ended.seconds, 1e-9):.0f} images/s")
        click.echo(f"wrote {run.path} ({holds})")
    else:
        click.echo(f"{run.path} was finished before: nothing was left to train ({holds})")
    say_next(following)


def say(text: str) -> None:
    """Prints a line that is no result."""
    click.echo(text, err=True)


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


def _refuse_ignored(ctx: click.Context) -> None:
    """A resumed run keeps its settings: a flag that would be ignored is an error."""
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
