"""Overlap scores: small functions of ``Overlap``, NaN where a score is not defined.

Every score takes the sums and counts that one pass over a batch has made, so a new one costs no kernel:
write a function, register it through the hook ``register_scores``. Edge cases are the same for all:

| case | AKS, lift, normalised | soft DSC, Dice, IoU | pointing |
| --- | --- | --- | --- |
| map constant | NaN | 0 | NaN |
| mask empty | NaN | NaN | NaN |
| map negative or not finite somewhere | NaN | NaN | NaN |

Each returns float64 in the shape of the maps' batch, (N,) or (N, M).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from cmrbias.errors import CmrbiasError
from cmrbias.ops import Overlap, Projection, overlap

Score = Callable[[Overlap], Tensor]


def aks(found: Overlap) -> Tensor:
    """Anatomic knowledge score: the share of the saliency that lies in the heart, in [0, 1].

    Source: Nakashima et al. 2023, section 4.1, equation 2.
    """
    share = _ratio(found.inside, found.saliency).clamp(0, 1)
    return _nan_where(_no_heart(found) | (found.maximum <= found.minimum), share)


def dsc(found: Overlap) -> Tensor:
    """Soft Dice similarity coefficient ``2 sum(x y) / (sum(x) + sum(y))``, in [0, 1].

    Source: Nakashima et al. 2023, section 4.1.
    """
    span = found.maximum - found.minimum
    score = _ratio(found.inside + found.inside, found.saliency + found.area * span)
    return _nan_where(_no_heart(found), score.clamp(0, 1))


def dice(found: Overlap) -> Tensor:
    """Dice of the thresholded map with the heart, in [0, 1]."""
    hot, both, _ = _counts(found, "dice")
    return _nan_where(_no_heart(found) | found.saliency.isnan(), (both + both) / (hot + found.area))


def iou(found: Overlap) -> Tensor:
    """Intersection over union of the thresholded map and the heart, in [0, 1]."""
    hot, both, _ = _counts(found, "iou")
    return _nan_where(_no_heart(found) | found.saliency.isnan(), both / (hot + found.area - both))


def pointing(found: Overlap) -> Tensor:
    """Pointing game: 1 if a pixel that equals the map's maximum lies in the heart, else 0.

    Source: Zhang et al. 2018, "Top-down neural attention by excitation backprop", section 4.2.
    """
    peak = _counts(found, "pointing")[2]
    return _nan_where(_no_heart(found) | ~(found.maximum > found.minimum), peak.to(torch.float64, copy=True))


def energy_lift(found: Overlap) -> Tensor:
    """AKS over chance, ``area / pixels``: 1 is what a map gets that knows nothing of the heart."""
    return aks(found) / chance(found)


def normalised_aks(found: Overlap) -> Tensor:
    """``(AKS - chance) / (ceiling - chance)``: 0 is chance, 1 the best that a map of this grid can reach.

    Below chance it is negative. NaN where ceiling and chance are the same (the mask is everything).
    """
    room = found.ceiling - chance(found)
    return _nan_where(room <= 0, _ratio(aks(found) - chance(found), room))


def chance(found: Overlap) -> Tensor:
    """Returns the AKS of a map that is the same everywhere but for noise: the heart's share of the pixels."""
    return found.area / found.pixels


def score_maps(
    maps: Tensor,
    masks: Tensor | Projection,
    scores: Mapping[str, Score],
    source: str,
    threshold: float = 0.5,
    name: Callable[[int], str] | None = None,
) -> dict[str, Tensor]:
    """Returns each score of maps against masks, from one ``overlap``.

    Args:
        maps: as in ``cmrbias.ops.overlap``.
        masks: likewise.
        scores: name to function, as registered.
        source: who made the maps, for errors: ``saliency method 'gradcam' (cmrbias)``.
        threshold: as in ``cmrbias.ops.overlap``.
        name: of a row what it is, for errors: ``case c8, frame ED``.

    Raises:
        CmrbiasError: a map is negative or not finite somewhere, or a score has not one value a map.
    """
    found = overlap(maps, masks, threshold)
    if found.saliency.isnan().any():
        refuse_wrong_maps(maps, source, name)
    return score_overlap(found, scores)


def score_overlap(found: Overlap, scores: Mapping[str, Score]) -> dict[str, Tensor]:
    """Returns each score of an ``Overlap``.

    Args:
        found: of maps that are nowhere negative.
        scores: name to function, as registered.

    Raises:
        CmrbiasError: a score has not one value a map.
    """
    result = {}
    for name, score in scores.items():
        values = score(found)
        if not isinstance(values, Tensor) or values.shape != found.saliency.shape:
            got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise CmrbiasError(
                f"score {name!r}: expected a tensor with one value a map, {tuple(found.saliency.shape)}, "
                f"got {got}"
            )
        result[name] = values
    return result


def refuse_wrong_maps(maps: Tensor, source: str, name: Callable[[int], str] | None = None) -> None:
    """Raises a CmrbiasError that names the first map that is negative or not finite somewhere.

    Args:
        maps: (N, h, w) or (N, M, h, w).
        source, name: as in ``score_maps``.
    """
    cells = maps.detach().flatten(-2)
    wrong = ~((cells >= 0) & cells.isfinite())
    rows = wrong.any(-1).nonzero()
    if not len(rows):
        return
    row = rows[0].tolist()
    value = cells[tuple(row)][wrong[tuple(row)]][0].item()
    where = f"row {row[0]}" + (f", target {row[1]}" if len(row) > 1 else "")
    if name is not None:
        where = f"{name(row[0])} ({where})"
    raise CmrbiasError(
        f"{source}: the map of {where} holds {value:g} ({len(rows)} such maps): "
        "expected finite values of at least 0"
    )


def _no_heart(found: Overlap) -> Tensor:
    return found.area.logical_not()  # a comparison with a number takes twice as long


def _counts(found: Overlap, name: str) -> tuple[Tensor, Tensor, Tensor]:
    if found.hot_area is None or found.hot_inside is None or found.peak_inside is None:
        raise CmrbiasError(
            f"score {name!r}: needs counts: expected an overlap of masks with a threshold, got one of "
            "projected masks or without a threshold"
        )
    return found.hot_area, found.hot_inside, found.peak_inside


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Divides, 0 / 0 being 0, so that no gradient becomes NaN where a score is not defined."""
    return numerator / denominator.masked_fill(denominator.logical_not(), 1)


def _nan_where(undefined: Tensor, score: Tensor) -> Tensor:
    """Puts NaN for undefined scores, in place: what has just been computed; one that is NaN stays so."""
    return score.masked_fill_(undefined, torch.nan)
