"""cmrbias: does a cardiac-MR classifier look at the heart, and does contrastive self-supervision help?

The public names are imported when they are first used, because torch takes seconds to import.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from cmrbias.hookspecs import hookimpl

if TYPE_CHECKING:
    from cmrbias.backbones import Classifier, load_backbone, load_classifier
    from cmrbias.cohorts.format import Cohort
    from cmrbias.errors import CmrbiasError
    from cmrbias.evaluation.evaluate import evaluate
    from cmrbias.evaluation.findings import evaluate_findings
    from cmrbias.plugins import plugin_manager
    from cmrbias.saliency.explain import explain

_PUBLIC = {
    "Cohort": "cmrbias.cohorts.format",
    "CmrbiasError": "cmrbias.errors",
    "Classifier": "cmrbias.backbones",
    "evaluate": "cmrbias.evaluation.evaluate",
    "evaluate_findings": "cmrbias.evaluation.findings",
    "explain": "cmrbias.saliency.explain",
    "load_backbone": "cmrbias.backbones",
    "load_classifier": "cmrbias.backbones",
    "plugin_manager": "cmrbias.plugins",
}
__all__ = [
    "Classifier", "CmrbiasError", "Cohort", "evaluate", "evaluate_findings", "explain", "hookimpl",
    "load_backbone", "load_classifier", "plugin_manager",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'cmrbias' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
