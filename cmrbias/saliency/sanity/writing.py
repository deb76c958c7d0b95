"""Sanity checks on disk: ``sanity.csv``, a row a figure, and ``sanity.json`` with all that it rests on."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cmrbias.files import make_folder, plain, write_atomically, write_json
from cmrbias.saliency.sanity.networks import DRAWS
from cmrbias.saliency.sanity.result import QUANTILE, Null, Sanity, Similarity
from cmrbias.saliency.sanity.similarity import window_of
from cmrbias.statistics import Estimate

COLUMNS = (
    "method", "check", "measure", "order", "block", "value", "low", "high", "interval", "unreliable", "n",
    "maps", "undefined", "null_mean", "null_quantile", "prevalence", "gaussian", "verdict", "sentence",
)  # fmt: skip


def write_sanity(sanity: Sanity, folder: Path) -> None:
    """Writes ``sanity.csv`` and ``sanity.json`` into a folder, which is made if need be."""
    make_folder(folder)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: "" if v != v else v for k, v in row.items()} for row in rows(sanity))
    write_atomically(folder / "sanity.csv", lambda file: file.write(text.getvalue().encode()))
    subject = sanity.subject
    write_json(
        folder / "sanity.json",
        {
            "run": str(subject.run.path),
            "cohort": str(subject.cases.cohort.path),
            "cohort digest": subject.cases.cohort.digest,
            "split": subject.split,
            "input": dataclasses.asdict(subject.mode),
            "methods": {m.name: dataclasses.asdict(m.saliency.options) for m in sanity.methods},
            "target": "the run's predicted class",
            "repeat": None if sanity.repeat is None else str(sanity.repeat),
            "reproduce": None if sanity.reproduce is None else str(sanity.reproduce),
            "blocks": sanity.blocks,
            "cells": sanity.grids,
            "cells beside another backbone": sanity.shared_grids,
            "ssim": {
                "range": 1,
                "window": {name: window_of(*grid) for name, grid in sanity.grids.items()},
            },
            "null": {"draws": DRAWS, "quantile": QUANTILE},
            "cases": len(subject.rows),
            "left out": subject.left_out,
            "seen patients": subject.seen.patients,
            "notes": sanity.notes,
            "verdicts": [plain(_verdict(each)) for each in sanity.verdicts],
            "localisation": plain(sanity.localisation),
            "stages": plain(sanity.stages),
        },
    )


def rows(sanity: Sanity) -> Iterator[dict[str, Any]]:
    """Yields the rows of ``sanity.csv``: verdicts, localisation, then the stages of randomisation."""
    for verdict in sanity.verdicts:
        yield {
            "method": verdict.method,
            "check": verdict.check,
            "measure": verdict.measure,
            **_similarity(verdict.similarity),
            **_null(verdict.null),
            "verdict": verdict.verdict,
            "sentence": verdict.sentence,
        }
    for heart in sanity.localisation:
        yield {
            "method": heart.method,
            "check": "localisation",
            "measure": "auprc",
            **_estimate(heart.auprc),
            "maps": heart.maps,
            "undefined": heart.undefined,
            "prevalence": heart.prevalence,
            "gaussian": heart.gaussian,
            "verdict": heart.verdict,
            "sentence": heart.sentence,
        }
    for stage in sanity.stages:
        yield {
            "method": stage.method,
            "check": "stage",
            "measure": stage.measure,
            "order": stage.order,
            "block": stage.block,
            **_similarity(stage.similarity),
        }


def _similarity(found: Similarity | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {**_estimate(found.value), "maps": found.maps, "undefined": found.undefined}


def _estimate(found: Estimate) -> dict[str, Any]:
    return {
        "value": found.value,
        "low": found.interval.low,
        "high": found.interval.high,
        "interval": found.interval.how,
        "unreliable": "; ".join(found.doubts),
        "n": found.n,
    }


def _null(null: Null | None) -> dict[str, Any]:
    return {} if null is None else {"null_mean": null.mean, "null_quantile": null.quantile}


def _verdict(verdict: Any) -> dict[str, Any]:
    """Returns a verdict as plain values, with the null's mean and quantile beside its draws."""
    found = dataclasses.asdict(verdict)
    if verdict.null is not None:
        found["null"] |= {"mean": verdict.null.mean, "quantile": verdict.null.quantile}
    return found
