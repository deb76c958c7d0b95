"""Several augmentations in a row: from stored images to a view as the network sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from cmrbias.api import Augmentation, CmrbiasError, Params, draws
from cmrbias.augmentations.geometry import nearest, resample, whole
from cmrbias.options import build, options_of

if TYPE_CHECKING:
    from cmrbias.registry import Registry

_OPTIONAL = ("area", "label")  # columns that augmentations do without
_PIXELS = 2**18  # of views in work at a time on a processor: more of them leave its cache


class Rows(NamedTuple):
    """Images and masks (N, 1, H, W) on their way, draws of each augmentation, and metrics by name."""

    images: Tensor
    masks: Tensor | None
    params: Sequence[Params]
    metrics: Mapping[str, Tensor]


class Pipeline:
    """Applies augmentations in order, each with draws of its own, then scales to [-1, 1].

    A view is a function of its row's key, image, mask and columns, whatever the batch it stands in
    and the thread count. Augmentations with ``mixes_rows`` (background-swap) are the exception: they,
    and what stands before them, see the batch as a whole. Without augmentations a pipeline prepares
    images for evaluation.

    Attributes:
        columns: metadata columns that the augmentations want, without repetition, but for ``label``.
        needs_masks: an augmentation cannot do without masks.
    """

    def __init__(self, augmentations: Sequence[tuple[str, Augmentation]], size: int) -> None:
        self.size = size
        self.columns = tuple(dict.fromkeys(c for _, a in augmentations for c in a.columns if c != "label"))
        self.needs_masks = any(a.needs_masks for _, a in augmentations)
        self._augmentations = tuple(augmentations)
        mixing = [i + 1 for i, (_, a) in enumerate(augmentations) if a.mixes_rows]
        self._together = max(mixing, default=0)
        self._metrics: dict[str, Tensor] = {}

    def __call__(
        self, images: Tensor, masks: Tensor | None, keys: Tensor, columns: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor | None]:
        """Returns views (N, 1, size, size) float32 in [-1, 1], and the masks moved with them.

        Args:
            images: (N, 1, H, W) float32 in [0, 1]. Resampled to ``size`` at the end (antialiased,
                masks to the nearest pixel) if no augmentation has done so.
            masks: (N, 1, H, W) float32 in {0, 1}, empty where incomplete, or None.
            keys: (N,) int64, see ``draws.keys``. Numbers are drawn where they lie.
            columns: name to codes (N,) int64; ``area`` to (N, 4) float64 (absent: the whole image);
                ``label`` may be absent too.

        Raises:
            CmrbiasError: masks or a column are wanted and not given.
        """
        self._check(masks, columns)
        drawn = [_drawn(name, a, keys, columns, images.device) for name, a in self._augmentations]
        rows = Rows(images, masks, drawn, {})
        for number in range(self._together):
            rows = self._applied(number, rows)
        step = max(1, _PIXELS // self.size**2 if images.device.type == "cpu" else len(images))
        starts = range(0, max(len(images), 1), step)
        parts = [self._view(_some(rows, slice(start, start + step))) for start in starts]
        self._metrics = {name: torch.cat([p.metrics[name] for p in parts]) for name in parts[0].metrics}
        moved = [part.masks for part in parts if part.masks is not None]
        return torch.cat([part.images for part in parts]), torch.cat(moved) if moved else None

    def metrics(self) -> dict[str, Tensor]:
        """Returns what the augmentations measured on the last batch: name to (N,), NaN where unknown.

        With masks and a crop there is ``heart_shown``, the share of the heart that the view shows.
        """
        return self._metrics

    def _check(self, masks: Tensor | None, columns: Mapping[str, Tensor]) -> None:
        for name, augmentation in self._augmentations:
            if augmentation.needs_masks and masks is None:
                raise CmrbiasError(f"augmentation {name!r} needs heart masks, and there are none")
            for column in augmentation.columns:
                if column not in columns and column not in _OPTIONAL:
                    raise CmrbiasError(f"augmentation {name!r} needs the column {column!r}, which is missing")

    def _applied(self, number: int, rows: Rows) -> Rows:
        augmentation, params = self._augmentations[number][1], rows.params
        images, masks = augmentation.apply(rows.images, rows.masks, params[number])
        if images.shape[-2:] != rows.images.shape[-2:]:  # the area is that of the stored images
            params = [{name: p[name] for name in p if name != "area"} for p in params]
        metrics = dict(rows.metrics)
        for name, value in augmentation.metrics.items():
            metrics[name] = metrics[name] * value if name in metrics else value  # shares of what was left
        return Rows(images, masks, params, metrics)

    def _view(self, rows: Rows) -> Rows:
        for number in range(self._together, len(self._augmentations)):
            rows = self._applied(number, rows)
        images, masks = rows.images, rows.masks
        if images.shape[-2:] != (self.size, self.size):
            boxes = whole(images)
            images = resample(images, boxes, self.size)
            masks = None if masks is None else nearest(masks, boxes, self.size)
        return rows._replace(images=images.mul(2).sub_(1).clamp_(-1, 1), masks=masks)


def build_pipeline(registry: Registry, spec: Mapping[str, Mapping[str, Any]], size: int) -> Pipeline:
    """Returns the pipeline of a recipe's or view's augmentations.

    Args:
        registry: of the kind ``augmentations``.
        spec: name to options (values or strings), in the order of application.
        size: side of the views in pixels.

    Raises:
        CmrbiasError: an augmentation or option that does not exist, or a wrong value.
    """
    augmentations = []
    for name, values in spec.items():
        cls = registry.get(name)
        options: Any = build(options_of(cls), values, f"augmentation {name!r}")
        augmentations.append((name, cls(options, size)))
    return Pipeline(augmentations, size)


def _drawn(
    name: str, augmentation: Augmentation, keys: Tensor, columns: Mapping[str, Tensor], device: torch.device
) -> Params:
    """Returns an augmentation's draws, a function of the keys and its name alone, and its columns."""
    params = augmentation.draw(draws.derive(keys, draws.salt(name)))
    params |= {column: columns[column] for column in augmentation.columns if column in columns}
    return {key: value.to(device) for key, value in params.items()}


def _some(rows: Rows, which: slice) -> Rows:
    masks = None if rows.masks is None else rows.masks[which]
    params = [{name: p[name][which] for name in p} for p in rows.params]
    return Rows(rows.images[which], masks, params, {k: v[which] for k, v in rows.metrics.items()})
