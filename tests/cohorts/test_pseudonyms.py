"""Identifiers do not leave, dates become offsets, and the map is its owner's alone."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import stat
from pathlib import Path

import pytest

from cmrbias.cohorts.pseudonyms import (
    Pseudonyms,
    parse_date,
    pseudonymise,
    read_salt,
    write_ids,
)
from cmrbias.errors import CmrbiasError

SALT = "00ff" * 16


def test_a_pseudonym_is_an_hmac_of_kind_and_identifier() -> None:
    expected = hmac.new(bytes.fromhex(SALT), b"patient\0Meier", hashlib.sha256).hexdigest()[:16]
    assert Pseudonyms(SALT).of("patient", "Meier") == expected
    assert Pseudonyms(SALT).of("case", "Meier") != expected
    assert Pseudonyms("11" * 32).of("patient", "Meier") != expected
    assert Pseudonyms(SALT).of("study", "") == ""


def test_salts_are_drawn() -> None:
    assert Pseudonyms().salt != Pseudonyms().salt
    assert len(bytes.fromhex(Pseudonyms().salt)) == 32


def test_a_collision_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Same:
        def hexdigest(self) -> str:
            return "a" * 64

    monkeypatch.setattr(hmac, "new", lambda *args: Same())
    names = Pseudonyms(SALT)
    names.of("case", "one")
    names.of("patient", "two")  # another kind may have it
    with pytest.raises(CmrbiasError, match="two case identifiers have the same pseudonym"):
        names.of("case", "two")


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2020-02-29", (2020, 2, 29)),
        ("20200229", (2020, 2, 29)),
        ("2020-02-29T13:05:00Z", (2020, 2, 29)),
        ("2020-02-29 13:05", (2020, 2, 29)),
        ("20200229130501.123", (2020, 2, 29)),
        ("2021-02-29", None),
        ("29.02.2020", None),
        ("2020", None),
        ("", None),
        ("7", None),
    ],
)
def test_dates(text, day) -> None:
    assert parse_date(text) == (None if day is None else datetime.date(*day))


def test_dates_become_days_since_the_patients_first() -> None:
    common = {"study": "", "label": "A"}
    rows = [
        {"case": "1", "patient": "x", "study_date": "20200110", "BirthDate": "1950-01-01", **common},
        {"case": "2", "patient": "x", "study_date": "2020-02-01", "BirthDate": "1.1.1950", **common},
        {"case": "3", "patient": "y", "study_date": "2021-01-01T10:00:00", "BirthDate": "", **common},
        {"case": "4", "patient": "y", "study_date": None, **common},
    ]
    _, record = pseudonymise(rows, {}, SALT)
    start = datetime.date(1950, 1, 1)
    offsets = [(datetime.date(2020, 1, 10) - start).days, (datetime.date(2020, 2, 1) - start).days, 0, ""]
    assert [row["study_date"] for row in rows] == offsets
    assert [row["BirthDate"] for row in rows] == [0, "", "", ""]
    assert record["columns"] == ["study_date", "BirthDate"]
    assert record["emptied"] == {"BirthDate": 1}


def test_a_target_is_no_date() -> None:
    rows = [{"case": "1", "patient": "x", "study": "", "update": "7"}]
    pseudonymise(rows, {"update": {}}, SALT)
    assert rows[0]["update"] == "7"


def test_the_map_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "c.ids.json"
    names = Pseudonyms(SALT)
    names.of("patient", "Meier")
    write_ids(path, names.secrets())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = json.loads(path.read_text())
    assert content == {"salt": SALT, "patient": {"Meier": names.of("patient", "Meier")}}
    assert read_salt(path) == SALT
    with pytest.raises(CmrbiasError, match="the only map"):
        write_ids(path, {})
    assert json.loads(path.read_text()) == content


@pytest.mark.parametrize("text", ["", "{}", '{"salt": "xyz"}', "[]", '{"salt": 3}'])
def test_what_holds_no_salt_is_refused(tmp_path: Path, text) -> None:
    path = tmp_path / "c.ids.json"
    path.write_text(text)
    with pytest.raises(CmrbiasError, match=r"expected the \.ids\.json file"):
        read_salt(path)
    with pytest.raises(CmrbiasError, match=r"expected the \.ids\.json file"):
        read_salt(tmp_path / "absent.json")
