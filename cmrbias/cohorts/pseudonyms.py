"""Identifiers as salted hashes, dates as day offsets; salt and map in a file for its owner alone."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import os
import re
import secrets
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

from cmrbias.errors import CmrbiasError

_DATE = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?:[T ]?\d{2}[\d:.+Z-]*)?")


class Pseudonyms:
    """Gives each identifier its pseudonym: HMAC-SHA-256 with a secret salt, 16 hexadecimal digits.

    The same salt gives the same pseudonyms, so that two cohorts can be found to share patients.

    Attributes:
        salt: hexadecimal; without it nobody can compute the pseudonym of a guessed identifier.
        given: kind (``case``, ``patient``, ``study``) -> identifier -> pseudonym.
    """

    def __init__(self, salt: str | None = None) -> None:
        self.salt = salt or secrets.token_hex(32)
        self.given: dict[str, dict[str, str]] = {}
        self._owner: dict[tuple[str, str], str] = {}

    def of(self, kind: str, identifier: str) -> str:
        """Returns the pseudonym of an identifier; an empty one stays empty.

        Raises:
            CmrbiasError: two identifiers have the same one (about 1 in 10^6 for 5 million).
        """
        if not identifier:
            return ""
        book = self.given.setdefault(kind, {})
        if identifier not in book:
            message = f"{kind}\0{identifier}".encode()
            name = hmac.new(bytes.fromhex(self.salt), message, hashlib.sha256).hexdigest()[:16]
            if self._owner.setdefault((kind, name), identifier) != identifier:
                raise CmrbiasError(f"two {kind} identifiers have the same pseudonym: run the import again")
            book[identifier] = name
        return book[identifier]

    def secrets(self) -> dict[str, Any]:
        """Returns the salt and the map, for ``write_ids``."""
        return {"salt": self.salt, **self.given}


def pseudonymise(
    rows: Sequence[dict[str, Any]], targets: Container[str], salt: str | None
) -> tuple[Pseudonyms, dict[str, Any]]:
    """Replaces identifiers and dates in rows, in place; a target is never taken for a date.

    Returns:
        The pseudonyms given, and what was done to dates, for provenance.
    """
    columns = [name for name in date_columns(rows) if name not in targets]
    emptied = shift_dates(rows, columns)
    pseudonyms = Pseudonyms(salt)
    for row in rows:
        for kind in ("case", "patient", "study"):
            row[kind] = pseudonyms.of(kind, row[kind])
    dates = {"as": "days since the patient's first date", "columns": columns, "emptied": dict(emptied)}
    return pseudonyms, dates


def ids_file(out: Path) -> Path:
    """Returns where the salt and the map of the cohort ``out`` are kept: beside it, never inside."""
    return out.with_name(f"{out.name}.ids.json")


def write_ids(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a new file that only its owner can read.

    Raises:
        CmrbiasError: it exists already.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CmrbiasError(f"{path} exists already: it may hold the only map to an earlier cohort") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink()
        raise


def read_salt(path: Path) -> str:
    """Returns the salt of an earlier import's file, so that the same patient gets the same pseudonym.

    Raises:
        CmrbiasError: there is none in it.
    """
    try:
        salt = json.loads(path.read_text(encoding="utf-8"))["salt"]
        bytes.fromhex(salt)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CmrbiasError(
            f"{path}: expected the .ids.json file of an earlier import, with its salt: {error}"
        ) from None
    return str(salt)


def parse_date(text: str) -> datetime.date | None:
    """Returns the day of an ISO or DICOM date, with or without a time, or None."""
    found = _DATE.fullmatch(text.strip())
    try:
        return datetime.date(*map(int, found.groups())) if found else None
    except ValueError:
        return None


def date_columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the columns that hold dates: those with ``date`` in their name."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [name for name in names if "date" in name.lower()]


def shift_dates(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> Counter[str]:
    """Turns dates into days since the patient's first date, in place.

    What is no ISO or DICOM date is emptied, as it may tell the day in another way.

    Returns:
        How many cells of each column were emptied.
    """
    first: dict[str, datetime.date] = {}
    emptied: Counter[str] = Counter()
    for row in rows:
        for day in (parse_date(str(row.get(name, "") or "")) for name in columns):
            if day is not None:
                first[row["patient"]] = min(day, first.get(row["patient"], day))
    for row in rows:
        for name in columns:
            text = str(row.get(name, "") or "")
            found = parse_date(text)
            if text and found is None:
                emptied[name] += 1
            row[name] = "" if found is None else (found - first[row["patient"]]).days
    return emptied
