"""Importing: a reader's cases, prepared, split, pseudonymised and written as one cohort."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmrbias.cohorts.case import STRUCTURES, Case, Reader, SourceError
from cmrbias.cohorts.format import ROW_COLUMNS
from cmrbias.cohorts.identifiers import leave_out_identifiers
from cmrbias.cohorts.prepare import Prepared, PrepareOptions, preparation, prepare_case
from cmrbias.cohorts.provenance import SourceDigest, versions
from cmrbias.cohorts.pseudonyms import ids_file, pseudonymise, write_ids
from cmrbias.cohorts.rows import row_of
from cmrbias.cohorts.splits import assign_splits, parse_ratio
from cmrbias.cohorts.writer import CohortWriter, refuse_existing
from cmrbias.errors import CmrbiasError

LISTED = 20  # bad cases that are printed


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes:
        path: the cohort.
        ids: the file with salt and map of the pseudonyms, or None with kept identifiers.
        cases, patients: how many were written.
        splits: split -> cases.
        targets: target -> value -> cases; an empty value is the key ``""``.
        masks: cases whose masks are complete in all frames, or None without masks.
        notes: what had to be chosen -> in how many cases.
        left_out: one line a case that ``skip_bad`` left out.
        identifying: columns that were left out because their names look like identifiers.
    """

    path: Path
    ids: Path | None
    cases: int
    patients: int
    splits: dict[str, int]
    targets: dict[str, dict[str, int]]
    masks: int | None
    notes: dict[str, int]
    left_out: list[str]
    identifying: list[str]


@dataclass
class _Log:
    """What is gathered while cases come."""

    source: SourceDigest = field(default_factory=SourceDigest)
    notes: Counter[str] = field(default_factory=Counter)
    transforms: Counter[str] = field(default_factory=Counter)
    seen: set[str] = field(default_factory=set)
    bad: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)  # of ``bad``, without identifiers
    identifying: list[str] = field(default_factory=list)
    read: int = 0

    def provenance(self, source: Path, keep_ids: bool) -> dict[str, Any]:
        """Returns what ``cohort.json`` records; who was left out only where identifiers are kept."""
        why = list(self.bad) if keep_ids else dict(self.reasons)
        return {
            "source": {"name": source.resolve().name, **self.source.summary()},
            "identifiers": "kept" if keep_ids else "pseudonyms",
            "columns_left_out": self.identifying,
            "notes": dict(self.notes),
            "transforms": dict(self.transforms),
            "left_out": {"cases": len(self.bad), "why": why},
        }


def import_cohort(
    reader: Reader,
    source: Path,
    out: Path,
    prepare: PrepareOptions,
    *,
    reader_name: str = "",
    name: str | None = None,
    keep_ids: bool = False,
    salt: str | None = None,
    skip_bad: bool = False,
    split: str | None = None,
    seed: int = 0,
    progress: Callable[[int], None] = lambda cases: None,
) -> ImportReport:
    """Makes the cohort ``out`` of what ``reader`` finds in ``source``.

    Args:
        reader: yields cases, or a ``SourceError`` in place of each that cannot be read.
        prepare: size, pixel size, scaling, slice.
        reader_name: for provenance.
        name: the cohort's name; the output folder's by default.
        keep_ids: keep identifiers and dates as the source has them, and columns that look like identifiers.
        salt: of the pseudonyms; drawn if None.
        skip_bad: leave out cases that cannot be used instead of refusing the source.
        split: ``70/30`` draws the split by patient; None keeps the source's, or draws 70/30.
        seed: of the drawn split.
        progress: called with the number of cases read so far.

    Raises:
        CmrbiasError: ``out`` exists, the source cannot be used, some cases cannot (they are listed
            together), or a patient is in two splits. Nothing is left behind.
    """
    refuse_existing(out)
    ratio = None if split is None else parse_ratio(split)
    if not source.exists():
        raise CmrbiasError(f"{source}: there is no such file or folder")
    items = _started(reader.read(source))
    log = _Log()
    with contextlib.ExitStack() as undo:
        with _writer(reader, out, prepare, name or out.name, reader_name) as writer:
            _add_cases(items, writer, prepare, log, keep_ids, progress)
            _refuse(log, skip_bad)
            writer.provenance["split"] = assign_splits(writer.rows, writer.targets, ratio, seed)
            _set_pixel_size(writer)
            if not keep_ids:
                log.identifying = leave_out_identifiers(writer.rows, (*ROW_COLUMNS, *writer.targets))
            writer.provenance |= log.provenance(source, keep_ids)
            if not keep_ids:
                pseudonyms, writer.provenance["dates"] = pseudonymise(writer.rows, writer.targets, salt)
                write_ids(ids_file(out), {**pseudonyms.secrets(), "left_out": log.bad})
                undo.callback(ids_file(out).unlink)
        undo.pop_all()
    return _report(writer, log, None if keep_ids else ids_file(out))


def _writer(reader: Reader, out: Path, prepare: PrepareOptions, name: str, reader_name: str) -> CohortWriter:
    return CohortWriter(
        out,
        name=name,
        frames=reader.frames,
        structures=_structures(reader, prepare),
        targets=reader.targets,
        preparation=preparation(prepare),
        provenance={"reader": reader_name, "options": _plain(reader.options), "versions": versions()},
        dtype=prepare.dtype,
    )


def _started(items: Iterable[Case | SourceError]) -> Iterable[Case | SourceError]:
    """Runs a reader up to its first case: by then its frames, structures and targets are set."""
    iterator = iter(items)
    return itertools.chain(list(itertools.islice(iterator, 1)), iterator)


def _structures(reader: Reader, prepare: PrepareOptions) -> tuple[str, ...]:
    """Returns what a complete mask holds, in the order of the labels."""
    only, held = prepare.mask_structures, reader.structures
    if only and held and not set(only) <= set(held):
        raise CmrbiasError(
            f"--mask-structures: the masks of this source hold {', '.join(held)}, got {','.join(only)}"
        )
    return tuple(s for s in STRUCTURES if s in (only or held))


def _add_cases(
    items: Iterable[Case | SourceError],
    writer: CohortWriter,
    prepare: PrepareOptions,
    log: _Log,
    keep_ids: bool,
    progress: Callable[[int], None],
) -> None:
    """Prepares and writes the good cases, and gathers the bad ones."""
    for item in items:
        log.read += 1
        if isinstance(item, SourceError):
            log.bad.append(str(item))
            log.reasons["the reader could not read it"] += 1
        else:
            try:
                _add_case(item, writer, prepare, log, keep_ids)
            except SourceError as error:
                log.bad.append(str(error))
                log.reasons[str(error).removeprefix(f"case {item.case!r}: ")] += 1
        progress(log.read)


def _add_case(case: Case, writer: CohortWriter, prepare: PrepareOptions, log: _Log, keep_ids: bool) -> None:
    if case.case in log.seen:
        raise SourceError(f"case {case.case!r}: another case has the same identifier")
    row = row_of(case, writer.targets)
    prepared = prepare_case(case, writer.frames, prepare)
    log.seen.add(case.case)
    log.source.add(case.sources)
    log.transforms[case.transform] += 1
    log.notes.update(note if keep_ids else _redacted(note, case) for note in case.notes)
    log.notes.update(prepared.notes)
    writer.add(
        {**row, **_prepared_cells(prepared, writer.frames)}, prepared.images, prepared.masks, prepared.area
    )


def _prepared_cells(prepared: Prepared, frames: tuple[str, ...]) -> dict[str, Any]:
    held = zip(frames, prepared.structures, strict=True)
    cells: dict[str, Any] = {f"mask_{frame}": "+".join(structures) for frame, structures in held}
    return {**cells, "pixel_size": prepared.pixel_size}


def _redacted(note: str, case: Case) -> str:
    """Takes the case's identifiers out of a note (short ones, such as 1, could be anything)."""
    for kind, identifier in (("case", case.case), ("patient", case.patient), ("study", case.study)):
        if len(identifier) > 3:
            note = note.replace(identifier, f"<{kind}>")
    return note


def _refuse(log: _Log, skip_bad: bool) -> None:
    """Raises a CmrbiasError if there are no cases, or bad ones that may not be left out."""
    if log.read == 0:
        raise CmrbiasError("the source holds no cases")
    if log.bad and (not skip_bad or len(log.bad) == log.read):
        advice = "" if skip_bad else "; put them right, or leave them out with --skip-bad"
        raise CmrbiasError(
            f"{len(log.bad)} of {log.read} cases cannot be used, nothing was written{advice}:\n  "
            + "\n  ".join(listed(log.bad))
        )


def listed(lines: list[str], where: str = "") -> list[str]:
    """Returns the first ``LISTED`` lines, and how many more there are (``where`` says where)."""
    more = len(lines) - LISTED
    return [*lines[:LISTED], f"... and {more} more{where}"] if more > 0 else lines


def _set_pixel_size(writer: CohortWriter) -> None:
    """Moves the pixel size to the header where all cases have the same; else it stays a column."""
    sizes = {row["pixel_size"] for row in writer.rows}
    if len(sizes) == 1:
        writer.pixel_size = sizes.pop()
        for row in writer.rows:
            del row["pixel_size"]


def _plain(options: Any) -> dict[str, Any]:
    """Returns a reader's options for provenance; of a path only its last part."""
    values = dataclasses.asdict(options)
    return {name: value.name if isinstance(value, Path) else value for name, value in values.items()}


def _report(writer: CohortWriter, log: _Log, ids: Path | None) -> ImportReport:
    rows = writer.rows
    targets = {t: dict(sorted(Counter(str(r.get(t, "")) for r in rows).items())) for t in writer.targets}
    return ImportReport(
        path=writer.out,
        ids=ids,
        cases=len(rows),
        patients=len({row["patient"] for row in rows}),
        splits=dict(sorted(Counter(row["split"] for row in rows).items())),
        targets=targets,
        masks=_complete(rows, writer),
        notes=dict(log.notes),
        left_out=log.bad,
        identifying=log.identifying,
    )


def _complete(rows: list[dict[str, Any]], writer: CohortWriter) -> int | None:
    held = [[row[f"mask_{frame}"] for frame in writer.frames] for row in rows]
    if not any(itertools.chain(*held)):
        return None
    return sum(all(text and set(writer.structures) <= set(text.split("+")) for text in case) for case in held)
