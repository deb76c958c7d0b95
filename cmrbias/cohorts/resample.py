"""Resampling of stacks to another pixel size, and centre cropping or padding."""

from __future__ import annotations

from functools import lru_cache

import numpy as np


def resample(stack: np.ndarray, step: tuple[float, float], order: str) -> np.ndarray:
    """Resamples a stack (Z, H, W) in-plane; the image's centre stays the centre.

    The result has ``round(size / step)`` pixels a side. Beyond the border the border's pixels repeat.

    Args:
        stack: any dtype; ``cubic`` works and returns in float64.
        step: (row, column) size of a new pixel in old pixels.
        order: ``nearest``, or ``cubic``: Keys' kernel with a = -1/2 (Keys 1981), which reproduces
            quadratic images exactly; a step over 1 widens it by as much, so that nothing aliases.
    """
    rows, columns = ((old, max(1, round(old / s)), s) for old, s in zip(stack.shape[1:], step, strict=True))
    if order == "nearest":
        result: np.ndarray = stack[:, _nearest(*rows)[:, None], _nearest(*columns)]
        return result
    cubic: np.ndarray = _cubic(*rows) @ stack.astype(np.float64) @ _cubic(*columns).T
    return cubic


def fit(stack: np.ndarray, size: int) -> np.ndarray:
    """Crops a stack (Z, H, W) about its centre, or pads it with zeros, to (Z, size, size).

    Pixel ``old // 2`` of a side becomes pixel ``size // 2``.
    """
    result = np.zeros((len(stack), size, size), dtype=stack.dtype)
    inner, outer = zip(*(_overlap(old, size) for old in stack.shape[1:]), strict=True)
    result[(slice(None), *outer)] = stack[(slice(None), *inner)]
    return result


def _overlap(old: int, new: int) -> tuple[slice, slice]:
    """The same central pixels, as slices of the old and of the new side."""
    width, shift = min(old, new), new // 2 - old // 2
    return slice(max(-shift, 0), max(-shift, 0) + width), slice(max(shift, 0), max(shift, 0) + width)


def _positions(old: int, new: int, step: float) -> np.ndarray:
    """Centres of the new pixels in old pixels: both grids share their centre."""
    return (np.arange(new) - (new - 1) / 2) * step + (old - 1) / 2


def _nearest(old: int, new: int, step: float) -> np.ndarray:
    return np.clip(np.floor(_positions(old, new, step) + 0.5).astype(np.int64), 0, old - 1)


@lru_cache(maxsize=64)  # a cohort has few sizes and spacings
def _cubic(old: int, new: int, step: float) -> np.ndarray:
    """Returns the weights (new, old) of a cubic resampling; each row sums to 1."""
    positions = _positions(old, new, step)
    width = max(step, 1.0)
    reach = int(np.ceil(2 * width))
    taps = np.floor(positions).astype(np.int64)[:, None] + np.arange(-reach, reach + 2)
    weights = _keys((taps - positions[:, None]) / width)
    weights /= weights.sum(axis=1, keepdims=True)
    matrix = np.zeros((new, old))
    np.add.at(matrix, (np.arange(new)[:, None], np.clip(taps, 0, old - 1)), weights)
    return matrix


def _keys(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))
