"""``cohort check``: what in a cohort would make numbers wrong."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cmrbias.cohorts.context import ContextAuc, context_aucs
from cmrbias.cohorts.format import TABLE, Cohort
from cmrbias.cohorts.splits import patients_in_two_splits
from cmrbias.errors import CmrbiasError


@dataclass(frozen=True)
class Finding:
    """One thing that was found: an ``error`` makes numbers wrong, a ``warning`` may."""

    level: Literal["error", "warning"]
    kind: str
    message: str
    cases: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckReport:
    """What ``check`` found.

    Attributes:
        cases, patients: how many there are.
        findings: errors first.
        balance: target -> value -> split -> cases; an empty value is the key ``""``.
        masks: frame -> ``complete``, ``incomplete``, ``empty``, and ``unreadable`` where there are some ->
            cases; empty without masks.
        context: how well the heart's mean and SD of intensity tell a target.
    """

    cases: int
    patients: int
    findings: list[Finding]
    balance: dict[str, dict[str, dict[str, int]]]
    masks: dict[str, dict[str, int]]
    context: list[ContextAuc]

    @property
    def errors(self) -> int:
        """The number of errors."""
        return sum(finding.level == "error" for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Returns the report as plain values, for JSON."""
        return {**dataclasses.asdict(self), "errors": self.errors}


def check(cohort: Cohort, progress: Callable[[int], None] = lambda cases: None) -> CheckReport:
    """Reads every image and mask of a cohort once.

    Args:
        cohort: an opened cohort.
        progress: called with the number of cases read so far.
    """
    findings = [*_shared_patients(cohort), *_same_identifier(cohort), *_changed(cohort)]
    pixels, unreadable = _read(cohort, progress)
    masks, mask_findings = _mask_findings(cohort, pixels)
    balance = {target: _balance(cohort, target) for target in cohort.targets}
    context = context_aucs(cohort, pixels.mean, pixels.spread)
    findings += [*unreadable, *_image_findings(cohort, pixels), *mask_findings, *_balance_findings(balance)]
    findings += _small_splits(cohort)
    findings += [Finding("warning", "context", c.sentence) for c in context if c.notable]
    return CheckReport(
        cases=len(cohort),
        patients=len(cohort.codes("patient")[1]),
        findings=sorted(findings, key=lambda finding: finding.level != "error"),
        balance=balance,
        masks=masks,
        context=context,
    )


@dataclass
class _Pixels:
    """What one pass over the arrays gives, a row a case.

    Attributes:
        digests: of the images' bytes, None where unreadable.
        masked: (N,) bool: whether the masks could be read.
        constant, empty: (N, frames) bool: image of one value; mask that was read without any label.
        mean, spread: (N, frames) float64 of the stored intensities inside the heart mask; NaN
            where the mask is empty.
    """

    digests: list[bytes | None]
    masked: np.ndarray
    constant: np.ndarray
    empty: np.ndarray
    mean: np.ndarray
    spread: np.ndarray


def _read(cohort: Cohort, progress: Callable[[int], None]) -> tuple[_Pixels, list[Finding]]:
    """Reads all shards once; one that cannot be read is a finding, and nothing else is said of it."""
    unreadable: list[Finding] = []
    shape = (len(cohort), len(cohort.frames))
    pixels = _Pixels(
        [None] * len(cohort),
        np.zeros(len(cohort), dtype=bool),
        np.zeros(shape, dtype=bool),
        np.zeros(shape, dtype=bool),
        np.full(shape, np.nan),
        np.full(shape, np.nan),
    )
    for shard in cohort.shards:
        rows = np.arange(shard.first, shard.first + shard.cases)
        images = _array(cohort.images, rows, unreadable)
        masks = _array(cohort.masks, rows, unreadable) if cohort.has_masks else None
        if images is not None:
            pixels.digests[shard.first : shard.first + shard.cases] = [_digest(image) for image in images]
            pixels.constant[rows] = images.min(axis=(2, 3)) == images.max(axis=(2, 3))
        if masks is not None:
            pixels.masked[rows] = True
            pixels.empty[rows] = ~masks.any(axis=(2, 3))
        if images is not None and masks is not None:
            pixels.mean[rows], pixels.spread[rows] = _inside(images, masks)
        progress(shard.first + shard.cases)
    return pixels, unreadable


def _array(
    read: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, unreadable: list[Finding]
) -> np.ndarray | None:
    """Returns what ``read`` gives, or None and one more finding."""
    try:
        return read(rows)
    except CmrbiasError as error:
        unreadable.append(Finding("error", "unreadable", str(error)))
        return None


def _digest(image: np.ndarray) -> bytes:
    return hashlib.sha256(image.tobytes()).digest()


def _inside(images: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and SD (n, frames) of the pixels inside each heart mask, NaN where it is empty."""
    moments = np.full((2, *images.shape[:2]), np.nan)
    for index in np.ndindex(images.shape[:2]):
        heart = images[index][masks[index] != 0]
        if heart.size:
            moments[:, *index] = heart.mean(), heart.std()
    return moments[0], moments[1]


def _shared_patients(cohort: Cohort) -> list[Finding]:
    shared = patients_in_two_splits(cohort.column("patient").tolist(), cohort.column("split").tolist())
    return [
        Finding("error", "patient in two splits", f"patient {patient!r} is in {' and '.join(splits)}")
        for patient, splits in shared.items()
    ]


def _same_identifier(cohort: Cohort) -> list[Finding]:
    codes, names = cohort.codes("case")
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    twice = tuple(name for name, count in zip(names, counts, strict=True) if count > 1)
    found = [Finding("error", "identifier", f"{_many(len(twice), 'case identifier')} used twice", twice)]
    return found if twice else []


def _changed(cohort: Cohort) -> list[Finding]:
    """Compares the files' bytes with the digests that were made while writing."""
    found = []
    for entry in cohort.meta["shards"]:
        for file in entry["files"].values():
            path = cohort.path / file["file"]
            if path.exists() and _sha256(path) != file["sha256"]:
                found.append(
                    Finding("error", "changed", f"{path.name} is not what was written: copy it again")
                )
    if not found and cohort.edited:
        message = (
            f"{TABLE} was edited since cohort.json was written: to runs this is another cohort, whose rows "
            "belong to the images by position"
        )
        found.append(Finding("warning", "changed", message))
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _image_findings(cohort: Cohort, pixels: _Pixels) -> list[Finding]:
    names, splits = cohort.column("case"), cohort.column("split")
    found = []
    for position, frame in enumerate(cohort.frames):
        cases = _names(names, pixels.constant[:, position])
        if cases:
            message = f"{_many(len(cases), 'image')} constant in frame {frame}"
            found.append(Finding("warning", "constant", message, cases))
    groups: defaultdict[bytes, list[int]] = defaultdict(list)
    for row, digest in enumerate(pixels.digests):
        if digest is not None:
            groups[digest].append(row)
    for rows in groups.values():
        if len(rows) > 1:
            across = " across splits" if len(set(splits[rows])) > 1 else ""
            message = f"{len(rows)} cases have identical images{across}"
            found.append(Finding("warning", "duplicate", message, tuple(names[rows].tolist())))
    return found


def _mask_findings(cohort: Cohort, pixels: _Pixels) -> tuple[dict[str, dict[str, int]], list[Finding]]:
    """Counts complete, incomplete and empty masks of each frame, and names the latter two."""
    counts: dict[str, dict[str, int]] = {}
    found: list[Finding] = []
    names, complete = cohort.column("case"), cohort.complete()
    advice = "left out of overlap scores and masked input modes"
    for position, frame in enumerate(cohort.frames if cohort.has_masks else ()):
        empty, shown = pixels.empty[:, position], pixels.masked & ~pixels.empty[:, position]
        kinds = {"incomplete": shown & ~complete[:, position], "empty": empty}
        counts[frame] = {"complete": int((shown & complete[:, position]).sum())}
        for kind, rows in kinds.items():
            counts[frame][kind] = int(rows.sum())
            if rows.any():
                message = f"{_many(int(rows.sum()), 'mask')} {kind} in frame {frame}, {advice}"
                found.append(Finding("warning", f"{kind} mask", message, _names(names, rows)))
        if not pixels.masked.all():
            counts[frame]["unreadable"] = int((~pixels.masked).sum())
    return counts, found


def _balance_findings(balance: dict[str, dict[str, dict[str, int]]]) -> list[Finding]:
    found = []
    for target, values in balance.items():
        named = [value for value in values if value]
        if len(named) < 2:
            only = f"all that are known are {named[0]!r}" if named else "none is known"
            message = f"target {target!r}: {only}, so there is nothing to tell apart"
            found.append(Finding("warning", "class balance", message))
        for value, splits in values.items():
            absent = [split for split, count in splits.items() if count == 0]
            if value and absent:
                message = f"target {target!r}: no case of {value!r} in {' and '.join(absent)}"
                found.append(Finding("warning", "class balance", message))
    return found


def _small_splits(cohort: Cohort) -> list[Finding]:
    """Warns of splits with one patient: an interval over patients cannot be had from it, nor training."""
    pairs = set(zip(cohort.column("split").tolist(), cohort.column("patient").tolist(), strict=True))
    patients = Counter(split for split, _ in pairs)
    advice = "figures over patients need several"
    return [
        Finding("warning", "small split", f"split {split or '(none)'} holds one patient: {advice}")
        for split, count in sorted(patients.items())
        if count == 1
    ]


def _balance(cohort: Cohort, target: str) -> dict[str, dict[str, int]]:
    """Returns value -> split -> cases; an empty cell counts as what the target says that it stands for."""
    missing = cohort.targets[target].get("missing")
    empty = "" if missing is None else str(missing)
    cells = (cell or empty for cell in cohort.column(target).tolist())
    pairs = Counter(zip(cells, cohort.column("split").tolist(), strict=True))
    values, splits = (sorted({pair[i] for pair in pairs}) for i in (0, 1))
    return {value: {split: pairs[value, split] for split in splits} for value in values}


def _names(names: np.ndarray, rows: np.ndarray) -> tuple[str, ...]:
    return tuple(names[rows].tolist())


def _many(count: int, noun: str) -> str:
    return f"{count} {noun} is" if count == 1 else f"{count} {noun}s are"
