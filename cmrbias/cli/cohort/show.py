"""``cmrbias cohort show``: a montage."""

from __future__ import annotations

from pathlib import Path

import click

from cmrbias.cli.hints import say_next


@click.command()
@click.argument("cohort", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="PNG file.  [default: ./<COHORT>.png]")
@click.option("--cases", type=click.IntRange(1), default=12, help="How many cases to draw.")
@click.option("--split", help="Only cases of this split: train or test.")
@click.option("--seed", default=0, help="Which cases are drawn.")
def command(cohort: Path, out: Path | None, cases: int, split: str | None, seed: int) -> None:
    """Draw some of COHORT's cases with the outlines of their masks."""
    from cmrbias.cohorts.format import Cohort
    from cmrbias.report.montage import choose_cases, draw_montage

    opened = Cohort.open(cohort)
    chosen = choose_cases(opened, cases, split, seed)
    path = out or Path(f"{cohort.resolve().name}.png")
    draw_montage(opened, chosen, path)
    click.echo(f"wrote {path}: {len(chosen)} of {len(opened.cases(split))} cases")
    say_next(["cohort", "check", cohort])
