"""What can be asked of a phantom cohort. Imports neither numpy nor torch: the command line reads it."""

from __future__ import annotations

from dataclasses import dataclass

from cmrbias.errors import CmrbiasError, unknown
from cmrbias.options import option

CLASSES = {
    "acdc": {"NOR": 1, "DCM": 1, "HCM": 1, "MINF": 1, "RV": 1},
    "cm": {"ICM": 412, "NICM": 799, "AMYL": 227, "HCM": 304},
}
"""Set of diagnoses -> diagnosis -> its share of the patients (Nakashima et al. 2023, "Data")."""

SITES = ("A", "B")
CUES = ("none", "local-far", "global")
CONDITIONS = ("as-trained", "independent", "absent", "reversed")
SMALLEST_IMAGE = 32


@dataclass(frozen=True)
class PhantomOptions:
    """The three independent things of a phantom: hearts, scanner look, and contextual cue."""

    patients: int = option(120, "patients, one case each", minimum=1)
    classes: str = option("acdc", "diagnoses: acdc (NOR DCM HCM MINF RV) or cm (ICM NICM AMYL HCM)")
    site: str = option("A", "scanner look: A, or B (smaller field of view, flatter coil, noisier, softer)")
    cue: str = option("none", "contextual cue: none, local-far (skin markers) or global (shading)")
    cue_strength: float = option(
        0.9, "probability that a case's cue is that of its diagnosis", minimum=0, maximum=1
    )
    cue_condition: str = option("as-trained", "as-trained, independent, absent or reversed")
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


def check(options: PhantomOptions) -> None:
    """Raises a CmrbiasError that names the first value that no phantom can be made with."""
    _known("classes", options.classes, CLASSES)
    _known("site", options.site, SITES)
    _known("cue", options.cue, CUES)
    _known("cue condition", options.cue_condition, CONDITIONS)
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


def _known(kind: str, name: str, valid: object) -> None:
    if name not in valid:  # type: ignore[operator]
        raise unknown(kind, name, valid)  # type: ignore[arg-type]
