"""JSON files that people and programs read."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from pathlib import Path

import pytest

from cmrbias.errors import CmrbiasError
from cmrbias.files import make_folder, refuse_unwritable, write_json, write_lists_json

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


def test_a_place_that_takes_no_files_is_one_line_with_the_name_that_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CmrbiasError, match=r"file/ev: not writable: .*file is a file, no folder"):
        make_folder(tmp_path / "file" / "ev")
    with pytest.raises(CmrbiasError, match=r"file: not writable: .*file is a file, no folder"):
        refuse_unwritable(tmp_path / "file")
    with pytest.raises(CmrbiasError, match=r"no/x\.json: there is no folder .*no: make it"):
        write_json(tmp_path / "no" / "x.json", VALUE)

    def refuse(number: int) -> object:
        def raising(*arguments: object, **options: object) -> None:
            raise OSError(number, os.strerror(number), ".hidden.partial")

        return raising

    for number in (errno.EROFS, errno.ENOENT, errno.EACCES):  # as of a read-only disk, and of /proc
        monkeypatch.setattr(tempfile, "mkstemp", refuse(number))
        with pytest.raises(CmrbiasError) as found:
            write_json(tmp_path / "x.json", VALUE)
        assert str(found.value).startswith(f"{tmp_path / 'x.json'}: not writable: nothing can be made in")
        monkeypatch.setattr(tempfile, "TemporaryFile", refuse(number))
        with pytest.raises(CmrbiasError, match=r"new: not writable: nothing can be made in "):
            refuse_unwritable(tmp_path / "new")
        monkeypatch.setattr(os, "mkdir", refuse(number))
        with pytest.raises(CmrbiasError, match=r"new: not writable: nothing can be made in "):
            make_folder(tmp_path / "new")
    monkeypatch.setattr(tempfile, "mkstemp", refuse(errno.ENOSPC))
    with pytest.raises(OSError, match=r"No space left on device: '.*x\.json'"):
        write_json(tmp_path / "x.json", VALUE)
