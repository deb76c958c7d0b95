"""How a classifier is trained unless flags say otherwise."""

from __future__ import annotations

from typing import Any

from cmrbias.api import Recipe

# The paper's; neither it nor its code says how large the crops are. They come first, because they stay
# inside the valid area, which is that of the stored image.
AUGMENTATIONS: dict[str, dict[str, Any]] = {"crop": {"scale": (0.6, 1.0)}, "flip": {}, "rotate": {}}

# the published code's: fixed epochs, last weights, decay on all parameters, no validation part
PAPER = Recipe(
    epochs=30,
    batch=16,
    lr=1e-4,
    weight_decay=1e-4,
    decay_norms=True,
    schedule="constant",
    image_size=224,
    options={"validation": 0.0, "stride": 32},
    augmentations=AUGMENTATIONS,
)

QUICK = Recipe(
    epochs=16,
    batch=16,
    lr=3e-4,
    weight_decay=1e-4,
    warmup_epochs=1,
    image_size=112,
    options={"validation": 0.2, "stride": 16},
    augmentations=AUGMENTATIONS,
)

PROBE_QUICK = Recipe(
    epochs=60,
    batch=16,
    lr=3e-3,
    weight_decay=1e-4,
    image_size=112,
    options={"validation": 0.2, "stride": 16},
)
