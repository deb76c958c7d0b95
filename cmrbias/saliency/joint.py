"""One min-max over the frames of a case: a frame with little saliency keeps little."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cmrbias.ops import Overlap, Projection, overlap
from cmrbias.ops.upsample import upsample


def joint_overlap(maps: Tensor, masks: Tensor | Projection, threshold: float, frames: int) -> Overlap:
    """Returns ``overlap`` with all frames of a case scaled by their common minimum and maximum.

    A frame that is at the case's minimum everywhere has no saliency, and so counts as constant.
    Decisions are exact, as in ``overlap``, but touch every pixel of the upsampled map.

    Args:
        maps: (N * F, M, h, w), the F frames of a case one after another.
        masks: (N * F, H, W) bool, or their projection: no counts then.
        threshold: as in ``overlap``.
        frames: F.
    """
    alone = overlap(maps, masks, threshold)
    by_case = (-1, frames, maps.shape[1])
    low = alone.minimum.view(by_case).amin(1).repeat_interleave(frames, 0)
    high = alone.maximum.view(by_case).amax(1).repeat_interleave(frames, 0)
    above = alone.minimum - low
    found = alone._replace(
        saliency=alone.saliency + above * alone.pixels,
        inside=alone.inside + above * alone.area,
        minimum=low,
        maximum=torch.where(alone.maximum > low, high, low),
    )
    if isinstance(masks, Projection):
        return found
    counts = [_counts(*each, threshold) for each in zip(maps, masks, low, found.maximum, strict=True)]
    hot, both, peak = torch.stack(counts, 1)
    return found._replace(hot_area=hot, hot_inside=both, peak_inside=peak)


def some_rows(found: Overlap, chosen: Tensor) -> Overlap:
    """Returns the overlap of those rows where ``chosen`` (N,) bool."""
    fields: dict[str, Any] = {
        name: field[chosen] if isinstance(field, Tensor) else field for name, field in found._asdict().items()
    }
    return Overlap(**fields)


def _counts(maps: Tensor, heart: Tensor, low: Tensor, high: Tensor, threshold: float) -> Tensor:
    """Returns hot pixels, those in the heart, and whether a peak is, of maps (M, h, w): (3, M) int64."""
    whole = upsample(maps, *heart.shape)
    span = (high - low)[:, None, None]
    hot = (whole - low[:, None, None] >= threshold * span) & (span > 0)
    peak = (whole == whole.amax((1, 2), keepdim=True)) & heart & (span > 0)
    return torch.stack([hot.sum((1, 2)), (hot & heart).sum((1, 2)), peak.any(2).any(1).long()])
