"""The saliency term: AKS by hand, what does not count, and that training raises it."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from cmrbias.training.saliency_term import mean_aks


def aks_by_torch(cells: torch.Tensor, mask: torch.Tensor) -> float:
    """Upsample, scale to [0, 1], share in the heart: the definition, by torch's own upsampling."""
    whole = F.interpolate(cells[None, None].double(), mask.shape, mode="bilinear")[0, 0]
    x = (whole - whole.min()) / (whole.max() - whole.min())
    return float((x * mask).sum() / x.sum())


def test_it_is_the_mean_over_frames_that_show_a_heart() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(3, 4, 4, generator=generator)
    masks = torch.zeros(3, 16, 16, dtype=torch.bool)
    masks[0, 3:9, 5:12] = True
    masks[2, 8:, 8:] = True  # the second shows no heart
    expected = (aks_by_torch(maps[0], masks[0]) + aks_by_torch(maps[2], masks[2])) / 2
    assert float(mean_aks(maps, masks)) == pytest.approx(expected, rel=1e-5)


def test_a_map_that_vanishes_counts_as_zero_and_no_heart_is_nan() -> None:
    maps = torch.zeros(2, 3, 3)
    maps[0, 1, 1] = 1
    masks = torch.zeros(2, 12, 12, dtype=torch.bool)
    masks[:, 4:8, 4:8] = True
    both, first = float(mean_aks(maps, masks)), float(mean_aks(maps[:1], masks[:1]))
    assert both == pytest.approx(first / 2)
    assert math.isnan(float(mean_aks(maps, torch.zeros_like(masks))))


def test_its_gradient_is_finite_where_nothing_is_defined() -> None:
    maps = torch.zeros(2, 3, 3)
    maps[0, 1, 1] = 1
    maps.requires_grad_()
    masks = torch.zeros(2, 12, 12, dtype=torch.bool)
    masks[:, 4:8, 4:8] = True
    mean_aks(maps, masks).backward()
    assert maps.grad is not None
    assert maps.grad.isfinite().all()
    assert maps.grad[0].abs().sum() > 0
