"""A montage of a cohort: some cases, every frame, the outlines of their masks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cmrbias.cohorts.case import STRUCTURES
from cmrbias.cohorts.format import Cohort
from cmrbias.errors import CmrbiasError, MissingExtra
from cmrbias.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart with any colour vision, bright on black
COLOURS = {"RV": "#56B4E9", "MYO": "#E69F00", "LV": "#F0E442"}
NAMES = {"RV": "right ventricle", "MYO": "myocardium", "LV": "left ventricle"}

_DPI = 100
_LEAST, _MOST = 256, 448  # side of a drawn image in pixels of the picture
_GAP, _WIDE_GAP = 4, 18  # between the frames of a case, between cases
_CAPTION, _HEAD = 62, 84  # under an image, above all
_NARROWEST, _WIDEST = 760, 2900  # the picture


def choose_cases(cohort: Cohort, count: int, split: str | None = None, seed: int = 0) -> np.ndarray:
    """Returns up to ``count`` row numbers (n,) int64 of a split, drawn without replacement, sorted."""
    rows = cohort.cases(split)
    drawn = np.random.default_rng([seed]).choice(rows, size=min(count, len(rows)), replace=False)
    return np.sort(drawn)


def draw_montage(cohort: Cohort, cases: np.ndarray, path: Path) -> None:
    """Draws all frames of cases (n,), given by row number, into a PNG file.

    Grey runs from 0 to the cohort's largest stored value. Images are enlarged by a whole factor.

    Raises:
        CmrbiasError: ``path`` does not end in ``.png``, or its folder does not exist.
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "report", "drawing a montage") from None
    if path.suffix.lower() != ".png" or not path.absolute().parent.is_dir():
        raise CmrbiasError(f"{path}: expected the name of a .png file in a folder that exists")
    side = _side(cohort)
    layout = _Layout.of(len(cases), len(cohort.frames), side)
    figure = Figure(figsize=(layout.width / _DPI, layout.height / _DPI), dpi=_DPI, facecolor="black")
    _draw_head(figure, cohort, len(cases), layout)
    captions = _captions(cohort, room=(side - 90) // 9)
    for place, row in enumerate(cases):
        image, mask = _arrays(cohort, int(row))
        for position, frame in enumerate(cohort.frames):
            axes = figure.add_axes(layout.box(place, position))
            _draw_image(axes, image[position], mask[position], cohort.maximum)
            _draw_caption(axes, frame, captions[row])
    write_atomically(path, lambda file: figure.savefig(file, format="png", facecolor="black"))


@dataclass(frozen=True)
class _Layout:
    """Where images go, in pixels of the picture: ``across`` cases a row, each with its frames in a row."""

    across: int
    frames: int
    side: int
    width: int
    height: int

    @classmethod
    def of(cls, cases: int, frames: int, side: int) -> _Layout:
        block = frames * (side + _GAP) - _GAP + _WIDE_GAP
        square = round(math.sqrt(cases * (side + _CAPTION) / block * 1.5))  # a little wider than high
        across = max(1, min(cases, square, (_WIDEST - _WIDE_GAP) // block))
        down = math.ceil(cases / across)
        width = max(_NARROWEST, across * block + _WIDE_GAP)
        return cls(across, frames, side, width, _HEAD + down * (side + _CAPTION) + _GAP)

    def box(self, place: int, frame: int) -> tuple[float, float, float, float]:
        """Returns left, bottom, width and height of a case's frame, as fractions of the picture."""
        block = self.frames * (self.side + _GAP) - _GAP + _WIDE_GAP
        left = _WIDE_GAP + place % self.across * block + frame * (self.side + _GAP)
        bottom = self.height - _HEAD - place // self.across * (self.side + _CAPTION) - self.side
        return left / self.width, bottom / self.height, self.side / self.width, self.side / self.height


def _side(cohort: Cohort) -> int:
    """Returns the side of a drawn image: a whole multiple of the largest stored one, if that is not huge."""
    largest = max(max(shard.height, shard.width) for shard in cohort.shards)
    return min(largest * math.ceil(_LEAST / largest), _MOST)


def _arrays(cohort: Cohort, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns one case's images and labels, each (frames, H, W); labels are 0 without masks."""
    images = cohort.images(np.array([row]))[0]
    masks = cohort.masks(np.array([row]))[0] if cohort.has_masks else np.zeros(images.shape, np.uint8)
    return images, masks


def _captions(cohort: Cohort, room: int) -> list[tuple[str, str]]:
    """Returns two lines for each case, of ``room`` letters at most: its targets, and its name and split."""
    targets = {name: cohort.column(name) for name in cohort.targets}
    names, splits = cohort.column("case"), cohort.column("split")
    lines = []
    for row in range(len(cohort)):
        known = {name: cells[row] or "?" for name, cells in targets.items()}
        values = [value if name == "label" else f"{name} {value}" for name, value in known.items()]
        lines.append((_cut(" · ".join(values), room), f"{_cut(names[row], 20)} · {splits[row]}"))
    return lines


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


def _draw_head(figure: Figure, cohort: Cohort, drawn: int, layout: _Layout) -> None:
    """Writes the cohort's name and, for each structure, a swatch."""
    middle, left = 1 - _HEAD / 2 / layout.height, _WIDE_GAP / layout.width
    size = " × ".join(map(str, cohort.image_shape)) if cohort.image_shape else "several sizes"
    figure.text(
        left, middle + 6 / layout.height, cohort.meta["name"], color="white", fontsize=17, weight="bold"
    )
    about = f"{drawn} of {len(cohort)} cases · {size} px"
    figure.text(left, middle - 26 / layout.height, about, color="#A0A0A0", fontsize=12)
    if cohort.has_masks:
        from matplotlib.lines import Line2D

        lines = [Line2D([], [], color=COLOURS[name], linewidth=3) for name in cohort.structures]
        figure.legend(
            lines,
            [NAMES[name] for name in cohort.structures],
            loc="center right",
            bbox_to_anchor=(1 - left, middle),
            ncols=len(lines),
            frameon=False,
            labelcolor="white",
            fontsize=12,
            handlelength=1.2,
            columnspacing=1.4,
        )


def _draw_image(axes: Axes, image: np.ndarray, labels: np.ndarray, maximum: int) -> None:
    """Draws one image (H, W) and, between its pixels, the outline of each structure in labels (H, W)."""
    axes.imshow(image, cmap="gray", vmin=0, vmax=maximum)
    for name, colour in COLOURS.items():
        inside = labels == STRUCTURES[name]
        if inside.any():
            # with a frame of zeros a structure at the image's edge is closed as well
            grid_y, grid_x = (np.arange(-1, side + 1) for side in labels.shape)
            axes.contour(grid_x, grid_y, np.pad(inside, 1), levels=[0.5], colors=[colour], linewidths=1.1)
    height, width = image.shape
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    axes.set_axis_off()


def _draw_caption(axes: Axes, frame: str, lines: tuple[str, str]) -> None:
    label, name = lines
    below: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "top"}
    axes.annotate(frame, (0, 0), (1, -4), color="white", fontsize=13, weight="bold", **below)
    axes.annotate(label, (1, 0), (-1, -4), color="white", fontsize=12, ha="right", **below)
    axes.annotate(name, (1, 0), (-1, -21), color="#909090", fontsize=10, ha="right", **below)
