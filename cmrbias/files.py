"""Writing files so that a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import csv
import dataclasses
import errno
import json
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from cmrbias.errors import CmrbiasError

_PLACE = (errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EACCES, errno.EPERM, errno.EROFS)


def make_folder(path: Path) -> None:
    """Makes a folder, and those above it, unless it is there.

    Raises:
        CmrbiasError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from None


def refuse_unwritable(folder: Path) -> None:
    """Raises a CmrbiasError if a folder can neither be written into nor made, before anything is computed."""
    try:
        with tempfile.TemporaryFile(dir=_nearest(folder)):
            pass
    except OSError as error:
        raise unwritable(folder, error) from None


def unwritable(path: Path, error: OSError) -> Exception:
    """Returns what to raise where the system refuses to make a file or folder.

    It is one line that names ``path``, which is what the user gave, not a hidden one beside it; the error
    itself if the place is not to blame, as on a full disk.
    """
    if error.errno not in _PLACE:
        error.filename = str(path)
        return error
    nearest = _nearest(path)
    if not nearest.is_dir():
        return CmrbiasError(f"{path}: not writable: {nearest} is a file, no folder: choose another place")
    return CmrbiasError(f"{path}: not writable: nothing can be made in {nearest}: choose another place")


def _nearest(path: Path) -> Path:
    """Returns ``path``, or what is nearest above it that exists."""
    return next(each for each in (path, *path.absolute().parents) if os.path.lexists(each))


def write_atomically(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Calls ``write`` with an open temporary file beside ``path``, syncs it and renames it to ``path``.

    The temporary file is removed if anything raises, a full disk included.

    Raises:
        CmrbiasError: nothing can be made where ``path`` is.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        if not path.parent.exists():
            raise CmrbiasError(
                f"{path}: there is no folder {path.parent}: make it, or choose another"
            ) from None
        raise unwritable(path, error) from None
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # "no space left on device" alone does not say where
        raise


def read_columns(path: Path) -> dict[str, list[str]]:
    """Returns the columns of a CSV file by their names, as they were written by the package itself."""
    with path.open(encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)  # a third of csv.DictReader's time
    columns = map(list, zip(*rows, strict=True)) if rows else ([] for _ in names)
    return dict(zip(names, columns, strict=True))


def write_json(path: Path, value: Any) -> None:
    """Writes ``value`` as indented JSON, atomically."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def write_lists_json(path: Path, value: dict[str, Any]) -> None:
    """Writes ``value`` as JSON, atomically: a line a key, and of a list a line an item.

    For long files: Python indents more deeply ten times slower than it writes lines.
    """

    def shown(item: Any) -> str:
        if not isinstance(item, list) or not item:
            return json.dumps(item, ensure_ascii=False)
        lines = (json.dumps(each, ensure_ascii=False) for each in item)
        return "[\n    " + ",\n    ".join(lines) + "\n  ]"

    text = ",\n".join(f"  {json.dumps(key)}: {shown(item)}" for key, item in value.items())
    write_atomically(path, lambda file: file.write(f"{{\n{text}\n}}\n".encode()))


def plain(value: Any) -> Any:
    """Returns a value as JSON has it: None for NaN, lists for tuples, dictionaries for dataclasses."""
    if dataclasses.is_dataclass(value):  # asdict would copy each number deeply, which takes longer than JSON
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def cache_directory() -> Path:
    """Returns where what can be made again is kept: ``CMRBIAS_CACHE``, else the user's cache folder."""
    if chosen := os.environ.get("CMRBIAS_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cmrbias"
