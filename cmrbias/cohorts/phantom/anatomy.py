"""Hearts: what the diagnosis changes, and the contours that follow, at end-diastole and end-systole.

A heart is drawn as ``normal + strength * change of its class + individual variation``, so that at
strength 0 all classes are alike and in between they overlap. Lengths of a mid-ventricular short axis
in mm, after the normal values of Kawel-Boehm et al., JCMR 2020 and the diagnoses of ACDC (Bernard
et al., IEEE TMI 2018). The wall keeps its area, but for what longitudinal shortening adds, so that
it thickens where it moves and only there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmrbias.cohorts.phantom.canvas import Canvas, around

ANGLES = 720
THETA = np.arange(ANGLES) * (2 * np.pi / ANGLES)
"""Angles of the contour tables, clockwise on the screen from the viewer's right."""

NORMAL = {  # mean and standard deviation between persons
    "pool": (24.0, 2.4),  # radius of the left ventricle's blood pool at end-diastole
    "shortening": (0.34, 0.045),  # share of that radius lost at end-systole
    "wall": (8.0, 1.1),  # thickness of the wall at end-diastole
    "septum": (0.8, 1.0),  # how much thicker the septum is
    "infarct": (0.0, 0.12),  # share of thickness and motion lost in one sector
    "flattening": (0.0, 0.03),  # how far the septum is pushed into the pool
    "rv": (25.0, 3.3),  # depth of the right ventricle at end-diastole
    "rv_shortening": (0.34, 0.05),  # share of that depth lost at end-systole
}

CHANGES = {  # what a diagnosis adds at strength 1
    "NOR": {},
    "DCM": {"pool": 8.0, "shortening": -0.17, "wall": -0.8},
    "HCM": {"pool": -2.5, "shortening": 0.05, "wall": 1.5, "septum": 6.0},
    "MINF": {"pool": 3.0, "shortening": -0.05, "infarct": 0.85},
    "RV": {"rv": 13.0, "rv_shortening": -0.12, "flattening": 0.16},
    "ICM": {"pool": 5.5, "shortening": -0.10, "infarct": 0.85},
    "NICM": {"pool": 8.0, "shortening": -0.16, "wall": -0.5},
    "AMYL": {"pool": -1.0, "shortening": -0.06, "wall": 4.5},
}

EXTREME = 2.2  # variation is cut off at so many standard deviations, so that every heart fits its chest
THINNEST_WALL = 3.5
LONGITUDINAL = 1.12  # growth of the wall's area in the slice at end-systole


@dataclass(frozen=True)
class Contours:
    """One frame's edges as radii from the pool's centre, each (ANGLES,) in mm.

    ``rv`` is the right ventricle's outer edge; it equals ``epi`` where there is no right ventricle.
    """

    endo: np.ndarray
    epi: np.ndarray
    rv: np.ndarray

    def areas(self) -> dict[str, float]:
        """Returns the areas of RV, MYO and LV in mm^2."""
        rv, epi, endo = (float((r**2).mean() * np.pi) for r in (self.rv, self.epi, self.endo))
        return {"RV": rv - epi, "MYO": epi - endo, "LV": endo}


@dataclass(frozen=True)
class Heart:
    """A heart's contours, its centre in mm, and the direction of the septum in radians."""

    centre: tuple[float, float]
    septum: float
    ed: Contours
    es: Contours

    def truth(self) -> dict[str, float]:
        """Returns what a reader would measure in this slice: areas in mm^2, lengths in mm, EF in %.

        ``area_ef`` is the ejection fraction of the pool's area, ``wall_mm`` the mean and
        ``wall_max_mm`` the largest thickness of the wall at end-diastole.
        """
        ed, es, wall = self.ed.areas(), self.es.areas(), self.ed.epi - self.ed.endo
        return {
            "area_ef": 100 * (1 - es["LV"] / ed["LV"]),
            "rv_area_ef": 100 * (1 - es["RV"] / ed["RV"]),
            "lv_ed_mm2": ed["LV"],
            "rv_ed_mm2": ed["RV"],
            "wall_mm": float(wall.mean()),
            "wall_max_mm": float(wall.max()),
            "wall_min_mm": float(wall.min()),
        }


def draw_heart(rng: np.random.Generator, diagnosis: str, strength: float) -> Heart:
    """Draws a heart. The same random numbers are drawn for any diagnosis and strength."""
    p = {
        name: mean + strength * CHANGES[diagnosis].get(name, 0.0) + deviation * _normal(rng)
        for name, (mean, deviation) in NORMAL.items()
    }
    centre = (-2 + 2.5 * _normal(rng), 6 + 2.5 * _normal(rng))
    septum = np.pi + 0.12 * _normal(rng)
    sector, half_width = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(32, 55))
    scarred = np.clip(p["infarct"], 0, 1) * np.exp(-((_apart(sector) / half_width) ** 4))
    at_septum = np.exp(-((_apart(septum) / np.deg2rad(55)) ** 2))
    oval, lobes = 0.035 * _normal(rng), 0.015 * _normal(rng)
    tilt = rng.uniform(0, 2 * np.pi)

    shape = 1 + oval * np.cos(2 * (THETA - tilt)) + lobes * np.cos(3 * (THETA + tilt))
    endo = p["pool"] * shape * (1 - np.clip(p["flattening"], 0, 0.3) * 1.6 * at_septum)
    wall = (p["wall"] + np.maximum(p["septum"], 0) * at_septum) * (1 - 0.5 * scarred)
    epi = endo + np.maximum(wall, THINNEST_WALL)
    endo_es = endo * (1 - np.clip(p["shortening"], 0.06, 0.5) * (1 - 0.95 * scarred))
    epi_es = np.sqrt(endo_es**2 + LONGITUDINAL * (epi**2 - endo**2))

    crescent = _crescent(septum, np.deg2rad(68 + 3 * _normal(rng)), 0.22 + 0.08 * _normal(rng))
    depth = np.maximum(p["rv"], 12.0)
    depth_es = depth * (1 - np.clip(p["rv_shortening"], 0.05, 0.6))
    return Heart(
        centre,
        septum,
        Contours(endo, epi, epi + depth * crescent),
        Contours(endo_es, epi_es, epi_es + depth_es * crescent),
    )


def polar(x: np.ndarray, y: np.ndarray, centre: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Returns radius in mm and angle in radians of positions around a centre."""
    return np.hypot(x - centre[0], y - centre[1]), np.arctan2(y - centre[1], x - centre[0])


def label_mask(heart: Heart, contours: Contours, size: int) -> np.ndarray:
    """Returns labels (size, size) uint8 at pixel centres: 0, 1 RV, 2 myocardium, 3 LV pool."""
    canvas = Canvas(size)
    radius, theta = polar(canvas.x, canvas.y, heart.centre)
    labels = np.zeros((size, size), np.uint8)
    for label, edge in ((1, contours.rv), (2, contours.epi), (3, contours.endo)):
        labels[radius < around(edge, theta)] = label
    return labels


def _normal(rng: np.random.Generator) -> float:
    return float(np.clip(rng.standard_normal(), -EXTREME, EXTREME))


def _apart(direction: float) -> np.ndarray:
    """Returns each table angle's distance from a direction, -pi to pi."""
    return (THETA - direction + np.pi) % (2 * np.pi) - np.pi


def _crescent(septum: float, half_span: float, skew: float) -> np.ndarray:
    """Returns the right ventricle's depth around the septum, 1 at its deepest, 0 beyond the insertions."""
    u = _apart(septum) / half_span
    bent = np.clip(u + skew * (1 - u**2), -1, 1)
    return np.where(np.abs(u) < 1, np.cos(np.pi / 2 * bent), 0.0)
