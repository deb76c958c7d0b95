"""Numbers as text, none of them without its interval or its plus-minus."""

from __future__ import annotations

from cmrbias.statistics import Estimate
from cmrbias.studies.predictions import Measured

UNRELIABLE = (
    "* unreliable: under 10 patients in a class, an AUC of 0 or 1, or an interval of zero width; in brackets "
    "an interval that holds in small samples (Newcombe's method 5 for an AUC, Wilson's for an accuracy, t "
    "for a mean)"
)


def with_interval(found: Measured | Estimate) -> str:
    """``0.833 (0.780 to 0.886)``, marked where it is unreliable, with an interval that then holds."""
    shown = found.estimate if isinstance(found, Measured) else found
    if shown.value != shown.value:
        return "undefined"
    width = "zero width" if shown.interval.width == 0 else str(shown.interval)
    text = f"{shown.value:.3f} ({width})"
    if not shown.unreliable:
        return text
    return f"{text}*" + ("" if shown.fallback is None else f" [{shown.fallback}]")


def in_paper_form(found: Measured) -> str:
    """``0.833 ± 0.047``, marked where it is unreliable."""
    if found.estimate.value != found.estimate.value:
        return "undefined"
    half = "?" if found.half != found.half else f"{found.half:.3f}"
    return f"{found.estimate.value:.3f} ± {half}{'*' if found.estimate.unreliable else ''}"


def over_seeds(found: Measured) -> str:
    """``0.833, SD 0.010 (0.810 to 0.856)``."""
    return f"{found.spread.mean:.3f}, SD {found.spread.sd:.3f} ({found.spread.interval})"


def marked(found: Estimate) -> str:
    """A difference, and whether the interval that holds lies above 0."""
    held = found.fallback if found.unreliable and found.fallback else found.interval
    return with_interval(found) + ("" if held.low > 0 else ", not above")
