"""``cmrbias evaluate``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from cmrbias.cli.hints import say_next
from cmrbias.errors import CmrbiasError
from cmrbias.options import pairs


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--cohort", type=click.Path(path_type=Path), help="Cohort [default: that of the training].")
@click.option("--split", default="test", help="Split of the cohort.")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="MODE",
    help="Test input; repeatable [default: that of the training, and full]. full, heart, background, "
    "background-box, background-fill, silhouette, swap-self, swap-same-class, swap-other-class; all: full, "
    "heart, background-box, swap-same-class, swap-other-class and BG-gap.",
)
@click.option(
    "--against",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Another run on the same patients, for paired differences; repeatable.",
)
@click.option(
    "--twins",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="COHORT",
    help="Twin of the tested phantom (cohort phantom --twin-of): how far RUN relies on the cue, as total "
    "variation between predictions on twins, flipped decisions and differences in AUC; repeatable.",
)
@click.option("--label", help="The cohort's column of labels [default: the run's].")
@click.option(
    "--label-map",
    metavar="CLASS=LABEL,...",
    help="Which class of the run is which label of the cohort; others are left out and counted.",
)
@click.option(
    "--draw",
    "draws",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Binary targets: another run of the same model (draw, seed), averaged with RUN; repeatable.",
)
@click.option("--ensemble", is_flag=True, help="Binary targets: score the runs' mean probability too.")
@click.option("--allow-seen", is_flag=True, help="Test patients that the run has seen; every table says so.")
@click.option("--resamples", default=2000, type=click.IntRange(1), help="Of patients, for the intervals.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Of resamples and of swapped backgrounds.")
@click.option("--out", type=click.Path(path_type=Path), help="Directory [default: RUN, or within it].")
@click.option("--device", default="auto", metavar="auto|cpu|cuda[:N]", help="Where the network runs.")
@click.option(
    "--precision",
    default="fp32",
    type=click.Choice(["auto", "fp32", "bf16"]),
    help="Of the network; auto: bf16 where the hardware has it.",
)
@click.option("--threads", type=click.IntRange(1), help="CPU threads [default: torch's].")
@click.pass_context
def command(
    ctx: click.Context,
    run: Path,
    cohort: Path | None,
    split: str,
    inputs: tuple[str, ...],
    against: tuple[Path, ...],
    twins: tuple[Path, ...],
    label: str | None,
    label_map: str | None,
    draws: tuple[Path, ...],
    ensemble: bool,
    allow_seen: bool,
    resamples: int,
    seed: int,
    out: Path | None,
    device: str,
    precision: str,
    threads: int | None,
) -> None:
    """Test the classifier of RUN: predictions, AUCs, decisions and calibration, each with its interval.

    Writes predictions.csv (a row a case and test input) and scores.json: into RUN for its own cohort's
    test split, else into RUN/evaluations/COHORT. Refuses patients that the run has seen in training.

    Binary targets are scored a study: AUROC, AUPRC and log-loss, averaged over RUN and its --draw runs.
    """
    import torch

    from cmrbias.evaluation.evaluate import evaluate
    from cmrbias.evaluation.text import tables
    from cmrbias.training.run import Run

    if threads:
        torch.set_num_threads(threads)
    if Run.open(run).info.get("record", {}).get("kind") == "binary":
        if inputs or label or label_map or twins:
            raise click.UsageError(f"{run}: binary targets take no --input, --label, --label-map or --twins")
        _evaluate_findings(ctx, run)
        return
    if draws or ensemble:
        raise click.UsageError(f"{run}: --draw and --ensemble are for binary targets, it has classes")
    evaluation = evaluate(
        run,
        cohort,
        split=split,
        inputs=inputs,
        against=against,
        twins=twins,
        label=label,
        label_map=None if label_map is None else _mapped(label_map),
        allow_seen=allow_seen,
        resamples=resamples,
        seed=seed,
        out=out,
        device=device,
        precision=precision,
        plugins=ctx.obj(),
        progress=_progress(),
    )
    for line in tables(evaluation):
        click.echo(line)
    click.echo("")
    if evaluation.replaced:
        click.echo(evaluation.replaced)
    click.echo(
        f"wrote {evaluation.out} (predictions.csv: a row a case and test input; scores.json: all figures)"
    )
    following = ["--input", "all"] if evaluation.bg_gap is None else ["--against", "RUN2"]
    say_next(["evaluate", run, *following])


def _evaluate_findings(ctx: click.Context, run: Path) -> None:
    """Tests a classifier of binary targets with the command's other flags."""
    from cmrbias.evaluation.findings import evaluate_findings, refuse_twice

    flags = ctx.params
    name = str(run)
    refuse_twice([run, *flags["against"]], "RUN and --against")  # else one would hide the other
    models = {name: [run, *flags["draws"]], **{str(other): [other] for other in flags["against"]}}
    same = ("cohort", "split", "ensemble", "allow_seen", "resamples", "seed", "device", "precision")
    evaluation = evaluate_findings(
        models,
        baseline=str(flags["against"][0]) if flags["against"] else None,
        plugins=ctx.obj(),
        **{flag: flags[flag] for flag in same},
    )
    for line in evaluation.lines():
        click.echo(line)
    out = evaluation.write(flags["out"])
    click.echo("")
    click.echo(f"wrote {out} (predictions.csv: a row a study, run and finding; scores.json: all figures)")
    say_next(["evaluate", run, "--against", "RUN2"])


def _mapped(text: str) -> dict[str, str]:
    """Returns ``CLASS=LABEL,...`` as a dictionary."""
    given = text.split(",")
    mapped = pairs(given, "--label-map")
    if len(mapped) < len(given):
        names = [pair.partition("=")[0] for pair in given]
        twice = next(name for name in names if names.count(name) > 1)
        raise CmrbiasError(f"--label-map: class {twice!r} is there twice: give it one label")
    return mapped


def _progress() -> Callable[[str, int, int], None]:
    """Returns what says how far a test input is: a line rewritten on a terminal, one when done in a pipe."""
    started = time.perf_counter()
    live = sys.stderr.isatty()

    def say(name: str, done: int, cases: int) -> None:
        nonlocal started
        seconds = max(time.perf_counter() - started, 1e-9)
        left = seconds / done * (cases - done)
        if live:
            text = f"\rinput {name}: {done}/{cases} cases, {done / seconds:.0f} cases/s, {left:.0f} s left  "
            click.echo(text, err=True, nl=done == cases)
        elif done == cases:
            click.echo(f"input {name}: {cases} cases, {done / seconds:.0f} cases/s", err=True)
        if done == cases:
            started = time.perf_counter()

    return say
