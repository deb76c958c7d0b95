"""Grouping DICOM images into cine stacks: which images are one slice, which phase, which repetition."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import mode

import numpy as np

from cmrbias.cohorts.case import SourceError
from cmrbias.cohorts.orientation import Orientation, canonical
from cmrbias.cohorts.readers.dicom_files import Image

# what tells the phases of a slice apart: the first field that does so is used
PHASE_FIELDS: dict[str, Callable[[Image], float | None]] = {
    "TriggerTime": lambda image: image.trigger,
    "TemporalPositionIdentifier": lambda image: image.temporal,
    "InstanceNumber": lambda image: image.instance,
}
SAME_DIRECTION = 0.005  # largest difference of a direction cosine: 0.3 degrees
SAME_SLICE = 0.1  # mm along the normal

Series = list[Image]


@dataclass(frozen=True)
class Stack:
    """A cine stack.

    Attributes:
        slices: for each slice, along the canonical normal, its images in the order of phases; all slices
            have as many phases, and all images the same size and spacing.
        orientation: how its images become canonical.
        notes: what had to be chosen.
    """

    slices: list[list[Image]]
    orientation: Orientation
    notes: list[str]

    @property
    def phases(self) -> int:
        """How many phases each slice has."""
        return len(self.slices[0])


def name_of(series: Series) -> str:
    """Returns how messages name a series: by its number and first file."""
    return f"{series[0].path}: series {series[0].series_number}"


def orientation_of(series: Series) -> Orientation:
    """Returns how a series of equal orientation becomes canonical.

    Raises:
        SourceError: ImageOrientationPatient is missing or wrong, or an ImagePositionPatient is missing.
    """
    for image in series:
        missing = [
            keyword
            for keyword, value in (
                ("ImagePositionPatient", image.position),
                ("ImageOrientationPatient", image.orientation),
            )
            if value is None
        ]
        if missing:
            raise SourceError(
                f"{image.path}: {' and '.join(missing)} missing in series {image.series_number}; expected "
                "images that say where they lie: leave the series out"
            )
    directions = series[0].orientation or ()
    try:
        return canonical(directions[:3], directions[3:])
    except ValueError as error:
        raise SourceError(f"{series[0].path}: ImageOrientationPatient: {error}") from None


def split_series(images: Iterable[Image]) -> list[Series]:
    """Returns the series of a study, each of one orientation and technique, in the order of their numbers."""
    groups: dict[tuple[int, str, str], Series] = {}
    for image in images:
        groups.setdefault((image.series_number, image.series, image.technique), []).append(image)
    return [part for _, series in sorted(groups.items()) for part in _by_orientation(series)]


def is_cine(series: Series) -> bool:
    """Tells whether a series shows a slice more than once, at phases that can be told apart."""
    return phase_field(by_position(series, orientation_of(series))) is not None


def merge_series(cines: list[Series]) -> list[list[Series]]:
    """Returns the cine series of a study in groups that make one stack each, the most slices first.

    Series of equal orientation and technique belong together: each may hold one slice, or repeat some.
    """
    stacks: list[list[Series]] = []
    for series in cines:
        for stack in stacks:
            if _alike(stack[0][0], series[0]) and stack[0][0].technique == series[0].technique:
                stack.append(series)
                break
        else:
            stacks.append([series])
    return sorted(stacks, key=count_slices, reverse=True)


def count_slices(stack: list[Series]) -> int:
    """Returns how many positions along the normal a stack's series hold."""
    return len(by_position([i for series in stack for i in series], orientation_of(stack[0])))


def make_stack(group: list[Series]) -> Stack:
    """Returns series of equal orientation as one stack of slices x phases.

    Raises:
        SourceError: slices with unequal numbers of phases, or images of unequal size or spacing.
    """
    images = [image for series in group for image in series]
    orientation = orientation_of(images)
    positions = by_position(images, orientation)
    field = phase_field(positions)
    if field is None:
        raise SourceError(f"{name_of(images)}: no field tells the phases of each slice apart")
    notes = [f"phases ordered by {field}"]
    if len(group) > 1:
        notes.append(f"one stack from series {', '.join(str(s[0].series_number) for s in group)}")
    slices = []
    for number, slice_ in enumerate(positions, start=1):
        kept, left_out = last_acquisition(slice_, PHASE_FIELDS[field])
        slices.append(kept)
        notes.extend(f"slice {number}: left out {text}, acquired earlier" for text in left_out)
    _check_equal(slices)
    return Stack(slices, orientation, notes)


def by_position(images: Series, orientation: Orientation) -> list[Series]:
    """Returns images grouped by slice, in the order of their positions along the canonical normal."""
    positions = np.array([image.position for image in images], dtype=np.float64)
    order = orientation.order(positions)
    depths = positions @ np.array(orientation.normal)
    slices = [[images[order[0]]]]
    for before, after in pairwise(order):
        if depths[after] - depths[before] > SAME_SLICE:
            slices.append([])
        slices[-1].append(images[after])
    return slices


def phase_field(slices: list[Series]) -> str | None:
    """Returns the first of ``PHASE_FIELDS`` that differs within each acquisition, or None."""
    repeated = [run for slice_ in slices for run in _acquisitions(slice_) if len(run) > 1]
    for name, value in PHASE_FIELDS.items():
        seen = [{value(image) for image in run} for run in repeated]
        if seen and all(len(values) > 1 and None not in values for values in seen):
            return name
    return None


def last_acquisition(slice_: Series, value: Callable[[Image], float | None]) -> tuple[Series, list[str]]:
    """Returns the phases of the last acquisition of a slice, in order, and what was left out.

    Later is decided by time, then series number, then AcquisitionNumber. Where one acquisition has a
    phase twice, the later image stands.
    """
    runs = sorted(_acquisitions(slice_), key=lambda run: max(map(_when, run)))
    left_out = [
        f"series {run[0].series_number}, acquisition {run[0].acquisition} ({len(run)} images)"
        for run in runs[:-1]
    ]
    phases = {value(image): image for image in sorted(runs[-1], key=_when)}
    twice = len(runs[-1]) - len(phases)
    if twice:
        left_out.append(f"{twice} images of phases that series {runs[-1][0].series_number} holds twice")
    return [phases[key] for key in sorted(phases, key=lambda key: key or 0.0)], left_out


def _acquisitions(slice_: Series) -> list[Series]:
    """Returns the images of a slice by acquisition.

    An acquisition is what shares series and AcquisitionNumber; except where each image of a series has a
    number and a TriggerTime or TemporalPositionIdentifier of its own: there the number counts phases.
    """
    by_series: dict[tuple[str, int], Series] = {}
    for image in slice_:
        by_series.setdefault((image.series, image.series_number), []).append(image)
    runs: list[Series] = []
    for series in by_series.values():
        by_number: dict[int, Series] = {}
        for image in series:
            by_number.setdefault(image.acquisition, []).append(image)
        moments = {(image.trigger, image.temporal) for image in series}
        counts_phases = len(by_number) == len(moments) == len(series)
        runs.extend([series] if counts_phases else by_number.values())
    return runs


def _when(image: Image) -> tuple[str, int, int, int]:
    return image.time, image.series_number, image.acquisition, image.instance


def _check_equal(slices: list[Series]) -> None:
    first = slices[0][0]
    usual = mode(len(slice_) for slice_ in slices)
    for number, slice_ in enumerate(slices, start=1):
        if len(slice_) != usual:
            raise SourceError(
                f"{name_of(slice_)}: slice {number} of {len(slices)} has {len(slice_)} phases, expected "
                f"{usual} as in other slices: files are missing"
            )
        for image in slice_:
            if image.size != first.size or image.spacing != first.spacing:
                raise SourceError(
                    f"{image.path}: {image.size} pixels of {image.spacing} mm in series "
                    f"{image.series_number}, expected {first.size} of {first.spacing} as in the first slice"
                )


def _by_orientation(series: Series) -> list[Series]:
    parts: list[Series] = []
    for image in series:
        for part in parts:
            if _alike(part[0], image):
                part.append(image)
                break
        else:
            parts.append([image])
    return parts


def _alike(a: Image, b: Image) -> bool:
    if a.orientation is None or b.orientation is None:
        return a.orientation is b.orientation
    return bool(np.abs(np.subtract(a.orientation, b.orientation)).max() <= SAME_DIRECTION)
