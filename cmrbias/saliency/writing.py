"""An explanation on disk: ``overlap.csv`` with its rows, ``overlap.json`` with its means."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cmrbias.evaluation.destination import lost, stored_json
from cmrbias.files import make_folder, plain, write_atomically, write_lists_json
from cmrbias.saliency.aggregates import Group
from cmrbias.saliency.explain import Explanation
from cmrbias.saliency.subject import Subject
from cmrbias.saliency.table import records, write_overlap


def destination(subject: Subject) -> Path:
    """Returns where an explanation is written by default.

    The run itself for its own cohort's test split in its own test input, else
    ``RUN/saliency/COHORT-SPLIT-INPUT``, so that one does not hide another.
    """
    run, cohort = subject.run, subject.cases.cohort
    own = cohort.digest == run.info["cohort"]["digest"] and subject.split == "test"
    if own and subject.mode == subject.classifier.input.tested():
        return run.path
    return run.path / "saliency" / f"{cohort.path.resolve().name}-{subject.split}-{subject.mode.name}"


def write_explanation(explanation: Explanation, folder: Path) -> str:
    """Writes ``overlap.csv``, ``maps.npz`` if maps were kept, and ``overlap.json`` into a folder.

    ``maps.npz`` has ``case`` (n,), ``frame`` (F,) and for each method its maps (n, F, h, w) float32 of the
    predicted class, as they were before upsampling. The folder is made if need be.

    Returns:
        A line on results of an earlier call that these replaced and do not hold, else ``""``.
    """
    make_folder(folder)
    subject = explanation.subject
    if explanation.maps:
        names = subject.cases.cohort.column("case")[subject.cases.case[subject.rows]]
        arrays = {"case": names.astype(str), "frame": np.array(subject.cases.frames), **explanation.maps}
        write_atomically(folder / "maps.npz", lambda file: np.savez_compressed(file, **arrays))
    methods = [method.name for method in explanation.methods]
    write_overlap(folder / "overlap.csv", records(explanation.rows, subject, methods))
    file = folder / "overlap.json"
    before = stored_json(file)
    write_lists_json(file, _summary(explanation))
    return lost(file, _contents(before), _contents(stored_json(file)))


def _contents(summary: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Returns what an ``overlap.json`` has figures of; each method with the options that it was given."""
    methods = summary.get("methods", {})
    return {
        "method": [
            " ".join([name, *(f"{key}={value}" for key, value in options.items() if value is not None)])
            for name, options in methods.items()
        ],
        "--target": ["all"] if summary.get("target") == "all" else [],
        **{f"--{key}": [summary[key]] for key in ("threshold", "normalise") if key in summary},
    }


def _summary(explanation: Explanation) -> dict[str, Any]:
    subject = explanation.subject
    return {
        "cohort": str(subject.cases.cohort.path),
        "cohort digest": subject.cases.cohort.digest,
        "split": subject.split,
        "input": dataclasses.asdict(subject.mode),
        "methods": {m.name: dataclasses.asdict(m.saliency.options) for m in explanation.methods},
        "target": explanation.target,
        "threshold": explanation.threshold,
        "normalise": "joint" if explanation.scaling.joint else "frame",
        "cases": len(subject.rows),
        "draws": subject.draws,
        "left out": subject.left_out,
        "seen patients": subject.seen.patients,
        "notes": explanation.notes,
        "class comparisons": plain(explanation.comparisons),
        "aggregates": [_plain_group(group) for group in explanation.aggregates],
    }


def _plain_group(group: Group) -> dict[str, Any]:
    return {**plain(group), "marked": group.marked}
