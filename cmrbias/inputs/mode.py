"""An input mode with its options and what was measured for it: what a run stores."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from cmrbias.errors import unknown
from cmrbias.inputs.box import background_box
from cmrbias.inputs.masking import background, background_fill, heart, silhouette
from cmrbias.inputs.swap import Donors, swap
from cmrbias.ops import Align, Fill
from cmrbias.options import NoOptions, build, option

_ALONE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "heart": heart,
    "background": background,
    "background-fill": background_fill,
    "silhouette": silhouette,
}
_DRAWN = ("swap", "swap-same-class", "swap-other-class")  # whose donors are drawn
_PLAIN = ("full", "heart", "background", "background-box", "background-fill", "silhouette")
TRAINING = (*_PLAIN, "swap", "swap-self")
TESTING = (*_PLAIN, "swap-self", "swap-same-class", "swap-other-class")


@dataclasses.dataclass(frozen=True)
class SwapOptions:
    """Options of the input modes that swap backgrounds."""

    fill: Fill = option("inpaint", "what takes the place of the donor's heart")
    align: Align = option("none", "centroid: move the donor so that the hearts' centroids coincide")


@dataclasses.dataclass(frozen=True)
class InputMode:
    """What a classifier is shown of a case.

    Attributes:
        name: one of ``TRAINING`` or ``TESTING``.
        fill: what takes the place of a donor's heart (``ops.background_swap``).
        align: whether the donor is moved so that the hearts coincide (likewise).
        box: side of the square of ``background-box`` in pixels, None until it is measured.
    """

    name: str = "full"
    fill: Fill = "inpaint"
    align: Align = "none"
    box: int | None = None

    @classmethod
    def named(
        cls, name: str, options: Mapping[str, Any], modes: tuple[str, ...], box: int | None = None
    ) -> InputMode:
        """Returns the mode called ``name``, one of ``modes``, with options as ``--input-option`` has them.

        Raises:
            CmrbiasError: no such mode, or an option that it does not have.
        """
        if name not in modes:
            raise unknown("input mode", name, modes)
        owner = f"input mode {name!r}"
        if name in _DRAWN:
            return cls(name, **dataclasses.asdict(build(SwapOptions, options, owner)))
        build(NoOptions, options, owner)
        return cls(name, box=box if name == "background-box" else None)

    @property
    def needs_masks(self) -> bool:
        """Whether only cases with complete masks can be shown."""
        return self.name != "full"

    @property
    def draws_donors(self) -> bool:
        """Whether ``show`` needs other cases as donors."""
        return self.name in _DRAWN

    @property
    def same_class(self) -> bool:
        """Whether donors in a test have the recipient's class: ``swap-same-class``."""
        return self.name == "swap-same-class"

    def tested(self) -> InputMode:
        """Returns the mode in which a classifier trained in this one is tested: for swaps, ``full``."""
        return InputMode() if self.name in ("swap", "swap-self") else self

    def show(self, images: Tensor, masks: Tensor | None, donors: Donors | None = None) -> Tensor:
        """Returns what the classifier is shown: (N, F, H, W), of the images' dtype.

        Args:
            images: (N, F, H, W) floats, stored intensities over the largest that may be stored.
            masks: (N, F, H, W) bool; may be None where ``needs_masks`` is False.
            donors: what the modes that swap take the backgrounds from.
        """
        if self.name == "full":
            return images
        assert masks is not None
        if self.name == "background-box":
            assert self.box is not None
            return background_box(images, masks, self.box)
        if self.name == "swap-self":
            return swap(images, masks, Donors(images, masks), self.fill)
        if self.draws_donors:
            assert donors is not None
            return swap(images, masks, donors, self.fill, self.align)
        return _ALONE[self.name](images, masks)
