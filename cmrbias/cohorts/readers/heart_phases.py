"""Which phases of a cine stack are end-diastole and end-systole, and their masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cmrbias.cohorts.case import STRUCTURES, SourceError
from cmrbias.cohorts.readers.contours import Contours, draw_labels
from cmrbias.cohorts.readers.dicom_stacks import Stack


@dataclass
class Phases:
    """The phases of a stack to import.

    Attributes:
        chosen: ``ED`` and ``ES`` to the phase's number, from 0.
        masks: frame to labels (Z, H, W) uint8, as stored (not yet canonical); frames with contours only.
        structures: frame to the structures that each slice's mask holds.
        notes: how the phases were chosen.
        sources: the contour files that were used.
    """

    chosen: dict[str, int]
    notes: list[str]
    masks: dict[str, np.ndarray] = field(default_factory=dict)
    structures: dict[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    sources: list[Path] = field(default_factory=list)


def guessed_phases(stack: Stack) -> Phases:
    """Returns the first phase as ED and the middle of the cycle as ES, for a stack without contours."""
    middle = stack.phases // 2
    return Phases(
        {"ED": 0, "ES": middle},
        [f"no contours: ED is the first phase, ES phase {middle + 1} of {stack.phases} (mid-cycle)"],
    )


def contoured_phases(stack: Stack, contours: Mapping[int, Contours]) -> Phases:
    """Returns ED and ES by the contours, with their masks.

    ED is the phase with the most outer contours; where there are none, or equally many, the one with the
    larger LV pool. ES is the other phase with the most inner contours, or mid-cycle after ED.

    Args:
        stack: the images.
        contours: InstanceNumber to files.

    Raises:
        SourceError: a contour of an image that the stack lacks or has twice, or a bad contour file.
    """
    size = stack.slices[0][0].size
    labels = np.zeros((stack.phases, len(stack.slices), *size), dtype=np.uint8)
    held: list[list[tuple[str, ...]]] = [[()] * len(stack.slices) for _ in range(stack.phases)]
    places = _places(stack, contours)
    for number, files in contours.items():
        phase, z = places[number]
        labels[phase, z], held[phase][z] = draw_labels(files, size)
    pool = (labels == STRUCTURES["LV"]).sum(axis=(1, 2, 3))
    inner = [sum("LV" in names for names in slices) for slices in held]
    outer = [sum("MYO" in names for names in slices) for slices in held]
    ed = max(range(stack.phases), key=lambda phase: (outer[phase], pool[phase]))
    others = [phase for phase in range(stack.phases) if phase != ed and inner[phase]]
    es = max(others, key=lambda phase: inner[phase], default=(ed + stack.phases // 2) % stack.phases)
    contoured = {frame: phase for frame, phase in (("ED", ed), ("ES", es)) if inner[phase]}
    why_ed = f"{outer[ed]} slices with outer contours" if outer[ed] else "the larger pool"
    why_es = f"{inner[es]} slices with inner contours" if others else "mid-cycle after ED, not contoured"
    return Phases(
        chosen={"ED": ed, "ES": es},
        notes=[
            f"ED is phase {ed + 1} of {stack.phases} ({why_ed})",
            f"ES is phase {es + 1} of {stack.phases} ({why_es})",
            *_unused({n: places[n][0] in (ed, es) for n in contours}, contours),
        ],
        masks={frame: labels[phase] for frame, phase in contoured.items()},
        structures={frame: tuple(held[phase]) for frame, phase in contoured.items()},
        sources=[path for n, files in contours.items() if places[n][0] in (ed, es) for path in files.paths],
    )


def _unused(chosen: Mapping[int, bool], contours: Mapping[int, Contours]) -> list[str]:
    """Returns notes on contours that make no mask."""
    others = sum(not kept for kept in chosen.values())
    alone = sum(files.inner is None for files in contours.values())
    notes = {"contoured images of other phases are not used": others}
    notes |= {"outer contours without an inner one are not used": alone}
    return [f"{count} {text}" for text, count in notes.items() if count]


def _places(stack: Stack, contours: Mapping[int, Contours]) -> dict[int, tuple[int, int]]:
    """Returns InstanceNumber -> (phase, slice) of the contoured images."""
    places: dict[int, tuple[int, int]] = {}
    for slice_, images in enumerate(stack.slices):
        for phase, image in enumerate(images):
            if image.instance in contours and image.instance in places:
                raise SourceError(
                    f"{image.path}: InstanceNumber {image.instance} occurs twice in the stack, so that its "
                    "contour has no one image"
                )
            places[image.instance] = (phase, slice_)
    for number, files in contours.items():
        if number not in places:
            raise SourceError(
                f"{files.paths[0]}: expected an image with InstanceNumber {number} in the cine stack, "
                "found none"
            )
    return places
