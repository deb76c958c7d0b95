"""MedAug (Vu et al. 2021) for cmrbias: which images of a patient attract, and which keys repel.

Imports stand inside the hooks, so that asking for one kind does not import the other.
"""

from collections.abc import Callable
from typing import Any

from cmrbias import hookimpl


@hookimpl
def register_pairings(register: Callable[[str, Any], None]) -> None:
    from cmrbias_medaug.strategies import STRATEGIES

    for name, strategy in STRATEGIES.items():
        register(name, strategy)


@hookimpl
def register_methods(register: Callable[[str, Any], None]) -> None:
    from cmrbias_medaug.method import MedAug

    register("medaug", MedAug)
