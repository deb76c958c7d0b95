"""A point of figure 2 is a network: models that became the same one are not counted twice."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cmrbias.studies.facts import _epochs
from cmrbias.studies.figure2 import _different
from cmrbias.training import checkpoint


def test_models_with_the_same_weights_are_one() -> None:
    """``Longer`` predicts as ``Full`` does on all rows, ``Other`` on one of them only."""
    said = {"Full": (0.1, 0.2), "Other": (0.1, 0.3), "Longer": (0.1, 0.2)}

    def column(model: str, row: str) -> Any:
        value = said[model][("CM", "ACDC").index(row)]
        return SimpleNamespace(
            predictions=lambda: [SimpleNamespace(probabilities=np.full((3, 2), value))] * 2
        )

    models, twins = _different(list(said), ["CM", "ACDC"], column)
    assert models == ["Full", "Other"]
    assert twins == {"Longer": "Full"}


@pytest.mark.parametrize(("best", "expected"), [(None, 5), (2, 2)])
def test_epochs_after_the_chosen_one_have_not_trained_the_encoder(
    tmp_path: Path, best: int | None, expected: int
) -> None:
    if best is not None:
        checkpoint.save(tmp_path / "best.pt", {"epoch": best})
    assert _epochs(tmp_path, {"settings": {"recipe": {"epochs": 5}}}) == expected
