"""Writes a cohort: shards as cases come, the table and the header at the end, all or nothing."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, BinaryIO

import numpy as np

from cmrbias.cohorts.case import STRUCTURES
from cmrbias.cohorts.case_order import case_digests
from cmrbias.cohorts.format import AREA_COLUMNS, HEADER, ROW_COLUMNS, TABLE, VERSION, cohort_digest
from cmrbias.errors import CmrbiasError
from cmrbias.files import unwritable

SHARD_CASES = 256


class CohortWriter:
    """A context manager that writes into a hidden sibling of ``out`` and renames it on a clean exit.

    On any error, a full disk included, the sibling is removed and ``out`` never appears.

        with CohortWriter(out, name="acdc", frames=("ED", "ES"), ...) as writer:
            writer.add({"case": "1", "patient": "1", "split": "train", "label": "DCM"}, images, masks)

    Attributes:
        rows, pixel_size, provenance: may be changed until the exit, for what is known only then
            (splits, what was left out).

    Raises:
        CmrbiasError: ``out`` exists already, or lies within what is no folder.
    """

    def __init__(
        self,
        out: Path,
        *,
        name: str,
        frames: Sequence[str],
        structures: Sequence[str],
        targets: Mapping[str, Mapping[str, Any]],
        preparation: Mapping[str, Any],
        provenance: Mapping[str, Any],
        dtype: str = "uint8",
        pixel_size: float | None = None,
    ) -> None:
        refuse_existing(out)
        self.out = Path(out)
        self.name = name
        self.frames = tuple(frames)
        self.structures = tuple(structures)
        self.targets = {column: dict(kind) for column, kind in targets.items()}
        self.preparation = dict(preparation)
        self.provenance = dict(provenance)
        self.dtype = np.dtype(dtype)
        self.pixel_size = pixel_size
        self.rows: list[dict[str, Any]] = []
        self._shards: list[dict[str, Any]] = []
        self._images: list[np.ndarray] = []
        self._masks: list[np.ndarray] = []
        self._folder = self.out.with_name(f".{self.out.name}.{os.getpid()}.partial")

    def __enter__(self) -> CohortWriter:
        try:
            self._folder.mkdir(parents=True)
        except OSError as error:
            raise unwritable(self.out, error) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def add(
        self,
        row: Mapping[str, Any],
        images: np.ndarray,
        masks: np.ndarray | None,
        area: tuple[int, int, int, int] | None = None,
    ) -> None:
        """Adds one case.

        Args:
            row: ``case``, ``patient``, ``split``, targets, any further columns; None is an empty
                cell. ``mask_<FRAME>`` (structures joined by ``+``) is derived from the labels that
                are there if not given.
            images: (frames, H, W) in the cohort's dtype.
            masks: (frames, H, W) uint8 labels, or None.
            area: top, left, height, width of the valid pixels; None means all.

        Raises:
            ValueError: an array of another shape or dtype, or an unknown label.
        """
        if images.ndim != 3 or len(images) != len(self.frames) or images.dtype != self.dtype:
            expected = f"{self.dtype} ({len(self.frames)}, H, W)"
            raise ValueError(f"images: expected {expected}, got {images.dtype} {images.shape}")
        if masks is not None and (masks.shape != images.shape or masks.dtype != np.uint8):
            raise ValueError(f"masks: expected uint8 {images.shape}, got {masks.dtype} {masks.shape}")
        if masks is not None and masks.max(initial=0) > max(STRUCTURES.values()):
            raise ValueError(f"masks: expected labels {STRUCTURES}, got {masks.max()}")
        if self._images and self._must_close(images, masks):
            self._close_shard()
        self._images.append(images)
        if masks is not None:
            self._masks.append(masks)
        self.rows.append({**row, **self._derived(row, images, masks, area)})

    def _derived(
        self,
        row: Mapping[str, Any],
        images: np.ndarray,
        masks: np.ndarray | None,
        area: tuple[int, int, int, int] | None,
    ) -> dict[str, Any]:
        cells: dict[str, Any] = dict(zip(AREA_COLUMNS, area or (0, 0, *images.shape[1:]), strict=True))
        for position, frame in enumerate(self.frames):
            if f"mask_{frame}" not in row:
                held = structures_in(masks[position]) if masks is not None else ()
                cells[f"mask_{frame}"] = "+".join(held)
        return cells

    def _must_close(self, images: np.ndarray, masks: np.ndarray | None) -> bool:
        full = len(self._images) == SHARD_CASES
        return full or self._images[0].shape != images.shape or bool(self._masks) != (masks is not None)

    def _close_shard(self) -> None:
        height, width = self._images[0].shape[1:]
        files = {"images": self._images, "masks": self._masks}
        self._shards.append(
            {
                "cases": len(self._images),
                "height": height,
                "width": width,
                "files": {name: self._save(name, arrays) for name, arrays in files.items() if arrays},
            }
        )
        self._images, self._masks = [], []

    def _save(self, name: str, arrays: list[np.ndarray]) -> dict[str, str]:
        path = self._folder / f"{name}-{len(self._shards):05d}.npy"
        with path.open("wb") as file:
            hashing = _Hashing(file)
            np.save(hashing, np.stack(arrays), allow_pickle=False)
            _sync(file)
        return {"file": path.name, "sha256": hashing.digest.hexdigest()}

    def _finish(self) -> None:
        if not self.rows:
            raise CmrbiasError(f"{self.out}: a cohort needs at least one case, got none")
        if self._images:
            self._close_shard()
        self._write_table()
        with (self._folder / HEADER).open("wb") as file:
            file.write(json.dumps(self._meta(), indent=1, ensure_ascii=False).encode() + b"\n")
            _sync(file)
        refuse_existing(self.out)
        os.rename(self._folder, self.out)

    def _write_table(self) -> None:
        columns = list(dict.fromkeys([*ROW_COLUMNS, *self.targets, *self._mask_columns(), *AREA_COLUMNS]))
        known = set(columns)
        for row in self.rows:
            if not row.keys() <= known:
                columns += [name for name in row if name not in known]
                known.update(columns)
        with (self._folder / TABLE).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
            _sync(file)

    def _meta(self) -> dict[str, Any]:
        labels = {"background": 0, **STRUCTURES}
        arrays: dict[str, Any] = {"images": {"kind": "image", "dtype": self.dtype.name, "channels": 1}}
        if any("masks" in shard["files"] for shard in self._shards):
            arrays["masks"] = {"kind": "labels", "dtype": "uint8", "channels": 1, "vocabulary": labels}
        return {
            "format": VERSION,
            "name": self.name,
            "frames": list(self.frames),
            "structures": list(self.structures),
            "pixel_size": self.pixel_size,
            "intensity": [0, int(np.iinfo(self.dtype).max)],
            "targets": self._targets(),
            "arrays": arrays,
            "preparation": self.preparation,
            "provenance": self.provenance,
            "case_order": case_digests([str(row["case"]) for row in self.rows]),
            "digest": cohort_digest(self._shards, self._folder / TABLE),
            "shards": self._shards,
        }

    def _targets(self) -> dict[str, dict[str, Any]]:
        """Collects the classes of those targets that do not name them."""
        found = {}
        for column, target in self.targets.items():
            if target["kind"] == "class" and not target.get("classes"):
                cells = {str(row.get(column)) for row in self.rows if row.get(column) not in (None, "")}
                target = {**target, "classes": sorted(cells)}
            found[column] = target
        return found

    def _mask_columns(self) -> list[str]:
        return [f"mask_{frame}" for frame in self.frames]


def refuse_existing(out: Path) -> None:
    """Raises a CmrbiasError if ``out`` exists or cannot be made; folders above it need not exist."""
    if os.path.lexists(out):
        raise CmrbiasError(f"{out} exists already: choose another name or remove it")
    nearest = next(folder for folder in Path(out).absolute().parents if os.path.lexists(folder))
    if not nearest.is_dir():
        raise CmrbiasError(f"{out}: expected a folder to write into, {nearest} is none: choose another name")


def structures_in(labels: np.ndarray) -> tuple[str, ...]:
    """Returns the names of the structures that a label array shows."""
    return tuple(name for name, value in STRUCTURES.items() if (labels == value).any())


class _Hashing:
    """A file that hashes what is written into it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self.file.write(data)


def _sync(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())
