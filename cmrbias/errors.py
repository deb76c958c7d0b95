"""The one exception that users see, and the "did you mean" that goes with it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping


class CmrbiasError(Exception):
    """Something the user can put right, told in one line without a traceback.

    The line names the file, row or option, what was expected, what was found and what to do.
    Anything else that is raised is a bug of ours or of a plugin and keeps its traceback.
    """


class MissingExtra(CmrbiasError):
    """A package of an optional extra is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package '{package}', which is not installed: pip install 'cmrbias[{extra}]'"
        )


def unknown(
    kind: str, name: str, valid: Iterable[str], details: Mapping[str, str] | None = None
) -> CmrbiasError:
    """Returns the error for a name that does not exist: nearest valid names first, then all of them.

    ``details`` adds a few words to each name in the full list. What has no options says so.
    """
    names = sorted(valid)
    if kind == "option" and not names:
        return CmrbiasError(f"takes no options, got {name!r}")
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f": did you mean {' or '.join(map(repr, near))}?" if near else ""
    known = ", ".join(f"{n} ({details[n]})" if details else n for n in names) or "none is installed"
    return CmrbiasError(f"unknown {kind} {name!r}{hint} (known: {known})")
