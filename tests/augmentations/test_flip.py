"""Flips against ``torch.flip``."""

import pytest
import torch

from cmrbias.api import draws
from cmrbias.augmentations.flip import Flip

KEYS = draws.keys(1, 2, torch.arange(4000), 0)


@pytest.mark.parametrize(
    ("horizontal", "vertical", "dims"), [(1, 0, [3]), (0, 1, [2]), (1, 1, [2, 3]), (0, 0, [])]
)
def test_a_certain_flip_is_torch_flip_of_image_and_mask(horizontal, vertical, dims):
    generator = torch.Generator().manual_seed(0)
    images, masks = (
        torch.rand(5, 1, 7, 9, generator=generator),
        torch.rand(5, 1, 7, 9, generator=generator).round(),
    )
    flip = Flip(Flip.Options(horizontal, vertical), 7)
    views, moved = flip.apply(images, masks, flip.draw(KEYS[:5]))
    assert torch.equal(views, images.flip(dims))
    assert torch.equal(moved, masks.flip(dims))


def test_by_default_the_four_outcomes_are_equally_likely():
    corners = torch.tensor([[[0.0, 1.0], [2.0, 3.0]]]).expand(4000, 1, 2, 2)
    flip = Flip(Flip.Options(), 2)
    views, _ = flip.apply(corners, None, flip.draw(KEYS))
    counts = torch.bincount(views[:, 0, 0, 0].long(), minlength=4)
    # 4000 draws of probability 1/4: standard deviation 27
    assert (counts - 1000).abs().max() < 110
