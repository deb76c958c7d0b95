"""``cmrbias cohort phantom``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from cmrbias.cli.flags import flags, take
from cmrbias.cli.hints import say_next
from cmrbias.cohorts.phantom.settings import PhantomOptions
from cmrbias.errors import CmrbiasError

if TYPE_CHECKING:
    from cmrbias.cohorts.format import Cohort


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--twin-of",
    type=click.Path(path_type=Path),
    metavar="COHORT",
    help="Make COHORT's twin: same hearts, bodies, noise and split, every case with another cue level "
    "(or those of --cue-condition, the only other option then).",
)
@flags(PhantomOptions)
@click.pass_context
def command(ctx: click.Context, /, out: Path, twin_of: Path | None, **values: Any) -> None:
    """Make a synthetic short-axis cine cohort OUT with known hearts and a known contextual cue."""
    from cmrbias.cohorts.format import Cohort
    from cmrbias.cohorts.phantom.cohort import make_phantom, twin

    given = {name for name in values if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    options = take(PhantomOptions, values, "cohort phantom")
    started = time.monotonic()
    if twin_of is None:
        make_phantom(out, options, progress_line())
    else:
        _refuse_all_but_condition(given)
        twin(twin_of, out, options.cue_condition if given else None, progress_line())
    _report(Cohort.open(out), time.monotonic() - started)


def progress_line() -> Any:
    """Returns a function that shows how many patients are rendered: a live line, on a terminal only."""
    started = time.monotonic()

    def show(done: int, total: int) -> None:
        if not sys.stderr.isatty():
            return
        rate = done / max(time.monotonic() - started, 1e-9)
        end = "\n" if done == total else ""
        text = f"\rrendering {done}/{total}  {2 * rate:.0f} images/s  {(total - done) / rate:.0f} s left "
        print(text, end=end, file=sys.stderr, flush=True)

    return show


def _refuse_all_but_condition(given: set[str]) -> None:
    extra = sorted(f"--{name.replace('_', '-')}" for name in given - {"cue_condition"})
    if extra:
        raise CmrbiasError(f"{extra[0]}: a twin takes it from its cohort; leave it out with --twin-of")


def _report(cohort: Cohort, seconds: float) -> None:
    provenance = cohort.meta["provenance"]
    cue, site = provenance["cue"], provenance["phantom"]["site"]
    said = "no cue" if cue["kind"] == "none" else f"cue {cue['kind']}: {_bias(cue)}"
    rate = len(cohort) * len(cohort.frames) / seconds
    click.echo(f"wrote {cohort.path}: {len(cohort)} cases, site {site}, {said} ({rate:.0f} images/s)")
    say_next(["cohort", "show", cohort.path], ["pretrain", "--cohort", cohort.path])


def _bias(cue: dict[str, Any]) -> str:
    """Says how the cue goes with the diagnosis, as these cases show it, and as it is in cases without end."""
    achieved, expected = cue["achieved"], cue["expected"] or {}
    measures = (
        ("Cramer's V", "cramers_v_corrected", "cramers_v"),
        ("AUC of the cue alone", "auc_left_out", "bayes_auc"),
    )
    said = ", ".join(
        f"{name} {achieved[corrected]:.3f}" + (f" (expected {expected[key]:.3f})" if expected else "")
        for name, corrected, key in measures
    )
    return f"{said}, both corrected for chance"
