"""``cmrbias medaug``: strategies x seeds, each probed at label fractions, as one table."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from cmrbias import CmrbiasError
from cmrbias_medaug.comparing import BASELINE, Strategy, parse_strategies

RECIPES = {  # flags of pretrain, and of probe: the linear evaluation as published
    "quick": ("", ""),
    "paper": (
        "--recipe paper",
        "--lr 3e-4 --weight-decay 0 --batch 16 --schedule constant --image-size 320",
    ),
}
GROWING = ("strategies", "seeds", "fractions", "draws", "ensemble")  # more of these needs nothing anew


@click.command()
@click.option("--cohort", required=True, type=click.Path(path_type=Path), help="Cohort, with test patients.")
@click.option("--label", required=True, metavar="COLUMN[,COLUMN...]", help="Binary targets of the probe.")
@click.option(
    "--strategies",
    default="same-image,same-patient,same-study",
    metavar="PAIRS[+NEGATIVES],...",
    help="Pairings, with commas; same-study+append also takes hard negatives: append, reweight, only, "
    "synthetic, or exclude-own-patient.",
)
@click.option("--seeds", default=3, type=click.IntRange(1), help="Pretrainings a strategy.")
@click.option("--fractions", default="0.01,0.1,1", help="Label fractions of the probe, with commas.")
@click.option("--draws", default=5, type=click.IntRange(1), help="Draws of each fraction under 1.")
@click.option("--method", default="medaug", help="Self-supervised method; pairings work with any.")
@click.option("--pair-option", multiple=True, metavar="KEY=VALUE", help="Of all pairings that have it.")
@click.option(
    "--recipe",
    default="quick",
    type=click.Choice(list(RECIPES)),
    help="Of pretraining; paper: probes are trained as published too.",
)
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
def command(ctx: click.Context, /, out: Path, cohort: Path, **flags: Any) -> None:
    """Compare strategies: pretrain each, train linear layers on label fractions, test by study.

    Prints a table a fraction: AUROC, AUPRC and log-loss with intervals over patients, seeds and draws
    averaged within each resample, and paired differences from same-image, which is always trained; then
    one of AUROC at all fractions, and what each strategy's pairs and negatives were.
    """
    strategies = parse_strategies(flags["strategies"], flags["pair_option"], ctx.obj().registry("pairings"))
    fractions = [_fraction(text) for text in _listed(flags["fractions"])]
    _refuse_labels(cohort, _listed(flags["label"]))
    _remember(out, {"cohort": str(cohort.resolve()), **{k: v for k, v in flags.items() if k not in GROWING}})
    for seed in range(flags["seeds"]):
        for strategy in strategies:
            pretrained = _folder(out, strategy, seed) / "pretrain"
            _train(ctx, _pretrain(cohort, strategy, seed, flags), pretrained)
            for fraction, draw in _draws(fractions, flags):
                arguments = _probe(cohort, pretrained, seed, fraction, draw, flags)
                _train(ctx, arguments, _folder(out, strategy, seed) / _probe_name(fraction, draw))
    _report(ctx, out, cohort, strategies, fractions, flags)


def _report(
    ctx: click.Context,
    out: Path,
    cohort: Path,
    strategies: Sequence[Strategy],
    fractions: Sequence[float],
    flags: dict[str, Any],
) -> None:
    """Tests all probes, prints the tables and writes them."""
    from cmrbias import evaluate_findings
    from cmrbias_medaug.comparing import explained, overview, titled

    seeds, found = range(flags["seeds"]), {}
    pretrained = {s: [_folder(out, s, seed) / "pretrain" for seed in seeds] for s in strategies}
    titles = {strategy: titled(strategy, runs[0]) for strategy, runs in pretrained.items()}
    for fraction in fractions:
        draws = [draw for _, draw in _draws([fraction], flags)]
        models = {
            titles[strategy]: [
                _folder(out, strategy, seed) / _probe_name(fraction, draw) for seed in seeds for draw in draws
            ]
            for strategy in strategies
        }
        found[fraction] = evaluate_findings(
            models, cohort, baseline=BASELINE, ensemble=flags["ensemble"], plugins=ctx.obj()
        )
        click.echo(f"label fraction {fraction:g}: {len(seeds)} seeds x {len(draws)} draws")
        for line in found[fraction].lines():
            click.echo(line)
        click.echo("")
    table = [*overview(found), "", f"pretrained by: {flags['method']}, {flags['recipe']} {flags['pretrain']}"]
    table += [explained(titles[strategy], strategy, runs) for strategy, runs in pretrained.items()]
    for line in table:
        click.echo(line)
    figures = {f"{fraction:g}": evaluation.as_dict() for fraction, evaluation in found.items()}
    (out / "comparison.json").write_text(json.dumps(figures, indent=2) + "\n")
    (out / "comparison.md").write_text("\n".join(table) + "\n")
    click.echo(f"wrote {out} (comparison.json: all figures; comparison.md; a directory a strategy and seed)")
    last = _folder(out, strategies[-1], 0) / _probe_name(fractions[-1], 0)
    click.echo(f"next: cmrbias evaluate {shlex.quote(str(last))}")


def _pretrain(cohort: Path, strategy: Strategy, seed: int, flags: dict[str, Any]) -> list[str]:
    recipe, _ = RECIPES[flags["recipe"]]
    chosen = ["--method", flags["method"], "--seed", str(seed), *shlex.split(f"{recipe} {flags['pretrain']}")]
    return ["pretrain", "--cohort", str(cohort), *chosen, *strategy.flags()]


def _probe(
    cohort: Path, pretrained: Path, seed: int, fraction: float, draw: int, flags: dict[str, Any]
) -> list[str]:
    _, recipe = RECIPES[flags["recipe"]]
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
    further = shlex.split(f"{recipe} {flags['probe']}")
    return ["probe", "--cohort", str(cohort), "--weights", str(pretrained), *chosen, *further]


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


def _refuse_labels(cohort: Path, names: Sequence[str]) -> None:
    """Raises where a label is no binary target: probes would find it out after the pretraining."""
    from cmrbias import Cohort

    kinds = {name: target["kind"] for name, target in Cohort.open(cohort).targets.items()}
    for name in names:
        if kinds.get(name) != "binary":
            found = f"one of kind {kinds[name]!r}" if name in kinds else "none of this name"
            raise CmrbiasError(
                f"{cohort}: --label {name}: expected a binary target, found {found}; binary ones: "
                f"{', '.join(n for n, kind in kinds.items() if kind == 'binary') or 'none'}"
            )


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


def _folder(out: Path, strategy: Strategy, seed: int) -> Path:
    return out / strategy.name / f"seed-{seed}"


def _probe_name(fraction: float, draw: int) -> str:
    return f"probe-{fraction:g}-{draw}"


def _draws(fractions: Sequence[float], flags: dict[str, Any]) -> Iterator[tuple[float, int]]:
    """Yields each fraction with each of its draws; all labels can be drawn in one way only."""
    for fraction in fractions:
        for draw in range(1 if fraction == 1 else flags["draws"]):
            yield fraction, draw


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
