"""Writing files so that a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO


def write_atomically(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Calls ``write`` with an open temporary file beside ``path``, syncs it and renames it to ``path``.

    The temporary file is removed if anything raises, a full disk included.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
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
