"""Dilated masks against scipy's Euclidean distance transform."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import distance_transform_edt

from cmrbias.saliency.dilation import dilated


def grown(mask: np.ndarray, spacing: tuple[float, float], margins: list[float]) -> list[np.ndarray]:
    found = dilated(torch.as_tensor(mask)[None], torch.tensor([spacing], dtype=torch.float64), margins)
    return [each[0].numpy() for each in found]


@given(
    arrays(
        bool,
        st.tuples(st.integers(1, 14), st.integers(1, 14)),
        elements=st.sampled_from([False] * 5 + [True]),
    ),
    st.tuples(st.sampled_from([0.7, 1.0, 1.5, 3.0]), st.sampled_from([0.7, 1.25, 2.0])),
)
def test_it_is_scipys_distance_transform(mask, spacing):
    distance = distance_transform_edt(~mask, sampling=spacing) if mask.any() else np.full(mask.shape, np.inf)
    for margin, found in zip((5, 10), grown(mask, spacing, [5, 10]), strict=True):
        assert (found == (distance <= margin * (1 + 1e-9))).all()


def test_pixels_on_the_edge_are_inside_and_more_millimetres_are_more_pixels():
    mask = np.zeros((41, 41), bool)
    mask[20, 20] = True
    (five,) = grown(mask, (1.25, 1.25), [5])  # 4 pixels
    assert five[20].sum() == five[:, 20].sum() == 9
    (five,) = grown(mask, (1.0, 1.0), [5])  # 3, 4, 5
    assert five[23, 24]
    assert not five[24, 24]
    (flat,) = grown(mask, (5.0, 1.0), [5])
    assert flat[:, 20].sum() == 3
    assert flat[20].sum() == 11


def test_each_image_has_its_own_spacing_and_none_gives_no_mask():
    mask = torch.zeros(3, 21, 21, dtype=torch.bool)
    mask[:, 10, 10] = True
    spacing = torch.tensor([[1.0, 1.0], [2.0, 2.0], [torch.nan, torch.nan]], dtype=torch.float64)
    (found,) = dilated(mask, spacing, [4])
    assert found[:, 10].sum(1).tolist() == [9, 5, 0]
    (none,) = dilated(mask[2:], spacing[2:], [4])
    assert not none.any()


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (6, 1)])
def test_small_images(size):
    mask = np.zeros(size, bool)
    assert not grown(mask, (1.5, 1.5), [10])[0].any()
    mask[0, 0] = True
    assert grown(mask, (1.5, 1.5), [10])[0].all()
