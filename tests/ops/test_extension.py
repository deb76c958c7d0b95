"""What all operators check alike."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cmrbias import ops
from cmrbias.errors import CmrbiasError

MAPS, MASKS = torch.rand(2, 4, 4), torch.ones(2, 8, 8, dtype=torch.bool)
GRID, FRAMES = torch.rand(2, 3, 4, 4), torch.ones(2, 1, 8, 8, dtype=torch.bool)
DONORS = torch.tensor([1, 0])
CALLS: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (ops.overlap, {"maps": MAPS, "masks": MASKS}),
    (ops.gradcam, {"activations": GRID, "gradients": GRID}),
    (ops.gradcam_overlap, {"activations": GRID, "gradients": GRID, "masks": MASKS}),
    (lambda masks: ops.project_masks(masks, (4, 4)), {"masks": MASKS}),
    (ops.background_swap, {"images": FRAMES.float(), "masks": FRAMES, "donors": DONORS}),
    (ops.background_residual, {"masks": FRAMES, "donors": DONORS}),
    (ops.centroid_shifts, {"masks": FRAMES, "donors": DONORS}),
    (ops.bootstrap_auc, {"scores": torch.rand(2, 1), "labels": DONORS, "patients": DONORS}),
]


@pytest.mark.parametrize(("operator", "arguments"), CALLS)
def test_what_is_no_tensor_is_named(operator: Callable[..., Any], arguments: dict[str, Any]) -> None:
    operator(**arguments)
    for name, value in arguments.items():
        for given, kind in ((value.numpy(), "numpy.ndarray"), (value.tolist(), "builtins.list")):
            with pytest.raises(CmrbiasError, match=f"^{name}: expected a torch tensor, got {kind}$"):
                operator(**{**arguments, name: given})


@pytest.mark.parametrize("checkout", [True, False])
def test_the_source_folder_is_not_taken_for_a_broken_installation(checkout: bool, tmp_path: Path) -> None:
    sources = Path(ops.__file__).resolve().parents[1]
    built = shutil.ignore_patterns("_C*", "__pycache__")
    shutil.copytree(sources, tmp_path / "cmrbias", ignore=built)
    if checkout:
        (tmp_path / "csrc").mkdir()
    code = "import torch; from cmrbias import ops; ops.project_masks(torch.ones(1, 8, 8).bool(), (4, 4))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = (
        f"found the source folder {tmp_path / 'cmrbias'} and not the installed package: run it from another"
    )
    assert (told in done.stderr) == checkout
    assert ("reinstall cmrbias from its sources" in done.stderr) != checkout
