"""Initial weights: whether they fit a network, told before a training that starts from them."""

from __future__ import annotations

from pathlib import Path

from cmrbias.backbones import load_weights
from cmrbias.plugins import Plugins


def check_weights(path: Path | str, backbone: str, plugins: Plugins) -> None:
    """Returns if a network of this name can start from the weights.

    Raises:
        CmrbiasError: no such network, or see ``load_weights``.
    """
    load_weights(plugins.registry("backbones").get(backbone)(stride=32), path)
