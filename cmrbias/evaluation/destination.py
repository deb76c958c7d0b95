"""Where an evaluation is written, without ever hiding another one's scores."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cmrbias.errors import CmrbiasError
from cmrbias.evaluation.subject import Asked
from cmrbias.files import refuse_unwritable
from cmrbias.training.run import Run

SCORES, PREDICTIONS = "scores.json", "predictions.csv"


def destination(run: Run, asked: Asked, out: Path | None) -> Path:
    """Returns the directory that an evaluation is written to.

    By default the run itself for the test split of the cohort that it was trained on, all classes
    compared; else ``RUN/evaluations/NAME``, NAME being the cohort's directory, followed by ``-SPLIT`` for
    another split and ``-mapped`` for a label map.

    Raises:
        CmrbiasError: it holds scores of another cohort, split, column or label map, or is not writable.
    """
    folder = out or _default(run, asked)
    refuse_unwritable(folder)
    try:
        stored = json.loads((folder / SCORES).read_text())
        found: Any = stored["tested"]
    except FileNotFoundError:
        return folder
    except (OSError, ValueError, KeyError, TypeError):
        raise CmrbiasError(
            f"{folder / SCORES}: is no file of 'cmrbias evaluate' and is left alone: choose another --out"
        ) from None
    expected = tested(asked)
    other = next((name for name in expected if found.get(name) != expected[name]), None)
    if other is not None:
        raise CmrbiasError(
            f"{folder / SCORES}: holds the scores of another {other}: expected {expected[other]!r}, "
            f"found {found.get(other)!r}: choose another --out"
        )
    return folder


def lost(file: Path, earlier: Mapping[str, Iterable[Any]], now: Mapping[str, Iterable[Any]]) -> str:
    """Returns a line on results of an earlier call that this one replaces and does not hold, else empty.

    Args:
        file: that is written anew.
        earlier, now: what both calls hold, for example ``{"input": ["full", "heart"]}``.
    """
    held = {what: set(map(str, values)) for what, values in now.items()}
    gone = {
        what: [name for name in dict.fromkeys(map(str, values)) if name not in held.get(what, ())]
        for what, values in earlier.items()
    }
    listed = "; ".join(f"{what} {', '.join(names)}" for what, names in gone.items() if names)
    if not listed:
        return ""
    return f"{file}: results of an earlier call were replaced by this one's: {listed} (--out keeps both)"


def stored_json(file: Path) -> dict[str, Any]:
    """Returns what a file of results holds; nothing if there is none, or none that can be read."""
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def tested(asked: Asked) -> dict[str, Any]:
    """Returns what decides whether two evaluations of a run are of the same thing."""
    mapped = None if asked.label_map is None else dict(asked.label_map)
    return {
        "cohort digest": asked.cohort.digest,
        "split": asked.split,
        "label column": asked.label,
        "label map": mapped,
    }


def _default(run: Run, asked: Asked) -> Path:
    own = asked.cohort.digest == run.info["cohort"]["digest"]
    if own and asked.split == "test" and asked.label_map is None:
        return run.path
    name = asked.cohort.path.resolve().name
    name += "" if asked.split == "test" else f"-{asked.split}"
    name += "" if asked.label_map is None else "-mapped"
    return run.path / "evaluations" / name
