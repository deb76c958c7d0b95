"""JSON files that people and programs read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cmrbias.files import write_json, write_lists_json

VALUE = {"name": 'ä "b"', "none": [], "rows": [{"a": [1, 2.5]}, {"a": None}], "of": {"x": [1, 2]}}


@pytest.mark.parametrize("write", [write_json, write_lists_json])
def test_what_is_written_is_read(tmp_path: Path, write: object) -> None:
    assert callable(write)
    write(tmp_path / "x.json", VALUE)
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == VALUE
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_lists_have_a_line_an_item(tmp_path: Path) -> None:
    write_lists_json(tmp_path / "x.json", VALUE)
    assert (tmp_path / "x.json").read_text(encoding="utf-8").splitlines()[3:7] == [
        '  "rows": [', '    {"a": [1, 2.5]},', '    {"a": null}', "  ],",
    ]  # fmt: skip
