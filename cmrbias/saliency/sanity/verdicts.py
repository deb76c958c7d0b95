"""Plain sentences on what a figure means beside its null."""

from __future__ import annotations

import math

from cmrbias.saliency.sanity.result import FAILS, NOT_ASSESSED, PASSES, Null, Similarity, Verdict
from cmrbias.statistics import Estimate

_NAMES = {"spearman": "Spearman", "ssim": "SSIM"}
_ROUNDING = 1e-9
_HIGH = 0.5  # null from which the similarity of any two maps is told to be high
_AGAIN = {"repeat": "trained with another seed", "reproduce": "with another backbone"}


def shown_interval(estimate: Estimate) -> tuple[float, float]:
    """Returns the ends of the interval that holds: the small-sample one where the first is unreliable."""
    held = estimate.fallback if estimate.unreliable and estimate.fallback else estimate.interval
    return held.low, held.high


def randomisation(method: str, measure: str, found: Similarity, null: Null) -> Verdict:
    """Judges maps after full randomisation: they fail if they keep as much as two random networks share.

    That is if the similarity reaches the 95 % quantile of the null: exceeds it, or equals it, as for a
    method whose maps do not depend on the network at all.
    """
    value, bound = found.value.value, null.quantile
    if math.isnan(value) or math.isnan(bound):
        return _undefined(method, "randomisation", measure, found, null)
    if value > bound - _ROUNDING:
        verdict = FAILS
        sentence = (
            f"fails: with all weights random, as much of the maps is left ({value:.3f}) as two random "
            f"networks share at most ({bound:.3f}): they show the image or the network, not what was learnt"
        )
    else:
        verdict = PASSES
        sentence = (
            f"passes: with all weights random, no more of the maps is left ({value:.3f}) than two random "
            f"networks share at most ({bound:.3f})"
        )
        if null.mean > _HIGH:
            sentence += f"; but those share {null.mean:.3f} on average: much of any map is the image's"
    return Verdict(method, "randomisation", measure, found, null, verdict, sentence)


def again(method: str, check: str, measure: str, found: Similarity, null: Null) -> Verdict:
    """Judges the maps of another training or backbone: they must be more alike than random networks' are.

    They pass if the lower end of the interval over patients exceeds the 95 % quantile of the null.
    """
    value, (low, _) = found.value.value, shown_interval(found.value)
    if math.isnan(value) or math.isnan(null.quantile):
        return _undefined(method, check, measure, found, null)
    if low > null.quantile:
        verdict = PASSES
        sentence = f"passes: maps of the network {_AGAIN[check]} agree ({value:.3f}) more than"
    else:
        verdict = FAILS
        sentence = (
            f"fails: maps of the network {_AGAIN[check]} ({value:.3f}) are not shown to agree more than"
        )
    sentence += f" two random networks do ({null.quantile:.3f})"
    return Verdict(method, check, measure, found, null, verdict, sentence)


def not_given(method: str, check: str) -> Verdict:
    """Returns the line of a check whose other run is absent."""
    wanted = {
        "repeat": "--repeat RUN2 (the same, trained with another seed)",
        "reproduce": "--reproduce RUN3 (trained with another --backbone)",
    }[check]
    return Verdict(method, check, "", None, None, NOT_ASSESSED, f"not assessed: add {wanted}")


def localised(auprc: Estimate, gaussian: float, prevalence: float, difference: Estimate) -> tuple[str, str]:
    """Judges the AUPRC against the centred Gaussian's: verdict and sentence."""
    if math.isnan(auprc.value):
        return NOT_ASSESSED, "not assessed: every map is constant"
    beside = f"a centred Gaussian ({gaussian:.3f}) in the paired comparison"
    of_map = f"{auprc.value:.3f}, {auprc.value / prevalence:.1f} times the prevalence"
    if shown_interval(difference)[0] > 0:
        return PASSES, f"passes: maps find the heart ({of_map}) better than {beside}"
    return FAILS, f"fails: maps are not shown to find the heart ({of_map}) better than {beside}"


def measure_name(measure: str) -> str:
    """Returns a measure as tables call it."""
    return _NAMES.get(measure, measure)


def _undefined(method: str, check: str, measure: str, found: Similarity, null: Null) -> Verdict:
    who = "the two networks" if math.isnan(found.value.value) else "random networks"
    sentence = f"not assessed: no frame has maps of {who} that are not constant"
    return Verdict(method, check, measure, found, null, NOT_ASSESSED, sentence)
