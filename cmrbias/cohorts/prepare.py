"""Preparation: from a reader's case in source units to the images and masks of a cohort.

In this order (specification of the paper's data): validity mask (non-zero source pixels); in-plane
resampling; centre crop or zero pad; intensity scaling a frame over its stack; slice; integers.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cmrbias.cohorts.case import STRUCTURES, Case, SourceError
from cmrbias.cohorts.resample import fit, resample
from cmrbias.cohorts.writer import structures_in
from cmrbias.options import option


@dataclass(frozen=True)
class PrepareOptions:
    """How cases become images of one size, pixel size and range."""

    size: int = option(224, "side of the prepared images in pixels", minimum=16, maximum=4096)
    pixel_size: float = option(
        1.5, "in-plane mm a pixel; images without a known spacing are fitted to --size", minimum=0.01
    )
    scaling: Literal["min-max", "per-slice", "percentile", "z-score"] = option(
        "min-max",
        "intensities to 0..1 over a frame's valid voxels: min-max of the stack; of the slice alone; "
        "1st to 99th percentile; mean - 3 SD to mean + 3 SD",
    )
    dtype: Literal["uint8", "uint16"] = option("uint8", "stored integer type")
    recipe: Literal["default", "paper"] = option(
        "default", "the slice: default is the middle one contoured in all frames, paper is number Z // 2"
    )
    mask_structures: tuple[Literal["RV", "MYO", "LV"], ...] = option(
        (), "keep only these structures in all masks, for example LV"
    )


@dataclass(frozen=True)
class Prepared:
    """One prepared case.

    Attributes:
        images: (frames, size, size) in the stored dtype; invalid pixels hold 0.
        masks: (frames, size, size) uint8 labels, or None.
        structures: for each frame, which structures its mask holds.
        area: top, left, height, width of the box around the pixels valid in all frames.
        pixel_size: in mm, or None if the source has no spacing.
        slice: which slice of the stack was taken.
        notes: what was chosen, for provenance.
    """

    images: np.ndarray
    masks: np.ndarray | None
    structures: tuple[tuple[str, ...], ...]
    area: tuple[int, int, int, int]
    pixel_size: float | None
    slice: int
    notes: tuple[str, ...]


def prepare_case(case: Case, frames: tuple[str, ...], options: PrepareOptions) -> Prepared:
    """Prepares a case.

    Args:
        case: as a reader yields it.
        frames: the cohort's frames, in order.
        options: size, pixel size, scaling, ...

    Raises:
        SourceError: naming case and frame: other frames or slices than expected, an empty, constant
            or non-finite image, a mask of another shape or with unknown labels, an odd spacing.
    """
    check_case(case, frames)
    masks = {frame: _restricted(mask, options.mask_structures) for frame, mask in case.masks.items()}
    contoured = {frame: _contoured(case, frame, masks, options.mask_structures) for frame in frames}
    chosen, notes = _choose_slice([contoured[frame] for frame in frames], options.recipe)
    images, valid, labels, structures = [], [], [], []
    for frame in frames:
        image, seen = _prepare_frame(case, frame, chosen, options)
        label = np.zeros(image.shape, dtype=np.uint8)
        if frame in masks:
            step = _step(masks[frame], case.spacing, options)
            label = fit(resample(masks[frame][chosen : chosen + 1], step, "nearest"), options.size)[0]
        images.append(image)
        valid.append(seen)
        labels.append(label)
        structures.append(contoured[frame][chosen] if frame in case.structures else structures_in(label))
    return Prepared(
        images=np.stack(images),
        masks=np.stack(labels) if masks else None,
        structures=tuple(structures),
        area=_box(np.stack(valid)),
        pixel_size=None if case.spacing is None else options.pixel_size,
        slice=chosen,
        notes=notes,
    )


def preparation(options: PrepareOptions) -> dict[str, Any]:
    """Returns what ``cohort.json`` records of the preparation."""
    return {
        **dataclasses.asdict(options),
        "resampling": "images cubic (Keys, a = -1/2, widened when shrinking), clipped to the source's range; "
        "masks and validity nearest",
        "without spacing": "the longer side fitted to size, the rest zero",
        "rounding": "scaled x largest integer, halves to even",
    }


def check_case(case: Case, frames: tuple[str, ...]) -> None:
    """Raises a SourceError if a case's arrays cannot be prepared (see ``prepare_case``)."""
    if set(case.frames) != set(frames):
        raise _bad(case, f"expected the frames {', '.join(frames)}, got {', '.join(case.frames) or 'none'}")
    if case.spacing is not None and not all(0.01 <= s <= 100 for s in case.spacing):
        raise _bad(case, f"expected a spacing of 0.01 to 100 mm, got {case.spacing}")
    for frame, stack in case.frames.items():
        _check_image(case, frame, stack)
    slices = {len(stack) for stack in case.frames.values()}
    if len(slices) > 1:
        raise _bad(case, f"expected frames with the same number of slices, got {sorted(slices)}")
    for frame, mask in case.masks.items():
        _check_mask(case, frame, mask)


def _check_image(case: Case, frame: str, stack: np.ndarray) -> None:
    if stack.ndim != 3 or 0 in stack.shape:
        raise _bad(case, f"frame {frame}: expected slices x rows x columns, got shape {stack.shape}")
    if not np.isfinite(stack).all():
        raise _bad(case, f"frame {frame}: the image holds NaN or infinite values")
    valid = stack[stack != 0]
    if valid.size == 0:
        raise _bad(case, f"frame {frame}: the image is empty, all pixels are 0")
    if valid.min() == valid.max():
        raise _bad(case, f"frame {frame}: the image is constant, all pixels that are not 0 are {valid[0]}")


def _check_mask(case: Case, frame: str, mask: np.ndarray) -> None:
    if frame not in case.frames:
        raise _bad(case, f"the mask of frame {frame} has no image")
    if mask.shape != case.frames[frame].shape:
        raise _bad(
            case,
            f"frame {frame}: the mask's shape {mask.shape} is not the image's {case.frames[frame].shape}",
        )
    known = [0, *STRUCTURES.values()]
    strange = np.unique(mask[~np.isin(mask, known)])
    if strange.size:
        expected = ", ".join(f"{value} {name}" for name, value in STRUCTURES.items())
        found = ", ".join(f"{value:g}" for value in strange[:5])
        raise _bad(case, f"frame {frame}: expected the labels 0 background, {expected}, got {found}")


def _bad(case: Case, what: str) -> SourceError:
    return SourceError(f"case {case.case!r}: {what}")


def _restricted(mask: np.ndarray, structures: tuple[str, ...]) -> np.ndarray:
    """Returns labels as uint8, those of other structures than ``structures`` (if any) set to 0."""
    labels = mask.astype(np.uint8)
    if structures:
        labels[~np.isin(labels, [STRUCTURES[name] for name in structures])] = 0
    return labels


def _contoured(
    case: Case, frame: str, masks: dict[str, np.ndarray], only: tuple[str, ...]
) -> list[tuple[str, ...]]:
    """Returns, for each slice of a frame, the structures that are contoured in it."""
    if frame not in masks:
        return [()] * len(case.frames[frame])
    if frame not in case.structures:
        return [structures_in(mask) for mask in masks[frame]]
    return [tuple(s for s in held if not only or s in only) for held in case.structures[frame]]


def _choose_slice(contoured: list[list[tuple[str, ...]]], recipe: str) -> tuple[int, tuple[str, ...]]:
    """Returns the slice to take, given for each frame and slice what is contoured, and notes."""
    slices = range(len(contoured[0]))
    in_all = [z for z in slices if all(frame[z] for frame in contoured)]
    in_any = [z for z in slices if any(frame[z] for frame in contoured)]
    if recipe == "paper" or not in_any:
        return len(slices) // 2, ()
    if in_all:
        return in_all[len(in_all) // 2], ()
    return in_any[len(in_any) // 2], ("no slice is contoured in all frames: taken the middle contoured one",)


def _step(
    stack: np.ndarray, spacing: tuple[float, float] | None, options: PrepareOptions
) -> tuple[float, float]:
    """Returns the (row, column) size of a prepared pixel in source pixels."""
    if spacing is None:
        longer = max(stack.shape[1:]) / options.size
        return longer, longer
    return options.pixel_size / spacing[0], options.pixel_size / spacing[1]


def _prepare_frame(
    case: Case, frame: str, chosen: int, options: PrepareOptions
) -> tuple[np.ndarray, np.ndarray]:
    """Returns one frame's image (size, size) in the stored dtype and which of its pixels are valid."""
    source = case.frames[frame]
    seen = source != 0
    step = _step(source, case.spacing, options)
    # the range of the valid voxels: zeros outside must not pull cubic overshoot below the darkest one
    stack = np.clip(resample(source, step, "cubic"), source[seen].min(), source[seen].max())
    stack = fit(stack, options.size)
    valid = fit(resample(seen, step, "nearest"), options.size)
    here = valid[chosen]
    image = np.zeros(here.shape, dtype=options.dtype)
    if here.any():
        pixels = stack[chosen][here]
        low, high = _limits(pixels if options.scaling == "per-slice" else stack[valid], options.scaling)
        if low < high:
            scaled = np.clip((pixels - low) / (high - low), 0, 1)
            image[here] = np.rint(scaled * np.iinfo(image.dtype).max)
    if not image.any() or np.ptp(image[here]) == 0:
        raise _bad(case, f"frame {frame}: slice {chosen} is empty or constant once cropped and scaled")
    return image, here


def _limits(voxels: np.ndarray, scaling: str) -> tuple[float, float]:
    """Returns the intensities that become 0 and 1."""
    if scaling == "percentile":
        low, high = np.percentile(voxels, [1, 99])
        return float(low), float(high)
    if scaling == "z-score":
        mean, spread = float(voxels.mean()), 3 * float(voxels.std())
        return mean - spread, mean + spread
    return float(voxels.min()), float(voxels.max())


def _box(valid: np.ndarray) -> tuple[int, int, int, int]:
    """Returns top, left, height, width around the pixels valid in all frames (frames, H, W)."""
    common = valid.all(axis=0)
    seen = np.where(common.any(), common, valid.any(axis=0))
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return int(rows[0]), int(columns[0]), int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
