"""``cmrbias saliency``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from cmrbias.cli.hints import say_next
from cmrbias.errors import CmrbiasError
from cmrbias.files import refuse_unwritable
from cmrbias.options import pairs

OF_OVERLAP = (
    "target",
    "threshold",
    "normalise",
    "overlays",
    "keep_maps",
)  # flags that sanity checks have no use for
OF_SANITY = ("repeat", "reproduce")


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--cohort", type=click.Path(path_type=Path), help="Cohort [default: that of the training].")
@click.option("--split", default="test", help="Split of the cohort.")
@click.option(
    "--input",
    metavar="MODE",
    help="Test input: full, heart, background, background-box, background-fill, silhouette, swap-self, "
    "swap-same-class, swap-other-class (the mean over five fixed donors a case) [default: that in which the "
    "run is tested].",
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    default=["gradcam"],
    metavar="NAME",
    help="gradcam, gradcam-plus-plus, layercam, eigencam, gradient-input, integrated-gradients, occlusion, "
    "or a plugin's; repeatable.",
)
@click.option(
    "--method-option",
    "method_options",
    multiple=True,
    metavar="NAME.KEY=VALUE",
    help="Option of a method (see cmrbias plugins show NAME); repeatable.",
)
@click.option(
    "--target",
    default="predicted",
    type=click.Choice(["predicted", "true", "all"]),
    help="Whose logit is explained; overlap.csv has the predicted and the true class in any case.",
)
@click.option("--layer", metavar="NAME", help="Layer of the network [default: its feature map, after relu].")
@click.option(
    "--recipe",
    default="quick",
    type=click.Choice(["quick", "paper"]),
    help="paper: GradCAM's gradient before the last relu, as in the published code.",
)
@click.option("--threshold", default=0.5, type=float, help="Of the map, inside (0, 1), for Dice and IoU.")
@click.option(
    "--normalise",
    default="frame",
    type=click.Choice(["frame", "joint"]),
    help="Min-max of each frame's map, or one over the frames of a case.",
)
@click.option("--overlays", default=0, type=click.IntRange(0), metavar="N", help="Draw N cases as PNG.")
@click.option(
    "--maps", "keep_maps", is_flag=True, help="Write maps.npz, the predicted class's maps of all cases."
)
@click.option(
    "--sanity",
    is_flag=True,
    help="Instead of the overlap: are the maps to be believed? They should change where the layers are "
    "randomised, come again, and lie on the heart. Writes sanity.csv and sanity.json.",
)
@click.option(
    "--repeat",
    type=click.Path(path_type=Path),
    metavar="RUN2",
    help="For --sanity: the same training with another --seed.",
)
@click.option(
    "--reproduce",
    type=click.Path(path_type=Path),
    metavar="RUN3",
    help="For --sanity: the same training of another --backbone.",
)
@click.option(
    "--allow-seen", is_flag=True, help="Explain patients that the run has seen; the output says so."
)
@click.option("--resamples", default=2000, type=click.IntRange(1), help="Of patients, for the intervals.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Of resamples, donors and random networks.")
@click.option("--out", type=click.Path(path_type=Path), help="Directory [default: RUN, or within it].")
@click.option("--device", default="auto", metavar="auto|cpu|cuda[:N]", help="Where the network runs.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads [default: torch's].")
@click.pass_context
def command(ctx: click.Context, /, run: Path, **flags: Any) -> None:
    """See where the classifier of RUN looks: maps of each frame against the heart mask.

    Writes overlap.csv (a row a case, frame and class: AKS, DSC, ..., chance, ceiling, baselines) and
    overlap.json (means over patients by class, with intervals); with --overlays also PNG files.
    """
    import torch

    if flags["threads"]:
        torch.set_num_threads(flags["threads"])
    _refuse_useless(ctx, flags)
    if not 0 < flags["threshold"] < 1:
        raise CmrbiasError(f"--threshold: expected a number inside (0, 1), got {flags['threshold']:g}")
    if flags["out"]:
        refuse_unwritable(flags["out"])
    (_sanity if flags["sanity"] else _overlap)(run, flags, ctx.obj())


def _overlap(run: Path, flags: dict[str, Any], plugins: Any) -> None:
    from cmrbias.saliency.explain import explain
    from cmrbias.saliency.text import tables
    from cmrbias.saliency.writing import destination, write_explanation

    if flags["overlays"]:
        from cmrbias.report.overlays import require_matplotlib

        require_matplotlib()
    explanation = explain(
        run,
        **_common(flags),
        **{name: flags[name] for name in OF_OVERLAP if name != "overlays"},
        plugins=plugins,
        progress=_progress(),
    )
    out = flags["out"] or destination(explanation.subject)
    replaced = write_explanation(explanation, out)
    for line in tables(explanation):
        click.echo(line)
    click.echo("")
    if replaced:
        click.echo(replaced)
    click.echo(f"wrote {out} (overlap.csv: a row a case, frame and class; overlap.json: all means)")
    if flags["overlays"]:
        from cmrbias.report.overlays import draw_overlays

        drawn = draw_overlays(explanation, flags["overlays"], out / "figures")
        click.echo(f"wrote {drawn[-1]}: {len(drawn) - 1} cases, each also in a file of its own")
        say_next(["evaluate", run])
    else:
        say_next(["saliency", run, "--overlays", 12])


def _sanity(run: Path, flags: dict[str, Any], plugins: Any) -> None:
    from cmrbias.saliency.sanity.check import check_saliency
    from cmrbias.saliency.sanity.text import tables
    from cmrbias.saliency.sanity.writing import write_sanity
    from cmrbias.saliency.writing import destination

    others = {name: flags[name] for name in OF_SANITY}
    found = check_saliency(run, **_common(flags), **others, plugins=plugins, progress=_progress())
    out = flags["out"] or destination(found.subject)
    write_sanity(found, out)
    for line in tables(found):
        click.echo(line)
    click.echo("")
    click.echo(f"wrote {out} (sanity.csv: a row a figure; sanity.json: with all intervals and null draws)")
    say_next(["saliency", run])


def _refuse_useless(ctx: click.Context, flags: dict[str, Any]) -> None:
    """Raises a CmrbiasError for a flag that would do nothing."""
    given = click.core.ParameterSource.COMMANDLINE
    for name in OF_OVERLAP if flags["sanity"] else OF_SANITY:
        if ctx.get_parameter_source(name) == given:
            why = "has no part in --sanity: leave one of them out"
            if not flags["sanity"]:
                why = "is for --sanity: add it"
            raise CmrbiasError(f"--{name.removeprefix('keep_')}: {why}")


def _common(flags: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments that both ways have."""
    names = ("cohort", "split", "input", "layer", "allow_seen", "resamples", "seed", "device")
    return {name: flags[name] for name in names} | {
        "methods": tuple(dict.fromkeys(flags["methods"])),
        "method_options": _method_options(flags["method_options"], flags["methods"], flags["recipe"]),
    }


def _method_options(given: Sequence[str], methods: Sequence[str], recipe: str) -> dict[str, dict[str, str]]:
    """Returns each method's options by name; the recipe's give way to those that are given."""
    found: dict[str, dict[str, str]] = {}
    if recipe == "paper":
        found["gradcam"] = {"gradient": "before-relu"}
    for key, value in pairs(given, "--method-option").items():
        name, dot, option = key.partition(".")
        if not dot or name not in methods:
            raise CmrbiasError(
                f"--method-option: expected NAME.KEY=VALUE with NAME one of {', '.join(methods)}, got {key!r}"
            )
        found.setdefault(name, {})[option] = value
    return found


def _progress() -> Callable[[int, int], None]:
    """Returns what says how far it is: a line rewritten on a terminal, one when done in a pipe."""
    started = time.perf_counter()
    live = sys.stderr.isatty()

    def say(done: int, cases: int) -> None:
        seconds = max(time.perf_counter() - started, 1e-9)
        left = seconds / done * (cases - done)
        if live:
            text = f"\r{done}/{cases} cases, {done / seconds:.0f} cases/s, {left:.0f} s left  "
            click.echo(text, err=True, nl=done == cases)
        elif done == cases:
            click.echo(f"{cases} cases, {done / seconds:.0f} cases/s", err=True)

    return say
