"""A study as its TOML file says it, checked: cohorts, models, rows, tables, figures, presets."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

from cmrbias.errors import CmrbiasError, unknown
from cmrbias.options import build, option

T = TypeVar("T")
Flags = dict[str, Any]
BUILT_IN = {"paper": "experiments.toml"}
_SECTIONS = ("cohorts", "models", "rows", "tables", "figures", "presets")


def _flags(help: str) -> Any:
    """Returns a field of flags: a flag's name to its value, or to a list of values if it is repeatable."""
    return field(default_factory=dict, metadata={"help": help})


@dataclass(frozen=True, kw_only=True)
class CohortEntry:
    """Where cases are from."""

    phantom: Flags = _flags("flags of `cohort phantom`, used where no cohort is given")
    path: str | None = option(None, "a cohort on disk")
    label: str | None = option(None, "target column (default: the first of kind class)")
    public: int = option(0, "cases of the paper's own, if it is public: a given one of so many may be it")


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """A column: how a classifier comes to be."""

    title: str | None = option(None, "what tables call it (default: its name)")
    input: str = option("full", "input mode of the training")
    input_option: tuple[str, ...] = option((), "options of the input mode, KEY=VALUE")
    adapt: Literal["finetune", "linear"] = option("finetune", "how it is trained where it is tested")
    pretrain: Flags = _flags("flags of `pretrain`, method among them; none: no pretraining")
    weights: str = option("imagenet", "what all starts from: imagenet, none, or a file")
    transfer: Literal["css", "supervised", "none"] = option("supervised", "whose encoder is transferred")
    transfer_adapt: Literal["finetune", "linear"] = option("linear", "how it is trained after a transfer")
    as_long_as: str | None = option(None, "train for as many image passes as this model and its pretraining")
    train: Flags = _flags("further flags of `finetune` or `probe`")


@dataclass(frozen=True, kw_only=True)
class RowEntry:
    """Where a model is trained and where it is tested."""

    cohort: str = option(help="tested on")
    trained_on: str | None = option(None, "cohort of the training that is transferred")
    transfer: Literal["css", "supervised", "none"] | None = option(None, "in place of the model's")
    adapt: Literal["finetune", "linear"] | None = option(None, "in place of the model's")
    label_map: str | None = option(None, "CLASS=LABEL,...: no new head, shared diagnoses only")


@dataclass(frozen=True, kw_only=True)
class TableEntry:
    """A table in the paper's layout."""

    title: str = option("", "above it")
    columns: tuple[str, ...] = option(help="models")
    rows: tuple[str, ...] = option(help="rows")
    by_class: tuple[str, ...] = option((), "diagnoses, in order: overlap by each")
    against: tuple[str, ...] = option((), "models of it that the others are compared with, by patient")
    inputs: tuple[str, ...] = option((), "test inputs, in order: AUC under each, and BG-gap")
    notes: tuple[str, ...] = option((), "below it")


@dataclass(frozen=True, kw_only=True)
class FigureEntry:
    """A figure: `panels` of models as points, or `columns` of overlays of the same cases."""

    title: str = option("", "above it")
    models: tuple[str, ...] = option((), "the points")
    panels: tuple[Flags, ...] = option((), "title, overlap and auc: the rows on the two axes")
    columns: tuple[Flags, ...] = option((), "title, model and row")
    cases: int = option(4, "lines of overlays", minimum=1)


@dataclass(frozen=True, kw_only=True)
class Preset:
    """How large everything is: flags of each command."""

    seeds: int = option(1, "trainings of each model", minimum=1)
    warning: str | None = option(None, "said wherever its numbers stand")
    phantom: Flags = _flags("of `cohort phantom`")
    train: Flags = _flags("of `pretrain`, `finetune` and `probe`")
    pretrain: Flags = _flags("of `pretrain`")
    finetune: Flags = _flags("of `finetune`")
    probe: Flags = _flags("of `probe`")
    evaluate: Flags = _flags("of `evaluate`")
    saliency: Flags = _flags("of `saliency`")


@dataclass(frozen=True)
class Definition:
    """A study as its file says it."""

    title: str
    cohorts: dict[str, CohortEntry]
    models: dict[str, ModelEntry]
    rows: dict[str, RowEntry]
    tables: dict[str, TableEntry]
    figures: dict[str, FigureEntry]
    presets: dict[str, Preset]


def built_in(name: str = "paper") -> Definition:
    """Returns a study that ships with cmrbias."""
    return _defined(_shipped(name), BUILT_IN[name])


def read(path: Path) -> Definition:
    """Returns the study of a TOML file.

    Raises:
        CmrbiasError: it cannot be read, or names the key that is wrong and those that are right.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CmrbiasError(f"{path}: expected a study as TOML: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CmrbiasError(f"{path}: expected TOML: {error}") from None
    base = found.pop("extends", None)
    if base is not None:
        if base not in BUILT_IN:
            raise CmrbiasError(f"{path}: extends: {unknown('study', str(base), BUILT_IN)}")
        shipped = _shipped(base)
        for section in ("tables", "figures"):  # those of its own are the whole output
            if found.get("tables") or found.get("figures"):
                shipped.pop(section)
        found = _merged(shipped, found)
    return _defined(found, str(path))


def _shipped(name: str) -> dict[str, Any]:
    text = resources.files("cmrbias.studies").joinpath(BUILT_IN[name]).read_text(encoding="utf-8")
    return tomllib.loads(text)


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Returns ``base`` with what ``over`` says: tables are merged, all else replaced."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _defined(found: Mapping[str, Any], where: str) -> Definition:
    wrong = [key for key in found if key not in (*_SECTIONS, "title")]
    if wrong:
        raise CmrbiasError(f"{where}: {unknown('section', wrong[0], (*_SECTIONS, 'title'))}")
    definition = Definition(
        title=str(found.get("title", "")),
        cohorts=_entries(found, "cohorts", CohortEntry, where),
        models=_entries(found, "models", ModelEntry, where),
        rows=_entries(found, "rows", RowEntry, where),
        tables=_entries(found, "tables", TableEntry, where),
        figures=_entries(found, "figures", FigureEntry, where),
        presets=_entries(found, "presets", Preset, where),
    )
    _check_names(definition, where)
    return definition


def _entries(found: Mapping[str, Any], section: str, cls: type[T], where: str) -> dict[str, T]:
    entries = {}
    for name, values in found.get(section, {}).items():
        owner = f"{where}: {section}.{name}"
        if not isinstance(values, Mapping):
            raise CmrbiasError(f"{owner}: expected a table of keys, got {values!r}")
        entries[name] = build(cls, values, owner)
    return entries


def _check_names(definition: Definition, where: str) -> None:
    """Raises a CmrbiasError where something is named that the file does not have."""
    models, rows, cohorts = definition.models, definition.rows, definition.cohorts
    named: list[tuple[str, str, str, Mapping[str, Any]]] = []
    for name, row in rows.items():
        named += [
            (f"rows.{name}", "cohort", c, cohorts) for c in (row.cohort, row.trained_on) if c is not None
        ]
    for name, model in models.items():
        if model.as_long_as is not None:
            named.append((f"models.{name}", "model", model.as_long_as, models))
    for name, table in definition.tables.items():
        named += [(f"tables.{name}", "model", column, models) for column in table.columns]
        named += [(f"tables.{name}", "row", row, rows) for row in table.rows]
        columns = dict.fromkeys(table.columns)
        named += [(f"tables.{name}: against", "column", model, columns) for model in table.against]
    for name, figure in definition.figures.items():
        owner = f"figures.{name}"
        named += [(owner, "model", model, models) for model in figure.models]
        named += [(owner, "row", p.get(axis, ""), rows) for p in figure.panels for axis in ("overlap", "auc")]
        named += [(owner, "model", c.get("model", ""), models) for c in figure.columns]
        named += [(owner, "row", c.get("row", ""), rows) for c in figure.columns]
    for owner, kind, name, valid in named:
        if name not in valid:
            raise CmrbiasError(f"{where}: {owner}: {unknown(kind, name, valid)}")
    for name, figure in definition.figures.items():
        shown = [panel["overlap"] for panel in figure.panels] + [column["row"] for column in figure.columns]
        for row in (row for row in shown if rows[row].label_map):
            raise CmrbiasError(f"{where}: figures.{name}: row {row!r} has a label map, so no saliency maps")
    for name, model in models.items():
        if model.transfer == "css" and not model.pretrain:
            raise CmrbiasError(f"{where}: models.{name}: transfer 'css' needs pretrain = {{ method = ... }}")
