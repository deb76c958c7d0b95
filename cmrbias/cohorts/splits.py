"""Splits into training and test cases, always by patient."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cmrbias.errors import CmrbiasError


def parse_ratio(text: str) -> float:
    """Returns the training share of a ratio such as ``70/30``.

    Raises:
        CmrbiasError: it is no pair of positive percentages that add up to 100.
    """
    train, slash, test = text.partition("/")
    try:
        shares = float(train), float(test)
    except ValueError:
        shares = (0.0, 0.0)
    if not slash or min(shares) <= 0 or sum(shares) != 100:
        raise CmrbiasError(f"--split: expected TRAIN/TEST in percent, such as 70/30, got {text!r}")
    return shares[0] / 100


def assign_splits(
    rows: Sequence[dict[str, Any]], targets: Mapping[str, Mapping[str, Any]], train: float | None, seed: int
) -> dict[str, Any]:
    """Gives each row its ``split``, in place: the one it has, or else a drawn one.

    Args:
        rows: with ``patient``, ``split`` and the targets' columns.
        targets: as ``cohort.json`` has them; the first of kind ``class`` (else the first) stratifies.
        train: training share of a new draw; None keeps the rows' splits if they have any, else 0.7.
        seed: of the draw.

    Returns:
        Where the splits are from, for provenance.

    Raises:
        CmrbiasError: a split is given for some rows only, or a patient is in two.
    """
    given = sum(bool(row["split"]) for row in rows)
    patients = [row["patient"] for row in rows]
    if train is None and 0 < given < len(rows):
        raise CmrbiasError(
            f"the source gives a split for {given} of {len(rows)} cases: give it for all, or draw it with "
            "--split 70/30"
        )
    if train is None and given:
        refuse_shared_patients(patients, [row["split"] for row in rows])
        return {"from": "source"}
    ordered = sorted(targets, key=lambda name: targets[name]["kind"] != "class")
    column, train = ordered[0] if ordered else "", 0.7 if train is None else train
    labels = [str(row.get(column, "")) for row in rows]
    for row, split in zip(rows, draw_split(patients, labels, train, seed), strict=True):
        row["split"] = split
    return {"from": "drawn by patient", "train": train, "stratified by": column, "seed": seed}


def refuse_shared_patients(patients: Sequence[str], splits: Sequence[str]) -> None:
    """Raises a CmrbiasError that lists all patients with cases in more than one split."""
    shared = patients_in_two_splits(patients, splits)
    if shared:
        listed = "\n  ".join(f"patient {p!r} is in {' and '.join(names)}" for p, names in shared.items())
        raise CmrbiasError(
            f"{len(shared)} patients have cases in two splits: put them right, or draw the split anew "
            f"with --split 70/30:\n  {listed}"
        )


def draw_split(patients: Sequence[str], labels: Sequence[str], train: float, seed: int) -> list[str]:
    """Draws ``train`` or ``test`` for each case, one for all cases of a patient, stratified by label.

    A patient's stratum is its most frequent label. Each stratum gives ``train`` of its patients,
    rounded so that the whole cohort's share is right too (largest remainders). The draw depends on
    the patients' names and labels and on the seed, not on the cases' order.

    Args:
        patients, labels: one a case.
        train: the training share, between 0 and 1.
        seed: of the draw.
    """
    strata = _strata(patients, labels)
    training: set[str] = set()
    for count, (label, members) in zip(_counts(strata, train), strata.items(), strict=True):
        generator = np.random.default_rng([seed, *label.encode()])
        order = generator.permutation(len(members))
        training.update(members[i] for i in order[:count])
    return ["train" if patient in training else "test" for patient in patients]


def patients_in_two_splits(patients: Sequence[str], splits: Sequence[str]) -> dict[str, list[str]]:
    """Returns the patients with cases in more than one split, and those splits."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for patient, split in zip(patients, splits, strict=True):
        found[patient].add(split)
    return {patient: sorted(names) for patient, names in found.items() if len(names) > 1}


def _strata(patients: Sequence[str], labels: Sequence[str]) -> dict[str, list[str]]:
    """Returns label -> sorted patients, in the order of the labels."""
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for patient, label in zip(patients, labels, strict=True):
        seen[patient][label] += 1
    strata: defaultdict[str, list[str]] = defaultdict(list)
    for patient in sorted(seen):
        label = min(seen[patient], key=lambda name: (-seen[patient][name], name))
        strata[label].append(patient)
    return dict(sorted(strata.items()))


def _counts(strata: Mapping[str, Sequence[str]], train: float) -> list[int]:
    """Returns how many of each stratum's patients train: floors, then the largest remainders."""
    exact = np.array([len(members) * train for members in strata.values()])
    counts = np.floor(exact + 1e-9).astype(int)
    short = round(float(exact.sum())) - int(counts.sum())
    for position in np.argsort(counts - exact, kind="stable")[:short]:
        counts[position] += 1
    return [int(count) for count in counts]
