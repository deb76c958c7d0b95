"""What a cohort was made of and with: digests of the source, versions."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Iterable
from pathlib import Path


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that can change an import's result."""
    found = {"python": platform.python_version()}
    for package in ("cmrbias", "numpy", "torch", "nibabel", "pydicom", "pillow"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


class SourceDigest:
    """Counts and hashes source files, each once.

    The digest is SHA-256 over the sorted digests of the files' bytes, so that it depends neither on
    the files' names, which may name patients, nor on their order.
    """

    def __init__(self) -> None:
        self._files: dict[Path, str] = {}

    def add(self, paths: Iterable[Path]) -> None:
        """Hashes files that were not seen before."""
        for path in paths:
            if path not in self._files:
                with path.open("rb") as file:
                    self._files[path] = hashlib.file_digest(file, "sha256").hexdigest()

    def summary(self) -> dict[str, int | str]:
        """Returns the number of files and the digest of all."""
        joined = "".join(sorted(self._files.values())).encode()
        return {"files": len(self._files), "sha256": hashlib.sha256(joined).hexdigest()}
