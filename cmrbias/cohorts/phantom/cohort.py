"""Phantom cohorts on disk, their twins, and the default one that training makes for itself."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cmrbias.cohorts.format import Cohort
from cmrbias.cohorts.phantom.association import (
    bayes_auc,
    corrected_cramers_v,
    count_table,
    cramers_v,
    draw_levels,
    expected_table,
    left_out_auc,
    other_levels,
    permuted_within,
    reversed_map,
)
from cmrbias.cohorts.phantom.canvas import FIELD_MM
from cmrbias.cohorts.phantom.cues import Cue, add_cue
from cmrbias.cohorts.phantom.patients import draw_classes, draw_split, stream
from cmrbias.cohorts.phantom.rendering import render
from cmrbias.cohorts.phantom.scanner import ANATOMY_MAXIMUM, LOOKS, valid_area
from cmrbias.cohorts.phantom.settings import CLASSES, PhantomOptions, check
from cmrbias.cohorts.writer import CohortWriter, refuse_existing
from cmrbias.errors import CmrbiasError

RENDERING = 1
"""Raised whenever the same options give other bytes, so that caches and twins are not mixed up."""

DEFAULT = PhantomOptions(patients=240, cue="local-far", cue_strength=0.9, anatomy_strength=1.0)
"""Textbook hearts, so that a short pretraining has something to find."""

Progress = Callable[[int, int], None]


def make_phantom(out: Path, options: PhantomOptions, progress: Progress | None = None) -> None:
    """Writes a phantom cohort; the same options give the same bytes.

    Args:
        out: a directory that does not exist yet.
        options: see ``PhantomOptions``.
        progress: called after each patient with how many are done and how many there are.

    Raises:
        CmrbiasError: an option out of range, or ``out`` exists; nothing is written then.
    """
    check(options)
    _write(out, options, _levels(options), {}, progress)


def twin(source: Path, out: Path, condition: str | None = None, progress: Progress | None = None) -> None:
    """Writes a phantom again: the same hearts, bodies, noise and split with other cue levels.

    Args:
        source: a phantom cohort with a cue.
        out: a directory that does not exist yet.
        condition: the cue's levels, as ``PhantomOptions.cue_condition``; None gives every case
            another level than it has in ``source``, drawn evenly.
        progress: as in ``make_phantom``.

    Raises:
        CmrbiasError: ``source`` is no phantom with a cue or was rendered by another version, the
            condition is unknown, or ``out`` exists; nothing is written then.
    """
    cohort = Cohort.open(source)
    options = _options_of(cohort)
    if condition is None:
        levels = np.array([int(cell or -1) for cell in cohort.column("cue")])
        levels = other_levels(levels, len(options.class_names), stream(options.seed, "twin"))
    else:
        options = dataclasses.replace(options, cue_condition=condition)
        check(options)
        levels = _levels(options)
    _write(out, options, levels, {"twin_of": cohort.digest, "twin_levels": condition or "other"}, progress)


def default_phantom(cache: Path, progress: Progress | None = None) -> Path:
    """Returns the cohort that training uses when it is given none, made once and kept in ``cache``.

    Its name holds a digest of its options and of ``RENDERING``, so that a change makes a new one.
    """
    recipe = json.dumps([DEFAULT.record(), RENDERING], sort_keys=True)
    path = cache / f"phantom-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        try:
            make_phantom(path, DEFAULT, progress)
        except CmrbiasError:
            if not path.exists():  # else another process was faster
                raise
    return path


def _classes(options: PhantomOptions) -> np.ndarray:
    return draw_classes(options.patients, list(CLASSES[options.classes].values()), options.seed)


def _shares(classes: np.ndarray) -> np.ndarray:
    return np.bincount(classes) / len(classes)


def _condition(options: PhantomOptions) -> str:
    return "absent" if options.cue == "none" else options.cue_condition


def _levels(options: PhantomOptions) -> np.ndarray:
    """Returns the cue's level of each case (N,), -1 for none."""
    classes, rng = _classes(options), stream(options.seed, "cue")
    condition = _condition(options)
    levels = draw_levels(classes, _shares(classes), options.cue_strength, condition, rng)
    if condition == "permuted":
        return permuted_within(levels, draw_split(classes, options.seed), rng)
    return levels


def _write(
    out: Path, options: PhantomOptions, levels: np.ndarray, origin: dict[str, Any], progress: Progress | None
) -> None:
    refuse_existing(out)
    names, classes = options.class_names, _classes(options)
    split = draw_split(classes, options.seed)
    with CohortWriter(
        out,
        name="phantom",
        frames=("ED", "ES"),
        structures=("RV", "MYO", "LV"),
        targets={"label": {"kind": "class", "classes": sorted(names)}},
        preparation={
            "scaling": "0 to the brightest tissue outside the heart, clipped",
            "to": [0, ANATOMY_MAXIMUM],
        },
        provenance=_provenance(options, classes, levels, origin),
        pixel_size=FIELD_MM / options.image_size,
    ) as writer:
        area = valid_area(LOOKS[options.site], options.image_size)
        for patient, (label, level) in enumerate(zip(classes, levels, strict=True)):
            row, images, masks = _case(options, patient, names[label], int(level))
            writer.add({**row, "split": split[patient]}, images, masks, area)
            if progress is not None:
                progress(patient + 1, options.patients)


def _case(
    options: PhantomOptions, patient: int, diagnosis: str, level: int
) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Returns a case's row, images and masks."""
    cue = Cue.of(options)
    found = render(
        patient,
        diagnosis,
        anatomy_strength=options.anatomy_strength,
        site=options.site,
        size=options.image_size,
        seed=options.seed,
        shift=cue.heart_shift(level),
    )
    # runs remember the patients they saw: a twin is the same patient, one of another seed is not
    name = f"s{options.seed}-p{patient:05d}"
    row = {
        "case": name,
        "patient": name,
        "study": name,
        "label": diagnosis,
        "cue": level if level >= 0 else "",
        "site": options.site,
        **{column: f"{value:.2f}" for column, value in found.heart.truth().items()},
    }
    images = add_cue(cue, found, level, stream(options.seed, "cue-appearance", patient))
    return row, images, found.masks


def _provenance(
    options: PhantomOptions, classes: np.ndarray, levels: np.ndarray, origin: dict[str, Any]
) -> dict[str, Any]:
    """Returns what was asked for and which association of cue and diagnosis came of it."""
    names = options.class_names
    moved = reversed_map(len(names)) if options.cue_condition == "reversed" else np.arange(len(names))
    return {
        "source": "phantom",
        "rendering": RENDERING,
        "phantom": options.record(),
        "cue": {
            "kind": options.cue,
            **({"form": options.form} if options.cue_form else {}),
            "column": "cue",
            "level_of_class": {name: int(level) for name, level in zip(names, moved, strict=True)},
            "achieved": _achieved(count_table(classes, levels, len(names))),
            "expected": None
            if origin.get("twin_levels") == "other"
            else _association(_expected(options, classes)),
        },
        **origin,
    }


def _expected(options: PhantomOptions, classes: np.ndarray) -> np.ndarray:
    return expected_table(_shares(classes), options.cue_strength, _condition(options))


def _achieved(counts: np.ndarray) -> dict[str, float]:
    """Returns the association in these very cases, and what it tells of cases without end.

    With few cases the former is above the expected one by chance.
    """
    corrected = {"cramers_v_corrected": corrected_cramers_v(counts), "auc_left_out": left_out_auc(counts)}
    return {**_association(counts), **corrected}


def _association(table: np.ndarray) -> dict[str, float]:
    return {"cramers_v": cramers_v(table), "bayes_auc": bayes_auc(table)}


def _options_of(cohort: Cohort) -> PhantomOptions:
    """Returns the options that a phantom cohort with a cue was made with."""
    provenance = cohort.meta["provenance"]
    if "phantom" not in provenance:
        raise CmrbiasError(f"{cohort.path}: expected a phantom cohort, which alone can have twins")
    if provenance["rendering"] != RENDERING:
        raise CmrbiasError(
            f"{cohort.path}: rendered by version {provenance['rendering']} of the phantom, this is version "
            f"{RENDERING}: make the cohort anew"
        )
    options = PhantomOptions(**provenance["phantom"])
    if options.cue == "none":
        raise CmrbiasError(f"{cohort.path}: it has no cue that a twin could change; make one with --cue")
    return options
