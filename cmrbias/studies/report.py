"""``report.html``: all that a study found, on one page that needs nothing else."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmrbias.cohorts.format import Cohort
from cmrbias.report.html import data_url, write_report
from cmrbias.studies.browser import browser
from cmrbias.studies.build import Study, all_pairs, cells_of
from cmrbias.studies.cells import TRAINING, Given, ordered, output
from cmrbias.studies.tables import Table
from cmrbias.training.run import versions


@dataclass(frozen=True)
class Drawn:
    """A figure: its name, title, file, and what it shows in words."""

    name: str
    title: str
    path: Path
    alt: str


def report(
    study: Study, tables: Sequence[Table], figures: Sequence[Drawn], folder: Path, images: bool
) -> Path:
    """Writes ``report.html`` into the study's directory and returns it.

    Args:
        study: whose cells are finished.
        tables, figures: what was made of them.
        folder: the study's directory.
        images: whether pixels of patients may be shown.
    """
    warnings = list(dict.fromkeys(w for table in tables for w in table.warnings))
    if any(study.other_data(row) for _, row in all_pairs(study)):
        warnings.append("other data: published values are of other patients than ours")
    if study.imagenet is None:
        warnings.append("random init: no ImageNet weights were given")
    path = folder / "report.html"
    content = {
        "title": study.definition.title or "A study",
        "warnings": warnings,
        "tables": tables,
        "figures": [
            {"name": f.name, "title": f.title, "image": data_url(f.path), "alt": f.alt} for f in figures
        ],
        "images": images,
        "browser": browser(study, folder, images),
        "cohorts": [_cohort(study, name, folder) for name in _cohorts(study)],
        "settings": list(_settings(study, folder)),
        "cells": [
            {"kind": c.kind, "name": c.name, "options": shlex.join(c.options), "digest": c.digest[:12]}
            for c in ordered(cells_of(study))
        ],
    }
    write_report(path, content)
    return path


def _cohorts(study: Study) -> list[str]:
    rows = [study.definition.rows[row] for _, row in all_pairs(study)]
    return list(dict.fromkeys(n for row in rows for n in (row.trained_on, row.cohort) if n is not None))


def _cohort(study: Study, name: str, folder: Path) -> dict[str, Any]:
    source = study.cohort(name)
    opened = Cohort.open(output(source, folder))
    target = study.definition.cohorts[name].label or next(iter(opened.targets), None)
    provenance = opened.meta["provenance"]
    facts = [
        ("source", "given" if isinstance(source, Given) else "phantom"),
        ("digest", opened.digest[:12]),
        ("frames", ", ".join(opened.frames)),
        ("structures in the masks", ", ".join(opened.structures)),
        ("preparation", json.dumps(opened.meta.get("preparation", {}), ensure_ascii=False)),
    ]
    if target is not None:
        splits, labels = opened.column("split").tolist(), opened.column(target).tolist()
        for split in dict.fromkeys(splits):
            counts: dict[str, int] = {}
            for of_split, label in zip(splits, labels, strict=True):
                if of_split == split:
                    counts[label] = counts.get(label, 0) + 1
            facts.append((f"cases, {split}", ", ".join(f"{k} {counts[k]}" for k in sorted(counts))))
    if "cue" in provenance:
        facts.append(("cue", json.dumps(provenance["cue"])))
    lines = []
    if left_out := provenance.get("left_out", {}).get("cases"):
        lines = [f"{left_out} cases; why stands in cohort.json, with identifiers"]
    if provenance.get("identifiers") == "pseudonyms":  # else reasons and notes name cases
        lines = [f"{reason}: {count} cases" for reason, count in provenance["left_out"]["why"].items()]
        facts += [(note, f"{count} cases") for note, count in provenance["notes"].items()]
    return {"name": name, "facts": facts, "left_out": lines}


def _settings(study: Study, folder: Path) -> Iterator[tuple[str, str]]:
    yield "preset", study.preset_name
    yield "seeds", ", ".join(map(str, study.seeds))
    yield "initial weights", "random init" if study.imagenet is None else Path(study.imagenet.path).name
    yield from versions().items()
    trained = next((c for c in ordered(cells_of(study)) if c.kind in TRAINING), None)
    if trained is not None:
        info = json.loads((output(trained, folder) / "run.json").read_text())
        yield "precision", info["precision"]
        yield "device", info["device"]
        for key, value in info["machine"].items():
            yield key.replace("_", " "), str(value)
    plugins = sorted({plugin for cell in ordered(cells_of(study)) for plugin in cell.plugins})
    yield "plugins", ", ".join(plugins) or "none"
