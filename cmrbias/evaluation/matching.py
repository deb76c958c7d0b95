"""Which of a classifier's classes are which of a cohort's labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmrbias.errors import CmrbiasError, unknown


@dataclass(frozen=True)
class Matching:
    """The classes on which a classifier and a cohort are compared.

    Attributes:
        classes: K names, as the cohort has them, in the cohort's order.
        columns: (K,) int64, the classifier's logit of each. The softmax is taken over these alone: the
            probability of a class given that the diagnosis is one of those compared.
        labels: (N,) int64 of all cases, -1 for those whose label is not compared.
        left_out: label to the number of cases that have it and are not compared.
        dropped: the classifier's classes that are not compared.
    """

    classes: tuple[str, ...]
    columns: np.ndarray
    labels: np.ndarray
    left_out: dict[str, int]
    dropped: tuple[str, ...]


def match_classes(
    known: Sequence[str],
    cells: Sequence[str],
    listed: Sequence[str],
    label_map: Mapping[str, str] | None,
    where: str,
    run: Path,
) -> Matching:
    """Matches classes by name, or by a label map: a transfer over shared diagnoses without retraining.

    Args:
        known: the classifier's classes.
        cells: the label of each case.
        listed: the cohort's labels, in its order.
        label_map: the classifier's class -> the cohort's label, one to one; what it does not name is
            left out. None: equal names.
        where: the cohort and its column, for messages.
        run: whose classifier it is, for messages.

    Raises:
        CmrbiasError: a label of some case that training never saw; a map that names what does not exist,
            gives one label twice, or fewer than two.
    """
    if label_map is None:
        _refuse_unseen(known, cells, where, run)
        label_map = {name: name for name in known}
    else:
        _check_map(known, listed, label_map, where, run)
    order = [*listed, *(name for name in known if name not in listed)]
    found = sorted(label_map.items(), key=lambda pair: order.index(pair[1]))
    classes = tuple(label for _, label in found)
    counts = Counter(cell for cell in cells if cell not in classes)
    return Matching(
        classes=classes,
        columns=np.array([known.index(name) for name, _ in found]),
        labels=np.array([classes.index(c) if c in classes else -1 for c in cells], dtype=np.int64),
        left_out={label: counts[label] for label in listed if counts[label]},
        dropped=tuple(name for name in known if name not in label_map),
    )


def _refuse_unseen(known: Sequence[str], cells: Sequence[str], where: str, run: Path) -> None:
    counts = Counter(cell for cell in cells if cell not in known)
    if counts:
        found = ", ".join(f"{name!r} ({count} cases)" for name, count in sorted(counts.items()))
        raise CmrbiasError(
            f"{where}: found {found}, which {run} never saw in training (it tells {', '.join(known)}): name "
            "the shared diagnoses by --label-map RUNCLASS=LABEL,..., or train a new head: cmrbias probe "
            f"--weights {run}"
        )


def _check_map(
    known: Sequence[str], listed: Sequence[str], label_map: Mapping[str, str], where: str, run: Path
) -> None:
    for name, label in label_map.items():
        if name not in known:
            raise CmrbiasError(f"--label-map: {unknown(f'class of {run}', name, known)}")
        if label not in listed:
            raise CmrbiasError(f"--label-map: {unknown(f'label of {where}', label, listed)}")
    labels = list(label_map.values())
    twice = [label for label in labels if labels.count(label) > 1]
    if twice or len(labels) < 2:
        found = f"{twice[0]!r} twice" if twice else f"{len(labels)}"
        raise CmrbiasError(f"--label-map: expected two pairs or more, each label once, found {found}")


def refuse_absent(classes: Sequence[str], labels: np.ndarray, what: str) -> None:
    """Raises a CmrbiasError where a class has no case: an AUC needs some of each.

    Args:
        classes: K names.
        labels: (N,) int64 of the cases that are scored.
        what: which cases they are, in words.
    """
    counts = np.bincount(labels, minlength=len(classes))
    absent = [name for name, count in zip(classes, counts.tolist(), strict=True) if not count]
    if absent:
        kept = [f"{name}={name}" for name in classes if name not in absent]
        others = f", or compare the others by --label-map {','.join(kept)}" if len(kept) > 1 else ""
        raise CmrbiasError(
            f"{what}: no case has class {', '.join(map(repr, absent))}, and an AUC needs cases of each: add "
            f"some{others}"
        )
