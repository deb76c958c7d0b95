"""``cmrbias study all``, one of its tables or figures, ``run`` and ``plan``."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cmrbias.cli.study.cell import caller
from cmrbias.cli.training import say, together
from cmrbias.errors import CmrbiasError
from cmrbias.options import pairs

if TYPE_CHECKING:
    from cmrbias.studies.build import Study
    from cmrbias.studies.runner import Outcome

ALL = "all"

study_flags = together(
    click.option("--cm", type=click.Path(path_type=Path), help="Cohort for CM [default: a phantom]."),
    click.option("--acdc", type=click.Path(path_type=Path), help="Cohort for ACDC [default: a phantom]."),
    click.option(
        "--cohort", "cohorts", multiple=True, metavar="NAME=PATH", help="Cohort of a study of your own."
    ),
    click.option(
        "--imagenet",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="torchvision's weights of the network [default: random init, and tables say so].",
    ),
    click.option("--seeds", type=click.IntRange(1), help="Trainings of each model [default: the preset's]."),
    click.option("--preset", default="default", help="How large: smoke, quick, default or paper."),
    click.option("--out", default="study", type=click.Path(path_type=Path), help="The study's directory."),
)
run_flags = together(
    click.option("--jobs", default=1, type=click.IntRange(1), help="Cells at a time."),
    click.option("--no-images", is_flag=True, help="Leave the pixels of patients out of figures and report."),
)


def part(name: str, text: str) -> click.Command:
    """Returns the command that computes one table or figure, or all."""

    @click.command(name, help=text)
    @study_flags
    @run_flags
    @click.pass_context
    def compute(ctx: click.Context, /, **flags: Any) -> None:
        from cmrbias.studies.build import only
        from cmrbias.studies.definition import built_in

        study = _study(ctx, built_in(), flags)
        _compute(ctx, study if name == ALL else only(study, name), flags)

    return compute


table1 = part("table1", "Input modes: AUC, AKS and DSC at home and after a transfer.")
table2 = part("table2", "Contrastive self-supervision beside supervised training.")
table3 = part("table3", "Overlap of saliency and heart by diagnosis.")
behaviour = part("behaviour", "Training input against test input, and BG-gap: what a model's input decides.")
figure2 = part("figure2", "Does overlap go with accuracy? One point a model.")
figure3 = part("figure3", "Where the models look: the same cases, a column a model.")
everything = part(ALL, "All tables and figures, and report.html.")


@click.command()
@click.argument("file", metavar="STUDY.TOML", type=click.Path(path_type=Path))
@study_flags
@run_flags
@click.pass_context
def run(ctx: click.Context, /, file: Path, **flags: Any) -> None:
    """Compute a study of your own, a file of the form of cmrbias/studies/experiments.toml."""
    from cmrbias.studies.definition import read

    _compute(ctx, _study(ctx, read(file), flags), flags)


@click.command()
@click.argument("what", default=ALL, metavar="[WHAT]")
@click.option("--stage", type=click.IntRange(1), help="Only the cells of this stage.")
@study_flags
@click.pass_context
def plan(ctx: click.Context, /, what: str, stage: int | None, **flags: Any) -> None:
    """Print a shell command for each cell that is not finished, in the order of what needs what.

    WHAT is all, a table or figure of the paper, or a TOML file. Cells of one stage are independent of each
    other. When all are finished, the command without plan writes tables, figures and report.
    """
    from cmrbias.studies.build import cells_of, only
    from cmrbias.studies.definition import built_in, read
    from cmrbias.studies.plan import plan as planned
    from cmrbias.studies.requirements import check_given

    own = what.endswith(".toml")
    study = _study(ctx, read(Path(what)) if own else built_in(), flags)
    study = study if own or what == ALL else only(study, what)
    check_given(study)
    for line in planned(cells_of(study), flags["out"], stage):
        click.echo(line)


def _study(ctx: click.Context, definition: Any, flags: dict[str, Any]) -> Study:
    from cmrbias.studies.build import make_study

    cohorts = {name: Path(path) for name, path in pairs(flags["cohorts"], "--cohort").items()}
    cohorts |= {name: flags[name.lower()] for name in ("CM", "ACDC") if flags[name.lower()] is not None}
    return make_study(definition, ctx.obj(), flags["preset"], flags["seeds"], cohorts, flags["imagenet"])


def _compute(ctx: click.Context, study: Study, flags: dict[str, Any]) -> None:
    """Computes the cells, then writes what is made of them."""
    from cmrbias.studies.build import cells_of
    from cmrbias.studies.outputs import write_outputs
    from cmrbias.studies.requirements import check_given
    from cmrbias.studies.runner import run_cells

    check_given(study)
    if study.preset.warning:
        say(study.preset.warning)
    if study.definition.figures:
        from cmrbias.report.overlays import require_matplotlib

        require_matplotlib()  # rather than at the end
    try:
        outcome = run_cells(cells_of(study), flags["out"], caller(ctx.obj), say, flags["jobs"])
    except KeyboardInterrupt:
        raise CmrbiasError("stopped: the same command goes on") from None
    refuse_failed(outcome)
    gc.freeze()  # else the garbage collector looks through torch's objects again and again: 7 % of the time
    try:
        write_outputs(study, flags["out"], not flags["no_images"], click.echo)
    finally:
        gc.unfreeze()


def refuse_failed(outcome: Outcome) -> None:
    """Raises a CmrbiasError that names the cells that failed."""
    if outcome.failed:
        names = ", ".join(cell.name for cell, _ in outcome.failed)
        raise CmrbiasError(
            f"{len(outcome.failed)} cells failed ({names}), {len(outcome.left)} that need them were left: "
            "put right what their logs say and run the command again, finished cells are kept"
        )
