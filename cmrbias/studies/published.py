"""The paper's printed numbers, to stand beside ours of the same kind."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class Printed:
    """A published number and its plus-minus."""

    value: float
    half: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ± {self.half:.3f}"


def published(table: str, measure: str, row: str, column: str) -> Printed | None:
    """Returns what the paper prints, or None.

    Args:
        table: ``table1`` and so on.
        measure: ``AUC``, ``AKS`` or ``DSC``.
        row: ``CM``, ``CM -> ACDC``, or a diagnosis.
        column: a model.
    """
    found = _all().get(table, {}).get(measure, {}).get(row, {}).get(column)
    return None if found is None else Printed(*found)


@cache
def _all() -> dict[str, Any]:
    text = resources.files("cmrbias.studies").joinpath("published.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
