"""How alike two saliency maps of the same frame are: on their cells, never on upsampled pixels."""

from __future__ import annotations

import numpy as np

from cmrbias.statistics import midranks

WINDOW = 7  # cells a side of SSIM's windows, fewer on smaller maps
_LUMINANCE, _CONTRAST = 0.01**2, 0.03**2  # SSIM's constants for a range of 1
MEASURES = ("spearman", "ssim")


def is_constant(maps: np.ndarray) -> np.ndarray:
    """Returns which maps (R, h, w) say nothing, all cells being equal: (R,) bool."""
    constant: np.ndarray = maps.max((1, 2)) == maps.min((1, 2))
    return constant


def similarities(first: np.ndarray, second: np.ndarray) -> dict[str, np.ndarray]:
    """Returns each of ``MEASURES`` of pairs of maps (R, h, w): (R,) float64, NaN where one is constant."""
    undefined = is_constant(first) | is_constant(second)
    found = {"spearman": spearman(first, second), "ssim": ssim(first, second)}
    return {name: np.where(undefined, np.nan, values) for name, values in found.items()}


def spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns Spearman's rank correlation over the cells of each pair, ties sharing their mean rank.

    Args:
        first, second: (R, h, w).

    Returns:
        (R,) float64; NaN where a map is constant.
    """
    a, b = (np.array([midranks(cells.ravel()) for cells in maps]) for maps in (first, second))
    a, b = (ranks - ranks.mean(1, keepdims=True) for ranks in (a, b))
    scale = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    ratio: np.ndarray = np.clip((a * b).sum(1) / np.where(scale > 0, scale, np.nan), -1, 1)
    return ratio


def ssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the structural similarity of min-max maps: the mean over all windows inside the map.

    Windows are squares of ``window_of(h, w)`` cells with equal weights, at every place where they fit;
    the range is 1, K1 = 0.01 and K2 = 0.03, variances and the covariance divide by the cells less one.

    Args:
        first, second: (R, h, w).

    Returns:
        (R,) float64; a constant map counts as 0 everywhere.

    Source: Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity",
    equation 13; windows and divisors as in scikit-image's defaults.
    """
    side = window_of(*first.shape[1:])
    a, b = min_max(first), min_max(second)
    mean_a, mean_b = _window_means(a, side), _window_means(b, side)
    cells = side * side
    unbiased = cells / max(cells - 1, 1)
    variances = unbiased * (_window_means(a * a + b * b, side) - mean_a**2 - mean_b**2)
    together = unbiased * (_window_means(a * b, side) - mean_a * mean_b)
    luminance = (2 * mean_a * mean_b + _LUMINANCE) / (mean_a**2 + mean_b**2 + _LUMINANCE)
    structure = (2 * together + _CONTRAST) / (variances + _CONTRAST)
    result: np.ndarray = (luminance * structure).mean((1, 2))
    return result


def window_of(height: int, width: int) -> int:
    """Returns the side of SSIM's windows on maps of this size: the largest odd one up to ``WINDOW``."""
    side = min(WINDOW, height, width)
    return side - 1 + side % 2


def min_max(maps: np.ndarray) -> np.ndarray:
    """Returns each map (R, h, w) scaled to [0, 1], float64; 0 where it is constant."""
    real = maps.astype(np.float64)
    low, high = (extreme((1, 2), keepdims=True) for extreme in (real.min, real.max))
    scaled: np.ndarray = (real - low) / np.where(high > low, high - low, 1)
    return scaled


def _window_means(maps: np.ndarray, side: int) -> np.ndarray:
    """Returns the mean of each window of side x side cells that lies inside: (R, h', w')."""
    for axis in (1, 2):
        maps = np.lib.stride_tricks.sliding_window_view(maps, side, axis=axis).mean(-1)
    return maps
