"""Several augmentations in a row: from stored images to a view as the network sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from cmrbias.api import Augmentation, CmrbiasError, draws
from cmrbias.augmentations.geometry import nearest, resample, whole
from cmrbias.options import build, options_of

if TYPE_CHECKING:
    from cmrbias.registry import Registry

_CHUNK = 16  # images that a processor's cache holds while they pass through; four times faster at 224 px


class Rows(NamedTuple):
    """Images (N, 1, H, W), masks (N, 1, H, W) or None, keys (N,), and columns by name (N, ...)."""

    images: Tensor
    masks: Tensor | None
    keys: Tensor
    columns: Mapping[str, Tensor]


class Pipeline:
    """Applies augmentations in order, each with draws of its own, then scales to [-1, 1].

    A view is a function of its row's key, image, mask and columns, whatever the batch it stands in
    and the thread count. Augmentations with ``mixes_rows`` (background-swap) are the exception: they,
    and what stands before them, see the batch as a whole. Without augmentations a pipeline prepares
    images for evaluation.

    Attributes:
        columns: metadata columns that the augmentations want, without repetition.
        needs_masks: an augmentation cannot do without masks.
    """

    def __init__(self, augmentations: Sequence[tuple[str, Augmentation]], size: int) -> None:
        self.size = size
        self.columns = tuple(dict.fromkeys(c for _, a in augmentations for c in a.columns))
        self.needs_masks = any(a.needs_masks for _, a in augmentations)
        self._augmentations = tuple(augmentations)
        mixing = [i + 1 for i, (_, a) in enumerate(augmentations) if getattr(a, "mixes_rows", False)]
        self._together = self._augmentations[: max(mixing, default=0)]
        self._apart = self._augmentations[len(self._together) :]

    def __call__(
        self, images: Tensor, masks: Tensor | None, keys: Tensor, columns: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor | None]:
        """Returns views (N, 1, size, size) float32 in [-1, 1], and the masks moved with them.

        Args:
            images: (N, 1, H, W) float32 in [0, 1]. Resampled to ``size`` at the end (antialiased,
                masks to the nearest pixel) if no augmentation has done so.
            masks: (N, 1, H, W) float32 in {0, 1}, empty where incomplete, or None.
            keys: (N,) int64, see ``draws.keys``. Numbers are drawn where they lie.
            columns: name to codes (N,) int64; ``area`` to (N, 4) float64 (absent: the whole image).

        Raises:
            CmrbiasError: masks or a column are wanted and not given.
        """
        self._check(masks, columns)
        rows = Rows(images, masks, keys, columns)
        for name, augmentation in self._together:
            rows = _applied(name, augmentation, rows)
        step = _CHUNK if images.device.type == "cpu" else max(len(images), 1)
        starts = range(0, max(len(images), 1), step)
        views, moved = zip(*(self._view(_some(rows, slice(s, s + step))) for s in starts), strict=True)
        return torch.cat(views), None if masks is None else torch.cat(moved)

    def metrics(self) -> dict[str, Tensor]:
        """Returns what the augmentations have measured on the last batch: name to a scalar."""
        return {k: v for _, a in self._augmentations for k, v in getattr(a, "metrics", {}).items()}

    def _check(self, masks: Tensor | None, columns: Mapping[str, Tensor]) -> None:
        for name, augmentation in self._augmentations:
            if augmentation.needs_masks and masks is None:
                raise CmrbiasError(f"augmentation {name!r} needs heart masks, and there are none")
            for column in augmentation.columns:
                if column not in columns and column != "area":
                    raise CmrbiasError(f"augmentation {name!r} needs the column {column!r}, which is missing")

    def _view(self, rows: Rows) -> tuple[Tensor, Tensor | None]:
        for name, augmentation in self._apart:
            rows = _applied(name, augmentation, rows)
        images, masks = rows.images, rows.masks
        if images.shape[-2:] != (self.size, self.size):
            boxes = whole(images)
            images = resample(images, boxes, self.size)
            masks = None if masks is None else nearest(masks, boxes, self.size)
        return (images * 2 - 1).clamp_(-1, 1), masks


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


def _applied(name: str, augmentation: Augmentation, rows: Rows) -> Rows:
    """Returns the rows after an augmentation; its draws depend on the keys and its name alone."""
    params = augmentation.draw(draws.derive(rows.keys, draws.salt(name)))
    params |= {column: rows.columns[column] for column in augmentation.columns if column in rows.columns}
    params = {key: value.to(rows.images.device) for key, value in params.items()}
    images, masks = augmentation.apply(rows.images, rows.masks, params)
    columns = dict(rows.columns)
    if images.shape[-2:] != rows.images.shape[-2:]:
        columns.pop("area", None)  # it holds for images of the stored size
    return Rows(images, masks, rows.keys, columns)


def _some(rows: Rows, which: slice) -> Rows:
    masks = None if rows.masks is None else rows.masks[which]
    columns = {name: values[which] for name, values in rows.columns.items()}
    return Rows(rows.images[which], masks, rows.keys[which], columns)
