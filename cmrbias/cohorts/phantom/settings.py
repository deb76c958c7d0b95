"""What can be asked of a phantom cohort. Imports neither numpy nor torch: the command line reads it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from cmrbias.errors import CmrbiasError, unknown
from cmrbias.options import option

CLASSES = {
    "acdc": {"NOR": 1, "DCM": 1, "HCM": 1, "MINF": 1, "RV": 1},
    "cm": {"ICM": 412, "NICM": 799, "AMYL": 227, "HCM": 304},
}
"""Set of diagnoses -> diagnosis -> its share of the patients (Nakashima et al. 2023, "Data")."""

SITES = ("A", "B")
_LOCAL = ("marker", "wire", "fat")
CUES: dict[str, tuple[str, ...]] = {
    "none": (),
    "local-far": _LOCAL,
    "local-near": _LOCAL,
    "texture": (),
    "global": ("shading", "noise", "sharpness"),
    "geometric": (),
    "inside": (),
}
"""Kind of cue -> the forms it comes in, the default one first."""

CONDITIONS = ("as-trained", "independent", "permuted", "absent", "reversed")
NEAR_MM, FARTHEST_MM = 10.0, 60.0  # of a local-near cue from the heart: by default, and at most
SMALLEST_IMAGE = 32


@dataclass(frozen=True)
class PhantomOptions:
    """The three independent things of a phantom: hearts, scanner look, and contextual cue."""

    patients: int = option(120, "patients, one case each", minimum=1)
    classes: str = option("acdc", "diagnoses: acdc (NOR DCM HCM MINF RV) or cm (ICM NICM AMYL HCM)")
    site: str = option("A", "scanner look: A, or B (smaller field of view, flatter coil, noisier, softer)")
    cue: str = option(
        "none",
        "contextual cue: none, local-far (on the skin, two cells of a 7 x 7 map from the heart and more), "
        "local-near (near the heart), texture (outside the heart), global (whole image), geometric (place of "
        "the heart) or inside (in the blood pool)",
    )
    cue_form: str | None = option(
        None, "of a local cue: marker, wire or fat; of a global one: shading, noise or sharpness [first]"
    )
    cue_distance: float | None = option(
        None,
        f"mm from the heart to a local-near cue [{NEAR_MM:.0f}]",
        minimum=0,
        maximum=FARTHEST_MM,
    )
    cue_strength: float = option(
        0.9, "probability that a case's cue is that of its diagnosis", minimum=0, maximum=1
    )
    cue_condition: str = option(
        "as-trained",
        "as-trained; independent (levels drawn whatever the diagnosis); permuted (as trained, then exchanged "
        "between the cases of a split); absent; or reversed",
    )
    anatomy_strength: float = option(
        0.32,
        "how far diagnoses change the heart: 0 not at all, 1 as in textbooks; at the default a classifier "
        "of heart measurements reaches a macro AUC of about 0.85",
        minimum=0,
        maximum=1,
    )
    image_size: int = option(224, "side of the images in pixels (336 mm)", minimum=SMALLEST_IMAGE)
    seed: int = option(0, "same seed, same bytes", minimum=0)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The diagnoses, in the order of the cue's levels."""
        return tuple(CLASSES[self.classes])

    @property
    def form(self) -> str:
        """The form of the cue, empty where its kind has one only."""
        return self.cue_form or next(iter(CUES[self.cue]), "")

    @property
    def distance(self) -> float:
        """How far a ``local-near`` cue is from the heart, in mm."""
        return NEAR_MM if self.cue_distance is None else self.cue_distance

    def record(self) -> dict[str, Any]:
        """Returns the options as plain values, without those that were not asked for (None)."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


def check(options: PhantomOptions) -> None:
    """Raises a CmrbiasError that names the first value that no phantom can be made with."""
    _known("classes", options.classes, CLASSES)
    _known("site", options.site, SITES)
    _known("cue", options.cue, CUES)
    _known("cue condition", options.cue_condition, CONDITIONS)
    _check_cue(options)
    for flag, value in (
        ("--cue-strength", options.cue_strength),
        ("--anatomy-strength", options.anatomy_strength),
    ):
        if not 0 <= value <= 1:  # also catches NaN
            raise CmrbiasError(f"{flag}: expected 0 to 1, got {value}")
    fewest = len(options.class_names)
    if options.patients < fewest:
        raise CmrbiasError(
            f"--patients: expected at least {fewest}, one for each of {', '.join(options.class_names)}, "
            f"got {options.patients}"
        )
    if options.image_size < SMALLEST_IMAGE:
        raise CmrbiasError(
            f"--image-size: expected at least {SMALLEST_IMAGE} (a pixel is then 10.5 mm), "
            f"got {options.image_size}"
        )
    if options.seed < 0:
        raise CmrbiasError(f"--seed: expected 0 or more, got {options.seed}")


def _check_cue(options: PhantomOptions) -> None:
    forms, kind = CUES[options.cue], options.cue
    if options.cue_form is not None:
        if not forms:
            raise CmrbiasError(f"--cue-form: a cue of kind {kind!r} comes in one form: leave it out")
        _known(f"form of a {kind} cue", options.cue_form, forms)
    if options.cue_distance is not None:
        if kind != "local-near":
            raise CmrbiasError(
                f"--cue-distance: expected --cue local-near, which alone has a distance, found {kind}"
            )
        if not 0 <= options.cue_distance <= FARTHEST_MM:
            raise CmrbiasError(
                f"--cue-distance: expected 0 to {FARTHEST_MM:.0f} mm, got {options.cue_distance}"
            )


def _known(kind: str, name: str, valid: object) -> None:
    if name not in valid:  # type: ignore[operator]
        raise unknown(kind, name, valid)  # type: ignore[arg-type]
