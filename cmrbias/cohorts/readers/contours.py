"""Contour files of the Sunnybrook cardiac data: polygons around the left ventricle -> label masks.

A file ``IM-0001-NNNN-icontour-manual.txt`` holds one ``x y`` a line, in pixels of the image whose
InstanceNumber is NNNN; ``i`` is the endocardium, ``o`` the epicardium (Radau et al., MIDAS Journal 2009).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmrbias.cohorts.case import STRUCTURES, SourceError

# The centre of the first pixel lies at (1, 1). The data's documents do not say so; it was found by trying:
# the 38 inner contours of the project's two test patients lie on the steepest edge of the blood pool when
# moved by (-1, -1) pixels. Each patient alone says -1.5 and -0.5, so half a pixel is as sure as it gets.
FIRST_PIXEL = 1.0

FILE_NAME = re.compile(r"IM-\d+-(\d+)-([io])contour-manual\.txt")


@dataclass(frozen=True)
class Contours:
    """The contour files of one image: endocardium and epicardium, either may be absent."""

    inner: Path | None = None
    outer: Path | None = None

    @property
    def paths(self) -> list[Path]:
        """The files there are."""
        return [path for path in (self.inner, self.outer) if path is not None]


def find_contours(folder: Path) -> dict[int, Contours]:
    """Returns the contour files anywhere under a patient's folder, by image number.

    Raises:
        SourceError: there is none, or an image has two contours of one kind.
    """
    found: dict[tuple[int, str], Path] = {}
    for path in sorted(folder.rglob("*.txt")):
        match = FILE_NAME.fullmatch(path.name)
        if match is None:
            continue
        key = (int(match[1]), match[2])
        if key in found:
            raise SourceError(f"{path}: image {key[0]} has another contour of this kind: {found[key]}")
        found[key] = path
    if not found:
        raise SourceError(f"{folder}: expected files named IM-0001-NNNN-icontour-manual.txt, found none")
    numbers = {number for number, _ in found}
    return {n: Contours(found.get((n, "i")), found.get((n, "o"))) for n in sorted(numbers)}


def read_contour(path: Path) -> np.ndarray:
    """Returns a contour's points (P, 2) float64 as x (column), y (row), the first pixel's centre at (0, 0).

    Raises:
        SourceError: the file is not two finite numbers a line, or has fewer than three points.
    """
    try:
        rows = [
            [float(word) for word in line.split()] for line in path.read_text().splitlines() if line.strip()
        ]
        points = np.array(rows, dtype=np.float64).reshape(len(rows), 2)
    except (ValueError, OSError) as error:
        raise SourceError(f"{path}: expected two numbers 'x y' a line: {error}") from None
    if len(points) < 3 or not np.isfinite(points).all():
        raise SourceError(f"{path}: expected at least three finite points, found {len(points)}")
    return points - FIRST_PIXEL


def fill_polygon(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Returns the pixels (H, W) bool whose centre, at integer x and y, lies inside a closed polygon.

    Even-odd rule: inside means an odd number of edges to the right. An edge covers ``y1 <= y < y2``
    and counts for ``x < crossing``, so left and upper borders belong to the polygon, right and lower
    ones do not, and polygons that share an edge share no pixel.

    Args:
        points: (P, 2) float64, x and y in pixels; the last point is joined to the first.
        shape: height and width.
    """
    x1, y1 = points.T[:, :, None]
    x2, y2 = np.roll(points, -1, axis=0).T[:, :, None]
    y = np.arange(shape[0])
    spans = (np.minimum(y1, y2) <= y) & (y < np.maximum(y1, y2))  # (P, H)
    edges, rows = np.nonzero(spans)
    slope = (x2 - x1)[edges, 0] / (y2 - y1)[edges, 0]
    crossing = x1[edges, 0] + (rows - y1[edges, 0]) * slope
    passed = np.clip(np.ceil(crossing), 0, shape[1]).astype(np.int64)  # the first pixel it is not right of
    counts = np.zeros((shape[0], shape[1] + 1), dtype=np.int64)
    np.add.at(counts, (rows, passed), 1)
    to_the_right = counts.sum(axis=1, keepdims=True) - np.cumsum(counts, axis=1)[:, :-1]
    inside: np.ndarray = to_the_right % 2 == 1
    return inside


def draw_labels(contours: Contours, shape: tuple[int, int]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns labels (H, W) uint8 and the structures that they hold.

    The LV pool lies inside the inner contour, the myocardium between the two. An outer contour alone
    tells neither, so it yields an empty mask.

    Raises:
        SourceError: a file cannot be read, or a contour leaves the image.
    """
    labels = np.zeros(shape, dtype=np.uint8)
    if contours.inner is None:
        return labels, ()
    structures: tuple[str, ...] = ("LV",)
    if contours.outer is not None:
        labels[_inside(contours.outer, shape)] = STRUCTURES["MYO"]
        structures = ("MYO", "LV")
    labels[_inside(contours.inner, shape)] = STRUCTURES["LV"]
    return labels, structures


def _inside(path: Path, shape: tuple[int, int]) -> np.ndarray:
    points = read_contour(path)
    height, width = shape
    if (points < -0.5).any() or (points > (width - 0.5, height - 0.5)).any():
        raise SourceError(f"{path}: a point lies outside of the image of {height} x {width} pixels")
    return fill_polygon(points, shape)
