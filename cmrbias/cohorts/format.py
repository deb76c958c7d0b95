"""A cohort on disk, read: prepared images of many patients, masks and a table, all memory-mapped.

    COHORT/cohort.json       format version, frames, targets, shards with their digests, provenance
           images-00000.npy  uint8 or uint16 (cases, frames, H, W)
           masks-00000.npy   uint8 labels 0 background, 1 RV, 2 myocardium, 3 LV; absent without contours
           cases.csv         a row a case

Plain ``.npy`` and ``.csv``: anyone can open them without this package.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cmrbias.cohorts.case_order import check_order
from cmrbias.cohorts.columns import Column, Csv
from cmrbias.cohorts.pixel_sizes import check_column_sizes, check_header_size
from cmrbias.errors import CmrbiasError, unknown

VERSION = "1.0"
HEADER, TABLE = "cohort.json", "cases.csv"
ROW_COLUMNS = ("case", "patient", "study", "split")
AREA_COLUMNS = ("valid_top", "valid_left", "valid_height", "valid_width")
_OPEN_SHARDS = 256  # each costs a file descriptor


@dataclass(frozen=True)
class Shard:
    """Consecutive cases of one size: ``files`` maps an array's name to its file name."""

    first: int
    cases: int
    height: int
    width: int
    files: dict[str, str]


class Cohort:
    """An opened cohort. Opening reads the header and the split column, never an image.

    Attributes:
        path: its directory.
        meta: ``cohort.json`` as it is.
        recorded: the digest in ``cohort.json``, made while writing (see ``digest``).
        frames: the names of a case's frames, for example ``("ED", "ES")``.
        structures: what a complete mask holds, for example ``("RV", "MYO", "LV")``.
        targets: column name to ``{"kind": "class", "classes": [...]}`` or
            ``{"kind": "binary", "uncertain": -1}``.
        columns: the table's column names.
        has_masks: whether any case has one.
        image_shape: (H, W), or None where cases differ.
        maximum: the largest value that an image may hold, 255 or 65535.
    """

    def __init__(self, path: Path, meta: dict[str, Any]) -> None:
        self.path = path
        self.meta = meta
        self.recorded: str = meta["digest"]
        self.frames: tuple[str, ...] = tuple(meta["frames"])
        self.structures: tuple[str, ...] = tuple(meta["structures"])
        self.targets: dict[str, dict[str, Any]] = meta["targets"]
        self.dtype = np.dtype(meta["arrays"]["images"]["dtype"])
        self.maximum = int(np.iinfo(self.dtype).max)
        self.shards = _shards(meta["shards"])
        self.has_masks = any("masks" in shard.files for shard in self.shards)
        sizes = {(shard.height, shard.width) for shard in self.shards}
        self.image_shape = sizes.pop() if len(sizes) == 1 else None
        self._starts = np.array([shard.first for shard in self.shards], dtype=np.int64)
        self._maps: dict[str, np.ndarray] = {}
        self._csv = Csv(path / TABLE)
        self.columns = self._csv.header
        self._columns: dict[str, Column] = {}

    @classmethod
    def open(cls, path: Path | str) -> Cohort:
        """Opens a cohort.

        Raises:
            CmrbiasError: it is none, of a newer major format, its table does not fit its shards or was sorted
                anew, or a pixel size is no positive number.
        """
        path = Path(path)
        meta = _header(path)
        try:
            cohort = cls(path, meta)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise _broken(path, f"{type(error).__name__} {error}") from None
        missing = [name for name in ROW_COLUMNS if name not in cohort.columns]
        if missing:
            raise CmrbiasError(f"{path / TABLE}: column {missing[0]!r} is missing")
        check_header_size(path / HEADER, meta.get("pixel_size"))
        if "pixel_size" in cohort.columns:
            cohort._load(["split", "pixel_size"])  # in one pass over the table
            check_column_sizes(path / TABLE, cohort._column("pixel_size"))
        rows = len(cohort._column("split").codes)
        if rows != len(cohort):
            raise CmrbiasError(
                f"{path / TABLE}: expected {len(cohort)} rows, as many as the shards have cases, got {rows}; "
                "make the cohort again"
            )
        if "case_order" in meta and cohort.digest != cohort.recorded:  # older cohorts did not record it
            check_order(path / TABLE, meta["case_order"], list(cohort._csv.cells("case")))
        return cohort

    def __len__(self) -> int:
        """The number of cases."""
        return self.shards[-1].first + self.shards[-1].cases if self.shards else 0

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the shards' recorded digests and the table as it is now."""
        return cohort_digest(self.meta["shards"], self.path / TABLE)

    @property
    def edited(self) -> str:
        """A sentence if the table is not the one that was written, else empty."""
        if self.digest == self.recorded:
            return ""
        return (
            f"warning: {self.path / TABLE}: was edited after the cohort was made: this counts as another "
            f"cohort (digest {self.digest[:12]}, made with {self.recorded[:12]}), whose rows belong to the "
            "images by position; if that was not meant, see "
            f"'cmrbias cohort check {self.path}' and import again"
        )

    def images(self, cases: np.ndarray) -> np.ndarray:
        """Returns images (n, frames, H, W) of row numbers ``cases`` (n,), in the stored dtype.

        Raises:
            CmrbiasError: the cases differ in size, or a shard is missing or damaged.
        """
        return self._gather("images", np.asarray(cases, dtype=np.int64), self.dtype)

    def masks(self, cases: np.ndarray) -> np.ndarray:
        """Returns labels (n, frames, H, W) uint8 of row numbers ``cases`` (n,); 0 where there are none.

        Raises:
            CmrbiasError: the cohort has no masks, and as ``images``.
        """
        if not self.has_masks:
            raise CmrbiasError(f"{self.path}: this cohort has no masks; import it with contours")
        return self._gather("masks", np.asarray(cases, dtype=np.int64), np.dtype(np.uint8))

    def column(self, name: str) -> np.ndarray:
        """Returns a column's cells (N,) as str; an empty cell is ``""``.

        Raises:
            CmrbiasError: there is no such column.
        """
        found = self._column(name)
        cells: np.ndarray = np.array([*found.vocabulary, ""])[found.codes]
        return cells

    def codes(self, name: str) -> tuple[np.ndarray, list[str]]:
        """Returns a column's codes (N,) int64, -1 for empty cells, and its sorted values.

        Raises:
            CmrbiasError: there is no such column.
        """
        found = self._column(name)
        return found.codes.astype(np.int64), found.vocabulary

    def cases(self, split: str | None = None) -> np.ndarray:
        """Returns the row numbers (n,) int64 of a split, or of all cases.

        Raises:
            CmrbiasError: no case is in that split.
        """
        if split is None:
            return np.arange(len(self), dtype=np.int64)
        found = self._column("split")
        if split not in found.vocabulary:
            raise CmrbiasError(f"{self.path}: {unknown('split', split, found.vocabulary)}")
        return np.flatnonzero(found.codes == found.vocabulary.index(split))

    def area(self) -> np.ndarray:
        """Returns top, left, height and width of each case's valid pixels: (N, 4) int64."""
        if not set(AREA_COLUMNS) <= set(self.columns):
            sizes = [(0, 0, shard.height, shard.width) for shard in self.shards]
            return np.repeat(np.array(sizes, dtype=np.int64), [s.cases for s in self.shards], axis=0)
        self._load(AREA_COLUMNS)
        try:
            return np.stack([self._numbers(name) for name in AREA_COLUMNS], axis=1)
        except ValueError as error:
            raise CmrbiasError(f"{self.path / TABLE}: valid area: {error}") from None

    def pixel_sizes(self, cases: np.ndarray) -> np.ndarray:
        """Returns the side of the pixels of row numbers ``cases`` (n,) in mm: float64, NaN where unknown."""
        if "pixel_size" not in self.columns:
            known = self.meta.get("pixel_size")
            return np.full(len(cases), np.nan if known is None else float(known))
        column = self._column("pixel_size")
        sizes = [float(value) for value in column.vocabulary]
        found: np.ndarray = np.array([*sizes, np.nan])[column.codes[cases]]
        return found

    def complete(self) -> np.ndarray:
        """Returns (N, frames) bool: does that frame's mask hold all of ``structures``?"""
        found = np.zeros((len(self), len(self.frames)), dtype=bool)
        for position, frame in enumerate(self.frames):
            if self.has_masks and f"mask_{frame}" in self.columns:
                column = self._column(f"mask_{frame}")
                held = [set(self.structures) <= set(v.split("+")) for v in column.vocabulary]
                found[:, position] = np.array([*held, False])[column.codes]
        return found

    def _column(self, name: str) -> Column:
        self._load([name])
        return self._columns[name]

    def _load(self, names: Sequence[str]) -> None:
        missing = [name for name in names if name not in self._columns]
        if missing:
            self._columns.update(zip(missing, self._csv.factorise(missing), strict=True))

    def _numbers(self, name: str) -> np.ndarray:
        found = self._column(name)
        if (found.codes < 0).any():
            raise ValueError(f"column {name!r}: expected a whole number, got an empty cell")
        numbers: np.ndarray = np.array([int(v) for v in found.vocabulary], dtype=np.int64)[found.codes]
        return numbers

    def _gather(self, name: str, cases: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
        if ((cases < 0) | (cases >= len(self))).any():
            raise IndexError(f"expected row numbers from 0 to {len(self) - 1}, got {cases}")
        owners = np.searchsorted(self._starts, cases, side="right") - 1
        used = {int(owner): self.shards[owner] for owner in np.unique(owners)}
        sizes = sorted({(shard.height, shard.width) for shard in used.values()})
        if len(sizes) > 1:
            found = ", ".join(f"{height} x {width}" for height, width in sizes)
            raise CmrbiasError(f"{self.path}: these cases differ in size ({found}): import with one --size")
        height, width = sizes[0] if sizes else self.image_shape or (0, 0)
        result = np.zeros((len(cases), len(self.frames), height, width), dtype=dtype)
        for owner, shard in used.items():
            if name in shard.files:
                mine = owners == owner
                result[mine] = self._array(name, shard)[cases[mine] - shard.first]
        return result

    def _array(self, name: str, shard: Shard) -> np.ndarray:
        """Returns one shard's array, memory-mapped; the oldest map is closed when there are many."""
        file = shard.files[name]
        if file not in self._maps:
            if len(self._maps) >= _OPEN_SHARDS:
                del self._maps[next(iter(self._maps))]
            self._maps[file] = self._map(name, shard)
        return self._maps[file]

    def _map(self, name: str, shard: Shard) -> np.ndarray:
        path = self.path / shard.files[name]
        dtype = self.dtype if name == "images" else np.dtype(np.uint8)
        expected = (shard.cases, len(self.frames), shard.height, shard.width)
        try:
            found: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError:
            raise CmrbiasError(f"{path}: this shard is missing; make or copy the cohort again") from None
        except (ValueError, EOFError):  # whose texts are of pickles and mmap
            raise CmrbiasError(
                f"{path}: this shard is truncated or damaged: copy it again, or make the cohort again"
            ) from None
        if found.shape != expected or found.dtype != dtype:
            raise CmrbiasError(
                f"{path}: expected {dtype} {expected}, as {HEADER} says, got {found.dtype} {found.shape}"
            )
        return found


def cohort_digest(shards: Iterable[dict[str, Any]], table: Path) -> str:
    """Returns SHA-256 over the shards' digests, in the order of ``cohort.json``, and ``cases.csv``."""
    digest = hashlib.sha256()
    for shard in shards:
        for name in sorted(shard["files"]):
            digest.update(shard["files"][name]["sha256"].encode())
    with table.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _header(path: Path) -> dict[str, Any]:
    try:
        meta = json.loads((path / HEADER).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        there = "" if path.exists() else " (there is nothing at this path)"
        raise CmrbiasError(
            f"{path} is not a cohort: it holds no {HEADER}{there}; make one with "
            "'cmrbias cohort phantom' or 'cmrbias cohort import'"
        ) from None
    except ValueError as error:
        raise _broken(path, str(error)) from None
    version = str(meta.get("format", "")) if isinstance(meta, dict) else ""
    if version.split(".")[0] != VERSION.split(".")[0]:
        raise CmrbiasError(
            f"{path / HEADER}: expected cohort format {VERSION.split('.')[0]}, got {version or 'none'!r}; "
            "update cmrbias"
        )
    return meta  # type: ignore[no-any-return]


def _broken(path: Path, reason: str) -> CmrbiasError:
    return CmrbiasError(f"{path / HEADER}: cannot be read ({reason}); make the cohort again")


def _shards(listed: Sequence[dict[str, Any]]) -> list[Shard]:
    found: list[Shard] = []
    first = 0
    for entry in listed:
        files = {name: file["file"] for name, file in entry["files"].items()}
        found.append(Shard(first, int(entry["cases"]), int(entry["height"]), int(entry["width"]), files))
        first += found[-1].cases
    return found
