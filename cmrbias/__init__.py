"""cmrbias: does a cardiac-MR classifier look at the heart, and does contrastive self-supervision help?

The public names are imported when they are first used, because torch takes seconds to import.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from cmrbias.hookspecs import hookimpl

if TYPE_CHECKING:
    from cmrbias.backbones import load_backbone
    from cmrbias.cohorts.format import Cohort
    from cmrbias.errors import CmrbiasError
    from cmrbias.plugins import plugin_manager

_PUBLIC = {
    "Cohort": "cmrbias.cohorts.format",
    "CmrbiasError": "cmrbias.errors",
    "load_backbone": "cmrbias.backbones",
    "plugin_manager": "cmrbias.plugins",
}
__all__ = ["CmrbiasError", "Cohort", "hookimpl", "load_backbone", "plugin_manager"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'cmrbias' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
