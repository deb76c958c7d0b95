"""From a definition to cells: which trainings, evaluations and maps each model needs on each row."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cmrbias.errors import CmrbiasError, unknown
from cmrbias.plugins import Plugins
from cmrbias.studies.cells import Cell, Given, Kind
from cmrbias.studies.definition import (
    Definition,
    FigureEntry,
    Flags,
    ModelEntry,
    Preset,
    RowEntry,
    TableEntry,
)
from cmrbias.studies.extent import extent

_NAMED = {"method": "methods", "backbone": "backbones", "pairs": "pairings"}  # flags that may name a plugin's
_SALIENCY = {"method": "saliency"}
ADAPT: dict[str, Kind] = {"finetune": "finetune", "linear": "probe"}


@dataclass(frozen=True)
class Trial:
    """A model on a row with a seed.

    Attributes:
        train: whose classifier is tested.
        evaluate: predictions and scores; under the model's own test input and ``full``.
        saliency: test input to its cell; none for a row with a label map.
        behaviour: predictions under all test inputs that change what is shown of heart and background.
        tested: the model's own test input.
    """

    train: Cell
    evaluate: Cell
    saliency: dict[str, Cell]
    behaviour: Cell
    tested: str

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All that must be finished to read the trial's numbers, but for its behaviour's."""
        return (self.evaluate, *self.saliency.values())


@dataclass(frozen=True)
class Study:
    """A definition with what the command line says of it.

    Attributes:
        definition: what the file says.
        preset: how large.
        preset_name: what it is called.
        seeds: of the trainings.
        cohorts: those given, by name; the others are phantoms.
        imagenet: weights that models start from; None: at random.
        plugins: what is installed.
    """

    definition: Definition
    preset: Preset
    preset_name: str
    seeds: tuple[int, ...]
    cohorts: Mapping[str, Given]
    imagenet: Given | None
    plugins: Plugins

    def trials(self, model: str, row: str) -> list[Trial]:
        """Returns a model on a row, a trial a seed."""
        if (model, row) not in self._trials:  # asked for by every line of a table; their digests are costly
            self._trials[model, row] = [self._trial(model, row, seed) for seed in self.seeds]
        return self._trials[model, row]

    @cached_property
    def _trials(self) -> dict[tuple[str, str], list[Trial]]:
        return {}

    def title(self, model: str) -> str:
        """Returns what tables call a model."""
        return self.definition.models[model].title or model

    def other_data(self, row: str) -> bool:
        """Whether a row's cohorts cannot be the paper's."""
        entry = self.definition.rows[row]
        return not all(self._published(name) for name in (entry.cohort, entry.trained_on) if name is not None)

    def _published(self, name: str) -> bool:
        """Whether a cohort may be the paper's own: it is public, and was given with as many cases."""
        public = self.definition.cohorts[name].public
        return public > 0 and name in self.cohorts and self.cohorts[name].cases == public

    def cohort(self, name: str) -> Cell | Given:
        """Returns a cohort: the one given, or a phantom."""
        if name in self.cohorts:
            return self.cohorts[name]
        phantom = self.definition.cohorts[name].phantom
        if not phantom:
            raise CmrbiasError(f"cohort {name!r}: is no phantom and was not given: --cohort {name}=PATH")
        return Cell("cohort", name, _words({**phantom, **self.preset.phantom}))

    def _trial(self, model: str, row: str, seed: int) -> Trial:
        entry, where = self.definition.models[model], self.definition.rows[row]
        train = self._trained(model, entry, where, seed)
        name = f"{self.title(model)}, {row}, seed {seed}"
        tested = _tested(entry.input)
        cohort = self.cohort(where.cohort)
        mapped = {"label-map": where.label_map} if where.label_map else {}
        evaluate = self._cell("evaluate", name, mapped, cohort=cohort, run=train)
        every: Flags = {"input": "all", **mapped}
        behaviour = self._cell("evaluate", f"behaviour of {name}", every, cohort=cohort, run=train)
        inputs = [] if mapped else dict.fromkeys((tested, "full"))
        saliency = {
            shown: self._cell(
                "saliency", f"{name}, shown {shown}", {"input": shown, "maps": True}, cohort=cohort, run=train
            )
            for shown in inputs
        }
        return Trial(train, evaluate, saliency, behaviour, tested)

    def _trained(self, model: str, entry: ModelEntry, row: RowEntry, seed: int) -> Cell:
        """Returns the training whose classifier is tested on a row."""
        if row.trained_on is None or row.label_map:
            return self._at_home(model, entry, row.trained_on or row.cohort, seed)
        transfer = row.transfer or entry.transfer
        if entry.transfer == "none":  # nothing was learnt that could be transferred
            return self._at_home(model, entry, row.cohort, seed)
        source = (
            self._pretrained(entry, row.trained_on, seed)
            if transfer == "css" and entry.pretrain
            else self._at_home(model, entry, row.trained_on, seed)
        )
        kind = ADAPT[row.adapt or entry.transfer_adapt]
        name = f"{self.title(model)} from {row.trained_on} on {row.cohort}, seed {seed}"
        return self._classifier(kind, name, entry, row.cohort, source, seed)

    def _at_home(self, model: str, entry: ModelEntry, cohort: str, seed: int) -> Cell:
        """Returns the training on one cohort alone."""
        name = f"{self.title(model)} on {cohort}, seed {seed}"
        source = self._pretrained(entry, cohort, seed) if entry.pretrain else self._initial(entry)
        flags = {}
        if entry.as_long_as is not None:
            flags["epochs"] = self._as_long(self.definition.models[entry.as_long_as], cohort)
        return self._classifier(ADAPT[entry.adapt], name, entry, cohort, source, seed, flags)

    def _classifier(
        self,
        kind: Kind,
        name: str,
        entry: ModelEntry,
        cohort: str,
        weights: Cell | Given | None,
        seed: int,
        flags: Flags | None = None,
    ) -> Cell:
        label = self.definition.cohorts[cohort].label
        own: Flags = {"input": entry.input, "input-option": list(entry.input_option)}
        own |= {"label": label} if label else {}
        own |= {**entry.train, **(flags or {})}
        return self._cell(kind, name, own, cohort=self.cohort(cohort), weights=weights, seed=seed)

    def _pretrained(self, entry: ModelEntry, cohort: str, seed: int) -> Cell:
        name = f"{entry.pretrain.get('method')} on {cohort}, seed {seed}"
        weights = self._initial(entry)
        return self._cell(
            "pretrain", name, entry.pretrain, cohort=self.cohort(cohort), weights=weights, seed=seed
        )

    def _initial(self, entry: ModelEntry) -> Given | None:
        """Returns the weights that a model starts from; None: at random."""
        if entry.weights == "imagenet":
            return self.imagenet
        return None if entry.weights == "none" else Given.file(Path(entry.weights))

    def _as_long(self, other: ModelEntry, cohort: str) -> int:
        """Returns the epochs of supervised training that show at least as many images as CSS and finetuning.

        A pretraining epoch shows every training frame in as many views as the method has; a supervised
        one the frames of the cases that do not validate. Runs record what they saw, tables show it.
        """
        css = {**self._flags("pretrain"), **other.pretrain}
        supervised = {**self._flags("finetune"), **other.train}
        method = self.plugins.registry("methods").get(str(css.get("method")))
        classify = self.plugins.registry("tasks").get("classify")
        views = len(getattr(method, "views", ((), ())))
        cases, frames, classes = extent(self.cohort(cohort), self.definition.cohorts[cohort].label)
        validation = float(_of_recipe(supervised, classify, "validation"))
        fewest = math.floor(cases * (1 - validation)) - (classes if validation else 0)
        batch, css_batch = (int(_of_recipe(*of, "batch")) for of in ((supervised, classify), (css, method)))
        shown = views * (cases * frames // css_batch * css_batch) * int(_of_recipe(css, method, "epochs"))
        an_epoch = max(fewest // batch, 1) * batch * frames
        return int(_of_recipe(supervised, classify, "epochs")) + math.ceil(shown / an_epoch)

    def _flags(self, kind: Kind) -> Flags:
        """Returns the preset's flags of a command."""
        shared = self.preset.train if kind in ("pretrain", "finetune", "probe") else {}
        return {**shared, **getattr(self.preset, kind)}

    def _cell(self, kind: Kind, name: str, flags: Flags, **made: Any) -> Cell:
        """Returns a cell: the preset's flags, then its own, and which plugins they name."""
        every = {**self._flags(kind), **flags}
        return Cell(kind, name, _words(every), plugins=self._offered(kind, every), **made)

    def _offered(self, kind: Kind, flags: Flags) -> tuple[str, ...]:
        kinds = _SALIENCY if kind == "saliency" else _NAMED
        entries = [
            self.plugins.registry(kinds[flag]).entry(str(name))
            for flag, value in flags.items()
            if flag in kinds
            for name in (value if isinstance(value, list) else [value])
        ]
        return tuple(sorted({f"{e.distribution} {e.version}" for e in entries} - self._own))

    @cached_property
    def _own(self) -> set[str]:
        origin = self.plugins.origins["builtin"]
        return {f"{origin.distribution} {origin.version}"}


def make_study(
    definition: Definition,
    plugins: Plugins,
    preset: str = "default",
    seeds: int | None = None,
    cohorts: Mapping[str, Path] | None = None,
    imagenet: Path | None = None,
) -> Study:
    """Returns the study of a definition and what the command line says.

    Raises:
        CmrbiasError: no such preset, cohort or test input, or a cohort or weights that cannot be read.
    """
    if preset not in definition.presets:
        raise unknown("preset", preset, definition.presets)
    given = {n: Path(c.path) for n, c in definition.cohorts.items() if c.path} | dict(cohorts or {})
    for name in given:
        if name not in definition.cohorts:
            raise unknown("cohort of the study", name, definition.cohorts)
    for name, table in definition.tables.items():
        _check_inputs(name, table)
    chosen = definition.presets[preset]
    return Study(
        definition,
        chosen,
        preset,
        tuple(range(seeds or chosen.seeds)),
        {name: Given.cohort(path) for name, path in given.items()},
        None if imagenet is None else Given.file(imagenet),
        plugins,
    )


def only(study: Study, part: str) -> Study:
    """Returns the study with one of its tables or figures.

    Raises:
        CmrbiasError: it has none of that name.
    """
    definition = study.definition
    if part not in definition.tables and part not in definition.figures:
        raise unknown("table or figure", part, (*definition.tables, *definition.figures))
    tables = {name: entry for name, entry in definition.tables.items() if name == part}
    figures = {name: entry for name, entry in definition.figures.items() if name == part}
    return dataclasses.replace(
        study, definition=dataclasses.replace(definition, tables=tables, figures=figures)
    )


def cells_of(study: Study) -> list[Cell]:
    """Returns what all tables and figures of a study take their numbers from."""
    found = [
        cell
        for part in _parts(study)
        for model, row in pairs_of(part)
        for trial in study.trials(model, row)
        for cell in (
            *trial.cells,
            *([trial.behaviour] if isinstance(part, TableEntry) and part.inputs else []),
        )
    ]
    return list(dict.fromkeys(found))


def all_pairs(study: Study) -> list[tuple[str, str]]:
    """Returns each model and row of all tables and figures, once."""
    return list(dict.fromkeys(pair for part in _parts(study) for pair in pairs_of(part)))


def _parts(study: Study) -> list[TableEntry | FigureEntry]:
    return [*study.definition.tables.values(), *study.definition.figures.values()]


def distinct(study: Study, models: Sequence[str], rows: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Returns the models that differ on the rows, and which of them each of the others is.

    Models differ in name alone where no weights were given that one of them would start from.
    """
    found: dict[tuple[str, ...], str] = {}
    same = {}
    for model in models:
        key = tuple(trial.evaluate.digest for row in rows for trial in study.trials(model, row))
        if key in found:
            same[model] = found[key]
        else:
            found[key] = model
    return list(found.values()), same


def pairs_of(part: TableEntry | FigureEntry) -> Iterator[tuple[str, str]]:
    """Yields each model and row that a table or a figure shows."""
    if isinstance(part, TableEntry):
        yield from ((column, row) for column in part.columns for row in part.rows)
        return
    rows = dict.fromkeys(panel[axis] for panel in part.panels for axis in ("overlap", "auc"))
    yield from ((model, row) for model in part.models for row in rows)
    yield from ((column["model"], column["row"]) for column in part.columns)


def _check_inputs(name: str, table: TableEntry) -> None:
    from cmrbias.evaluation.conditions import MATRIX

    for shown in table.inputs:
        if shown not in MATRIX:
            raise CmrbiasError(f"tables.{name}: inputs: {unknown('test input', shown, MATRIX)}")


def _tested(mode: str) -> str:
    """Returns the input in which a classifier trained in ``mode`` is tested."""
    from cmrbias.inputs import InputMode

    return InputMode(mode).tested().name


def _of_recipe(flags: Flags, owner: Any, name: str) -> Any:
    """Returns a flag, else what the recipe of a method or task says."""
    if name in flags:
        return flags[name]
    recipe = owner.recipes[flags.get("recipe", "quick")]
    return recipe.options[name] if name in recipe.options else getattr(recipe, name)


def _words(flags: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns flags as a command line has them; those of a list are repeated, True has no value."""
    words: list[str] = []
    for name, value in flags.items():
        flag = f"-{name}" if len(name) == 1 else f"--{name}"
        for each in value if isinstance(value, list) else [value]:
            words += [flag] if each is True else [flag, str(each)]
    return tuple(words)
