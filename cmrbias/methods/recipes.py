"""What the recipes of the built-in methods have in common."""

from __future__ import annotations

from typing import Any

from cmrbias.api import Recipe

# the paper's views in the paper's order; the augmentations' defaults are the paper's values
PAPER_VIEWS: dict[str, dict[str, Any]] = {"crop": {}, "flip": {}, "contrast": {}, "rotate": {}}

# the published code's: 200 epochs of batch 256, decay on all parameters
PAPER = Recipe(
    epochs=200,
    batch=256,
    lr=1e-4,
    weight_decay=1e-6,
    decay_norms=True,
    image_size=224,
    augmentations=PAPER_VIEWS,
)

# about 170 small frames in at most three minutes on two cores
QUICK = Recipe(
    epochs=40,
    batch=32,
    lr=5e-4,
    weight_decay=1e-6,
    warmup_epochs=2,
    image_size=64,
    augmentations={**PAPER_VIEWS, "crop": {"scale": (0.2, 1.0)}},
)
