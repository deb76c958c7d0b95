"""Shared by all tests: the installed package, Hypothesis profiles, real data, the example plugin."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
# the checkout's own folder would shadow the installed package, which has the extension
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]

if TYPE_CHECKING:
    from cmrbias.plugins import Plugins

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

settings.register_profile("cmrbias", deadline=None, print_blob=True, derandomize=True, max_examples=40)
settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "cmrbias"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real images beside the checkout (see README, "Real data"); skips where a user has none."""
    path = Path(os.environ.get("CMRBIAS_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not (path / "sunnybrook").is_dir():
        pytest.skip(f"no real images: expected sunnybrook and hannover-cxr in {path} (or CMRBIAS_TEST_DATA)")
    return path


@pytest.fixture(scope="session")
def example_plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with plugins/cmrbias-example installed into it, to be put on a path."""
    target = tmp_path_factory.mktemp("plugins")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    command += [
        "--disable-pip-version-check",
        "--target",
        str(target),
        str(ROOT / "plugins" / "cmrbias-example"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return target


@pytest.fixture(scope="session")
def tiny_plugins() -> Plugins:
    """The built-ins, and ``tiny``: a network of convolution, batch norm and 16 features, stride 4."""
    import types

    import torch
    from torch import nn

    from cmrbias import hookimpl
    from cmrbias.api import Backbone
    from cmrbias.plugins import Origin, plugin_manager

    class Tiny(Backbone):
        name, dim, stride = "tiny", 16, 4

        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(1, 16, 5, 4, 2, bias=False), nn.BatchNorm2d(16), nn.ReLU()
            )

        def feature_map(self, images: torch.Tensor) -> torch.Tensor:
            return self.features(images)

    def register_backbones(register: Any) -> None:
        register("tiny", lambda stride: Tiny())

    plugins, module = plugin_manager([]), types.ModuleType("tiny")
    module.register_backbones = hookimpl(register_backbones)  # type: ignore[attr-defined]
    plugins.add(module, Origin("tiny", "dist-tiny", "2.0"))
    return plugins


@pytest.fixture(scope="session")
def small_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 patients, two classes, ED and ES at 48 px, a bright or dark disc for a heart; 8 of them train."""
    import numpy as np

    from cmrbias.cohorts.writer import CohortWriter

    out = tmp_path_factory.mktemp("cohorts") / "small"
    y, x = np.mgrid[:48, :48]
    rng = np.random.default_rng([20, 1])
    with CohortWriter(
        out,
        name="small",
        frames=("ED", "ES"),
        structures=("RV", "MYO", "LV"),
        targets={"label": {"kind": "class", "classes": ["A", "B"]}},
        preparation={},
        provenance={},
        pixel_size=1.5,
    ) as writer:
        for number in range(12):
            images, masks = rng.integers(60, 120, (2, 48, 48)), np.zeros((2, 48, 48), np.uint8)
            for frame in range(2):
                distance = np.hypot(y - 24 - rng.integers(-4, 5), x - 24 - rng.integers(-4, 5))
                masks[frame] = np.select([distance < 5, distance < 8, distance < 10], [3, 2, 1], 0)
                images[frame][distance < 8] = 200 if number % 2 else 20
            split = "train" if number < 8 else "test"
            row = {"case": f"c{number}", "patient": f"p{number}", "study": f"s{number}", "split": split}
            writer.add(row | {"label": "AB"[number % 2]}, images.astype(np.uint8), masks)
    return out
