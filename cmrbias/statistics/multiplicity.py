"""p-values of several comparisons."""

from __future__ import annotations

import numpy as np


def holm(p_values: np.ndarray) -> np.ndarray:
    """Returns the adjusted p-values of Holm (Scand. J. Statist. 6:65-70, 1979): (M,) float64.

    Rejecting those at most alpha keeps the chance of any false rejection at most alpha. A NaN stays NaN
    and still counts as a comparison.

    Args:
        p_values: (M,) in [0, 1] or NaN.
    """
    order = np.argsort(p_values)  # NaN last
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted
