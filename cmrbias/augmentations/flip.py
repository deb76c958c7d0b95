"""Random flips, left to right and upside down."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from cmrbias.api import Augmentation, Params, draws, option


class Flip(Augmentation):
    """Mirrors an image left to right and upside down, each with its own probability."""

    @dataclass(frozen=True)
    class Options:
        """Options of the flips."""

        horizontal: float = option(0.5, "probability of a flip left to right", minimum=0, maximum=1)
        vertical: float = option(0.5, "probability of a flip upside down", minimum=0, maximum=1)

    def draw(self, keys: Tensor) -> Params:
        """Returns ``horizontal`` and ``vertical``, each (N,) bool."""
        u = draws.uniform(keys, 2)
        return {"horizontal": u[:, 0] < self.options.horizontal, "vertical": u[:, 1] < self.options.vertical}

    def apply(self, images: Tensor, masks: Tensor | None, params: Params) -> tuple[Tensor, Tensor | None]:
        """Returns images and masks of the same shape."""
        both = params["horizontal"], params["vertical"]
        return _flipped(images, *both), None if masks is None else _flipped(masks, *both)


def _flipped(images: Tensor, horizontal: Tensor, vertical: Tensor) -> Tensor:
    """Flips the chosen images (N, C, H, W): only their memory is read twice."""
    result = images.clone()
    for chosen, dims in (
        (horizontal & ~vertical, [3]),
        (vertical & ~horizontal, [2]),
        (horizontal & vertical, [2, 3]),
    ):
        result[chosen] = images[chosen].flip(dims)
    return result
