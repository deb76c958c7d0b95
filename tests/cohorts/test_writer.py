"""A cohort appears whole or not at all."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from cmrbias.cohorts.format import Cohort
from cmrbias.cohorts.writer import SHARD_CASES, CohortWriter, structures_in
from cmrbias.errors import CmrbiasError


def writer_of(out: Path, **changes) -> CohortWriter:
    settings = {
        "name": "x",
        "frames": ("ED",),
        "structures": ("LV",),
        "targets": {},
        "preparation": {"size": 4},
        "provenance": {},
    }
    return CohortWriter(out, **(settings | changes))


def row(i: int = 0) -> dict[str, str]:
    return {"case": f"c{i}", "patient": f"p{i}", "split": "train"}


IMAGE = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)


def test_a_new_shard_when_full_or_when_size_or_masks_change(tmp_path: Path) -> None:
    with writer_of(tmp_path / "c") as writer:
        for i in range(SHARD_CASES + 2):
            writer.add(row(i), IMAGE, None)
        writer.add(row(1000), IMAGE, np.full_like(IMAGE, 3))
        writer.add(row(1001), IMAGE[:, :3], np.full_like(IMAGE[:, :3], 3))
    cohort = Cohort.open(tmp_path / "c")
    assert [s.cases for s in cohort.shards] == [SHARD_CASES, 2, 1, 1]
    assert [sorted(s.files) for s in cohort.shards] == [["images"]] * 2 + [["images", "masks"]] * 2
    assert cohort.has_masks
    assert cohort.masks(np.array([0, SHARD_CASES + 2])).max(axis=(1, 2, 3)).tolist() == [0, 3]


def test_anyone_can_open_the_files(tmp_path: Path) -> None:
    out = tmp_path / "c"
    with writer_of(out, frames=("ED", "ES"), pixel_size=1.5) as writer:
        masks = np.zeros((2, 4, 4), dtype=np.uint8)
        masks[0, 0] = 3, 2, 1, 0
        extra = {"mask_ES": "RV", "note": "a, b", "age": None}
        writer.add({**row(), **extra}, np.repeat(IMAGE, 2, axis=0), masks, area=(0, 1, 2, 3))
        writer.provenance["said"] = "at the end"
    images = np.load(out / "images-00000.npy", allow_pickle=False)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images[0, 1], IMAGE[0])
    with (out / "cases.csv").open(newline="") as file:
        (written,) = csv.DictReader(file)
    area = {"valid_top": "0", "valid_left": "1", "valid_height": "2", "valid_width": "3"}
    held = {"mask_ED": "RV+MYO+LV", "mask_ES": "RV"}
    assert written == {**row(), "study": "", **held, **area, "note": "a, b", "age": ""}
    meta = json.loads((out / "cohort.json").read_text())
    file = meta["shards"][0]["files"]["images"]
    assert file["sha256"] == hashlib.sha256((out / file["file"]).read_bytes()).hexdigest()
    assert meta["provenance"] == {"said": "at the end"}
    assert meta["pixel_size"] == 1.5
    assert meta["intensity"] == [0, 255]


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="in the middle"), writer_of(tmp_path / "c") as writer:  # noqa: PT012
        writer.add(row(), IMAGE, None)
        raise RuntimeError("in the middle")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"), writer_of(tmp_path / "c") as writer:
        writer.add(row(), IMAGE, None)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_path_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    with pytest.raises(CmrbiasError, match="exists already"):
        writer_of(tmp_path / "c")


def test_folders_above_are_made(tmp_path: Path) -> None:
    with writer_of(tmp_path / "new" / "er" / "c") as writer:
        writer.add(row(), IMAGE, None)
    assert [found.name for found in (tmp_path / "new" / "er").iterdir()] == ["c"]
    (tmp_path / "file").touch()
    with pytest.raises(CmrbiasError, match=r"expected a folder to write into, .*/file is none"):
        writer_of(tmp_path / "file" / "c")


def test_one_that_appears_while_writing_is_not_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "c"
    with pytest.raises(CmrbiasError, match="exists already"), writer_of(out) as writer:  # noqa: PT012
        writer.add(row(), IMAGE, None)
        out.mkdir()
    assert list(tmp_path.rglob("*")) == [out]


def test_no_case_is_no_cohort(tmp_path: Path) -> None:
    with pytest.raises(CmrbiasError, match="at least one case"), writer_of(tmp_path / "c"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("images", "masks", "message"),
    [
        (IMAGE.astype(np.float32), None, r"expected uint8 \(1, H, W\), got float32"),
        (IMAGE[0], None, r"got uint8 \(4, 4\)"),
        (np.repeat(IMAGE, 2, axis=0), None, r"got uint8 \(2, 4, 4\)"),
        (IMAGE, IMAGE[:, :3], r"masks: expected uint8 \(1, 4, 4\), got uint8 \(1, 3, 4\)"),
        (IMAGE, IMAGE.astype(np.int64), "got int64"),
        (IMAGE, IMAGE, "expected labels .*, got 15"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path: Path, images, masks, message) -> None:
    with pytest.raises(ValueError, match=message), writer_of(tmp_path / "c") as writer:
        writer.add(row(), images, masks)


def test_sixteen_bits(tmp_path: Path) -> None:
    with writer_of(tmp_path / "c", dtype="uint16") as writer:
        writer.add(row(), IMAGE.astype(np.uint16) * 4000, None)
    cohort = Cohort.open(tmp_path / "c")
    assert cohort.maximum == 65535
    assert cohort.images(np.array([0])).max() == 60000


def test_structures_in_labels() -> None:
    assert structures_in(np.array([0, 3, 2])) == ("MYO", "LV")
    assert structures_in(np.zeros(3)) == ()
