"""``cmrbias benchmark``: how fast the kernels are here, beside plain ways to compute the same."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

_THREADS = click.option("--threads", type=click.IntRange(1), help="Threads [default: torch's choice].")
_REPEATS = click.option("--repeats", type=click.IntRange(1), default=21, help="Timed rounds; medians count.")


@click.group()
def command() -> None:
    """Time the kernels beside plain ways that compute the same; checks that they do."""


@command.command()
@click.option("--images", type=click.IntRange(2), default=256, help="Images of 224 px.")
@click.option("--compiled", is_flag=True, help="Also time torch.compile, which takes a minute to compile.")
@click.option(
    "--figure",
    type=click.Path(path_type=Path),
    help="PNG file: time against the number of images (extra report).",
)
@_REPEATS
@_THREADS
def saliency(images: int, compiled: bool, figure: Path | None, repeats: int, threads: int | None) -> None:
    """GradCAM, AKS, DSC and thresholded scores, from activations or from maps."""
    from cmrbias.benchmarks.saliency import report

    _print(report(images, repeats, threads, compiled, figure))


@command.command()
@click.option("--cases", type=click.IntRange(2), default=256, help="Cases of 224 px.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", help="Where.")
@_REPEATS
@_THREADS
def swap(cases: int, device: str, repeats: int, threads: int | None) -> None:
    """Background swap, with all that may take the place of the donor's heart."""
    from cmrbias.benchmarks.swap import report

    _print(report(cases, repeats=repeats, threads=threads, device=device))


@command.command()
@click.option("--cases", type=click.IntRange(20), default=500, help="Cases, one a patient.")
@click.option("--resamples", type=click.IntRange(1), default=2000, help="Bootstrap resamples.")
@_REPEATS
@_THREADS
def auc(cases: int, resamples: int, repeats: int, threads: int | None) -> None:
    """Bootstrap of micro and macro AUC, beside scikit-learn (extra test) and vectorised numpy."""
    from cmrbias.benchmarks.auc import report

    _print(report(cases, resamples=resamples, repeats=repeats, threads=threads))


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)
