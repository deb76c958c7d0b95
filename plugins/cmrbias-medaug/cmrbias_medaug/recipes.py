"""How MedAug is trained unless flags say otherwise."""

from dataclasses import replace

from cmrbias.api import Recipe
from cmrbias.methods import MoCo

# The paper's, with --backbone resnet18 and ImageNet weights. Images are stored at one size, the longer side
# fitted to it, so that "short side 320, random crop of 320" becomes a crop of the valid area.
PAPER = Recipe(
    epochs=20,
    batch=16,
    lr=1e-4,
    weight_decay=1e-4,
    decay_norms=True,
    schedule="steps",
    milestones=(12, 18, 24),
    image_size=320,
    augmentations={
        "crop": {"scale": (0.7, 1.0), "ratio": (0.95, 1.05)},
        "flip": {},
        "rotate": {"degrees": 10.0},
    },
)

# MoCo's quick recipe without what needs contours; its short queue and quick average suit a few hundred images
QUICK = replace(
    MoCo.recipes["quick"],
    augmentations={"crop": {"scale": (0.4, 1.0)}, "flip": {}, "contrast": {}, "rotate": {"degrees": 10.0}},
)
