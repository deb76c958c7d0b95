"""``cmrbias medaug``: strategies x seeds, each probed at label fractions, as one table."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cmrbias.errors import CmrbiasError

BASELINE = "same-image"


@click.command()
@click.option("--cohort", required=True, type=click.Path(path_type=Path), help="Cohort, with test patients.")
@click.option("--label", required=True, metavar="COLUMN[,COLUMN...]", help="Binary targets of the probe.")
@click.option("--strategies", default="same-image,same-patient,same-study", help="Pairings, with commas.")
@click.option("--seeds", default=3, type=click.IntRange(1), help="Pretrainings a strategy.")
@click.option("--fractions", default="0.01,0.1,1", help="Label fractions of the probe, with commas.")
@click.option("--draws", default=5, type=click.IntRange(1), help="Draws of each fraction under 1.")
@click.option("--method", default="medaug", help="Self-supervised method; pairings work with any.")
@click.option("--pair-option", multiple=True, metavar="KEY=VALUE", help="Of all pairings but same-image.")
@click.option("--pretrain", default="", metavar="'FLAGS'", help="Further flags of cmrbias pretrain.")
@click.option("--probe", default="", metavar="'FLAGS'", help="Further flags of cmrbias probe.")
@click.option("--ensemble", is_flag=True, help="Also score the mean probability of each strategy's runs.")
@click.option(
    "--out",
    default=Path("runs/medaug-comparison"),
    type=click.Path(path_type=Path),
    help="Directory of all runs; what is finished there is not trained again.",
)
@click.pass_context
def command(ctx: click.Context, out: Path, cohort: Path, **flags: Any) -> None:
    """Compare pairing strategies: pretrain each, train linear layers on label fractions, test by study.

    Prints a table a fraction: AUROC, AUPRC and log-loss with intervals over patients, seeds and draws
    averaged within each resample, and paired differences from same-image, which is always trained.
    """
    strategies = list(dict.fromkeys([BASELINE, *_listed(flags["strategies"])]))
    fractions = [_fraction(text) for text in _listed(flags["fractions"])]
    _remember(out, {"cohort": str(cohort.resolve()), **{k: v for k, v in flags.items() if k not in _GROWING}})
    for seed in range(flags["seeds"]):
        for strategy in strategies:
            _train(ctx, _pretrain(out, cohort, strategy, seed, flags), _run(out, strategy, seed) / "pretrain")
            for fraction in fractions:
                for draw in range(_draws(fraction, flags)):
                    folder = _run(out, strategy, seed) / _probe_name(fraction, draw)
                    _train(ctx, _probe(out, cohort, strategy, seed, fraction, draw, flags), folder)
    _report(ctx, out, cohort, strategies, fractions, flags)


_GROWING = ("strategies", "seeds", "fractions", "draws", "ensemble")  # more of these needs nothing anew


def _report(
    ctx: click.Context,
    out: Path,
    cohort: Path,
    strategies: Sequence[str],
    fractions: Sequence[float],
    flags: dict[str, Any],
) -> None:
    from cmrbias import evaluate_findings

    found = {}
    for fraction in fractions:
        models = {
            strategy: [
                _run(out, strategy, seed) / _probe_name(fraction, draw)
                for seed in range(flags["seeds"])
                for draw in range(_draws(fraction, flags))
            ]
            for strategy in strategies
        }
        evaluation = evaluate_findings(
            models, cohort, baseline=BASELINE, ensemble=flags["ensemble"], plugins=ctx.obj()
        )
        found[f"{fraction:g}"] = evaluation.as_dict()
        click.echo(f"label fraction {fraction:g}: {flags['seeds']} seeds x {_draws(fraction, flags)} draws")
        for line in evaluation.lines():
            click.echo(line)
        click.echo("")
    (out / "comparison.json").write_text(json.dumps(found, indent=2) + "\n")
    for strategy in strategies:
        info = json.loads((_run(out, strategy, 0) / "pretrain" / "run.json").read_text())
        pairs = info["record"]["pairing"]
        if "images_by_partners" in pairs:  # not of same-image, nor of another plugin's pairing
            cheats = " USES LABELS" if pairs["uses_labels"] else ""
            click.echo(
                f"{strategy}:{cheats} images by number of partners {pairs['images_by_partners']}, "
                f"{pairs['pair_with_themselves']} pair with themselves"
            )
    click.echo(f"wrote {out} (comparison.json: all figures; a directory a strategy and seed)")
    click.echo(f"next: cmrbias evaluate {_run(out, strategies[-1], 0) / _probe_name(fractions[-1], 0)}")


def _pretrain(out: Path, cohort: Path, strategy: str, seed: int, flags: dict[str, Any]) -> list[str]:
    options = () if strategy == BASELINE else flags["pair_option"]
    given = [part for option in options for part in ("--pair-option", option)]
    chosen = ["--method", flags["method"], "--pairs", strategy, *given, "--seed", str(seed)]
    return ["pretrain", "--cohort", str(cohort), *chosen, *shlex.split(flags["pretrain"])]


def _probe(
    out: Path, cohort: Path, strategy: str, seed: int, fraction: float, draw: int, flags: dict[str, Any]
) -> list[str]:
    """Unweighted, so that probabilities are what the log-loss takes them for; further flags may differ."""
    chosen = [
        "--label",
        flags["label"],
        "--fraction",
        str(fraction),
        "--draw",
        str(draw),
        "--seed",
        str(seed),
    ]
    weights = ["--weights", str(_run(out, strategy, seed) / "pretrain"), "--class-weights", "none"]
    return ["probe", "--cohort", str(cohort), *weights, *chosen, *shlex.split(flags["probe"])]


def _train(ctx: click.Context, arguments: list[str], folder: Path) -> None:
    """Runs a command of cmrbias, unless its run is finished; goes on with one that was interrupted."""
    info = folder / "run.json"
    status = json.loads(info.read_text())["status"] if info.exists() else None
    if status == "finished":
        return
    resumed = [arguments[0], "--resume", str(folder)]
    click.echo(f"{folder}", err=True)
    with contextlib.redirect_stdout(sys.stderr):
        main = ctx.find_root().command.main
        main(resumed if status else [*arguments, "--out", str(folder)], standalone_mode=False)
    if json.loads(info.read_text())["status"] != "finished":
        raise CmrbiasError(f"{folder}: was interrupted; the same command again goes on with it")


def _remember(out: Path, settings: dict[str, Any]) -> None:
    """Writes what determines the runs of ``out``, or refuses other settings than those written there."""
    file, settings = out / "settings.json", json.loads(json.dumps(settings))
    if file.exists():
        stored = json.loads(file.read_text())
        for name, value in settings.items():
            if stored.get(name) != value:
                raise CmrbiasError(
                    f"{file}: the runs there had {name} = {stored.get(name)!r}, now it is {value!r}: choose "
                    "another --out"
                )
        return
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(settings, indent=2) + "\n")


def _run(out: Path, strategy: str, seed: int) -> Path:
    return out / strategy / f"seed-{seed}"


def _probe_name(fraction: float, draw: int) -> str:
    return f"probe-{fraction:g}-{draw}"


def _draws(fraction: float, flags: dict[str, Any]) -> int:
    draws: int = flags["draws"]
    return 1 if fraction == 1 else draws


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _fraction(text: str) -> float:
    try:
        fraction = float(text)
    except ValueError:
        fraction = 0.0
    if not 0 < fraction <= 1:
        raise CmrbiasError(f"--fractions: expected shares in (0, 1], such as 0.01,0.1,1, got {text!r}")
    return fraction
