"""``cmrbias study calibration``."""

from __future__ import annotations

import dataclasses
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cmrbias.cli.hints import say_next
from cmrbias.cli.study.cell import caller
from cmrbias.cli.study.compute import refuse_failed
from cmrbias.cli.training import Finite, say
from cmrbias.errors import CmrbiasError, unknown

if TYPE_CHECKING:
    from cmrbias.studies.calibration.design import Bias, Preset, Trial


@click.command()
@click.option(
    "--cue",
    "cues",
    multiple=True,
    metavar="KIND[:FORM[:MM]]",
    help="Kind of cue, as of cohort phantom; repeatable; all: every kind in its first form "
    "[default: local-far].",
)
@click.option("--preset", default="default", help="How large: smoke, quick, default or full.")
@click.option(
    "--cut",
    default=0.1,
    type=Finite(0, 1),
    help="Reliance above which a model counts as relying on the cue.",
    show_default=True,
)
@click.option("--out", default="study", type=click.Path(path_type=Path), help="The study's directory.")
@click.option("--jobs", default=1, type=click.IntRange(1), help="Cells at a time.")
@click.option("--plan", is_flag=True, help="Print a shell command for each unfinished cell; compute nothing.")
@click.pass_context
def command(
    ctx: click.Context, cues: tuple[str, ...], preset: str, cut: float, out: Path, jobs: int, plan: bool
) -> None:
    """Hold saliency measures against known reliance on a cue: which of them detect a shortcut, how often
    they would be wrong.

    Trains the models full, heart, swap, SimCLR + probe and SimCLR + finetune on phantoms whose cue is as
    strong as each preset says, measures their reliance on it from twins, and writes calibration.csv, .json,
    .md and .png. Error rates need 20 replicates at strength 0: --preset full. Stopped anywhere, the same
    command goes on; weights are removed once their replicate is measured.
    """
    from cmrbias.studies.calibration.design import PRESETS, cells_of, seconds_left, trials

    if preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    biases, chosen = _biases(cues), PRESETS[preset]
    found = list(trials(biases, chosen))
    cells = cells_of(found)
    if plan:
        from cmrbias.studies.plan import plan as planned

        for line in planned(cells, out):
            click.echo(line)
        return
    _require_matplotlib()
    say(_announcement(biases, preset, chosen, len(found), seconds_left(cells, chosen, out)))
    seconds = _compute(ctx, found, chosen, out, jobs)
    _write(found, biases, preset, chosen, cut, out, seconds)


def _biases(cues: tuple[str, ...]) -> list[Bias]:
    from cmrbias.cohorts.phantom.settings import CUES
    from cmrbias.studies.calibration.design import Bias

    every = [name for name in CUES if name != "none"]
    named = [name for cue in cues or ("local-far",) for name in (every if cue == "all" else [cue])]
    return [Bias.parse(name) for name in dict.fromkeys(named)]


def _announcement(biases: list[Bias], preset: str, chosen: Preset, models: int, seconds: float) -> str:
    """Says what will be computed, and how long that takes, before anything is."""
    replicates = ", ".join(f"{count} at {strength:g}" for strength, count in chosen.replicates.items())
    warning = f"; {chosen.warning}" if chosen.warning else ""
    return (
        f"calibration, preset {preset}: {', '.join(bias.name for bias in biases)}; replicates by strength: "
        f"{replicates}; {models} models{warning}\n"
        f"what is left takes about {math.ceil(seconds / 60)} minutes on two cores; stopped, the same command "
        "goes on"
    )


def _compute(ctx: click.Context, found: list[Trial], chosen: Preset, out: Path, jobs: int) -> float:
    """Computes the trials, a replicate after another; returns the seconds."""
    from cmrbias.studies.calibration.design import by_replicate, cells_of, seconds_left
    from cmrbias.studies.calibration.weights import drop_weights, renew_trainings
    from cmrbias.studies.runner import run_cells

    started, replicates = time.monotonic(), by_replicate(found)
    expected = seconds_left(cells_of(found), chosen, out)
    for number, trials in enumerate(replicates, 1):
        cells = cells_of(trials)
        if seconds_left(cells, chosen, out):
            say(f"replicate {number} of {len(replicates)}: {trials[0].phantom}")
            renew_trainings(cells, out)
            try:
                refuse_failed(run_cells(cells, out, caller(ctx.obj), say, jobs))
            except KeyboardInterrupt:
                raise CmrbiasError("stopped: the same command goes on") from None
            left, passed = seconds_left(cells_of(found), chosen, out), time.monotonic() - started
            if left:
                say(f"about {math.ceil(passed / (expected - left) * left / 60)} minutes left")
        drop_weights(cells, out)
    return time.monotonic() - started


def _write(
    found: list[Trial], biases: list[Bias], preset: str, chosen: Preset, cut: float, out: Path, seconds: float
) -> None:
    from cmrbias.studies.calibration.design import NETWORK
    from cmrbias.studies.calibration.figure import draw_calibration
    from cmrbias.studies.calibration.points import points
    from cmrbias.studies.calibration.report import calibrate, text, write_calibration
    from cmrbias.training.run import versions

    settings = {
        "preset": preset,
        **dataclasses.asdict(chosen),
        "replicates": {f"{strength:g}": count for strength, count in chosen.replicates.items()},
        "cues": [dataclasses.asdict(bias) for bias in biases],
        "network": " ".join(NETWORK),
        "versions": versions(),
    }
    calibration = calibrate(list(points(found, out)), cut, settings, _notes(biases, preset, chosen))
    write_calibration(calibration, out)
    draw_calibration(calibration, out / "calibration.png")
    for line in text(calibration):
        click.echo(line)
    click.echo("")
    click.echo(f"wrote {out}/calibration.csv, .json, .md and .png ({seconds / 60:.1f} minutes)")
    larger = {"smoke": "quick", "quick": "default", "default": "full"}.get(preset)
    again = ["--preset", larger] if larger else ["--cue", "all", "--preset", "full"]
    say_next(["study", "calibration", *again])


def _notes(biases: list[Bias], preset: str, chosen: Preset) -> list[str]:
    """Returns what must stand beside the numbers."""
    from cmrbias.studies.calibration.design import UNSEEN

    warning = [f"preset {preset}: {chosen.warning}"] if chosen.warning else []
    return [
        *warning,
        "reliance: mean total variation between predictions on twins, whose cue alone has another level",
        "overlap of GradCAM of the predicted class with the heart, input full, vanished maps counting 0; "
        "BG-gap of the macro AUC; suspicious: BG-gap high, the others low",
        "intervals of single points are over patients, those of correlations and AUROCs over replicates",
        "nothing is retrained on twins: a refitted head would hide the shortcut",
        *(f"{bias.name}: this cue {UNSEEN[bias.kind]}" for bias in biases if bias.kind in UNSEEN),
    ]


def _require_matplotlib() -> None:
    """Raises MissingExtra now rather than after hours."""
    from cmrbias.report.overlays import require_matplotlib

    require_matplotlib()
