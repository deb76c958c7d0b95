"""Against scipy's rankdata."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from cmrbias.statistics.ranks import midranks, weighted_midranks


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 3)), min_size=1, max_size=12))
def test_ranks(pairs) -> None:
    values, weights = np.array(pairs, np.float64).T
    assert np.array_equal(midranks(values), rankdata(values))
    counts = weights.astype(np.int64)
    repeated = rankdata(np.repeat(values, counts))
    ranks = weighted_midranks(values, counts[None])[0]
    assert np.array_equal(np.repeat(ranks, counts), repeated)
