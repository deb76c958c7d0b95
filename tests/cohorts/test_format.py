"""A written cohort is read back as it was, and a damaged one is refused by name."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmrbias.cohorts.columns import Csv
from cmrbias.cohorts.format import Cohort, cohort_digest
from cmrbias.cohorts.writer import CohortWriter
from cmrbias.errors import CmrbiasError


def write(out: Path, cases: int = 5, sizes=((6, 7),), masks=True, **row) -> np.ndarray:
    """Writes ``cases`` cases with the sizes in turn; returns the images if they have one size."""
    rng = np.random.default_rng(0)
    images = []
    with CohortWriter(
        out,
        name="x",
        frames=("ED", "ES"),
        structures=("MYO", "LV"),
        targets={"label": {"kind": "class"}},
        preparation={},
        provenance={},
    ) as writer:
        for i in range(cases):
            shape = (2, *sizes[i % len(sizes)])
            images.append(rng.integers(0, 256, shape, dtype=np.uint8))
            labels = np.full(shape, 3, dtype=np.uint8)
            labels[0, :2] = 2  # ED: MYO and LV; ES: LV alone
            split = "test" if i == 1 else "train"
            cells = {"case": f"c{i}", "patient": f"p{i // 2}", "split": split, "label": "BA"[i % 2], **row}
            writer.add(cells, images[-1], labels if masks else None)
    return np.stack(images) if len(sizes) == 1 else np.zeros(0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cohort"


def test_what_was_written_is_read(path: Path) -> None:
    images = write(path)
    cohort = Cohort.open(path)
    assert len(cohort) == 5
    assert cohort.frames == ("ED", "ES")
    assert cohort.image_shape == (6, 7)
    assert cohort.maximum == 255
    assert cohort.targets == {"label": {"kind": "class", "classes": ["A", "B"]}}
    picked = np.array([4, 0, 0])
    np.testing.assert_array_equal(cohort.images(picked), images[picked])
    assert cohort.images(picked).dtype == np.uint8
    assert set(np.unique(cohort.masks(picked)[:, 0])) == {2, 3}
    assert cohort.images(np.array([], dtype=np.int64)).shape == (0, 2, 6, 7)


def test_columns_codes_and_splits(path: Path) -> None:
    write(path)
    cohort = Cohort.open(path)
    codes, classes = cohort.codes("label")
    assert classes == ["A", "B"]
    assert codes.dtype == np.int64
    assert codes.tolist() == [1, 0, 1, 0, 1]
    assert cohort.column("label").tolist() == ["B", "A", "B", "A", "B"]
    assert cohort.codes("study")[0].tolist() == [-1] * 5
    assert cohort.column("study").tolist() == [""] * 5
    assert cohort.cases("test").tolist() == [1]
    assert cohort.cases("train").tolist() == [0, 2, 3, 4]
    assert cohort.cases().tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(CmrbiasError, match=r"unknown column 'labl': did you mean 'label'"):
        cohort.codes("labl")
    with pytest.raises(CmrbiasError, match=r"unknown split 'val'.*test, train"):
        cohort.cases("val")


def test_completeness_follows_the_structures(path: Path) -> None:
    write(path)
    cohort = Cohort.open(path)
    assert cohort.complete().tolist() == [[True, False]] * 5
    assert cohort.area().tolist() == [[0, 0, 6, 7]] * 5


def test_without_masks(path: Path) -> None:
    write(path, masks=False)
    cohort = Cohort.open(path)
    assert not cohort.has_masks
    assert not cohort.complete().any()
    with pytest.raises(CmrbiasError, match="no masks"):
        cohort.masks(np.array([0]))


def test_sizes_may_differ_but_not_in_one_batch(path: Path) -> None:
    write(path, sizes=((6, 7), (4, 4)))
    cohort = Cohort.open(path)
    assert cohort.image_shape is None
    assert cohort.images(np.array([0, 2])).shape == (2, 2, 6, 7)
    assert cohort.images(np.array([1, 3])).shape == (2, 2, 4, 4)
    with pytest.raises(CmrbiasError, match="4 x 4, 6 x 7"):
        cohort.images(np.array([0, 1]))


def test_opening_reads_no_images(path: Path) -> None:
    write(path)
    for shard in path.glob("*.npy"):
        shard.unlink()
    cohort = Cohort.open(path)
    assert len(cohort) == 5
    with pytest.raises(CmrbiasError, match=r"images-00000\.npy: this shard is missing"):
        cohort.images(np.array([0]))


def test_damaged_shards_are_named(path: Path) -> None:
    write(path)
    shard = path / "images-00000.npy"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-20])
    with pytest.raises(CmrbiasError, match=r"images-00000\.npy: this shard is truncated"):
        Cohort.open(path).images(np.array([0]))
    np.save(shard, np.zeros((5, 2, 6, 8), dtype=np.uint8))
    with pytest.raises(CmrbiasError, match=r"expected uint8 \(5, 2, 6, 7\).*got uint8 \(5, 2, 6, 8\)"):
        Cohort.open(path).images(np.array([0]))
    np.save(shard, np.array([{"no": "pickles"}], dtype=object), allow_pickle=True)
    with pytest.raises(CmrbiasError, match="damaged"):
        Cohort.open(path).images(np.array([0]))


def test_what_is_no_cohort_is_refused(tmp_path: Path, path: Path) -> None:
    with pytest.raises(CmrbiasError, match=r"is not a cohort.*nothing at this path.*cmrbias cohort import"):
        Cohort.open(tmp_path / "absent")
    with pytest.raises(CmrbiasError, match="is not a cohort"):
        Cohort.open(tmp_path)
    write(path)
    with pytest.raises(CmrbiasError, match="is not a cohort"):
        Cohort.open(path / "cases.csv")
    header = path / "cohort.json"
    meta = json.loads(header.read_text())
    header.write_text(json.dumps({**meta, "format": "2.0"}))
    with pytest.raises(CmrbiasError, match=r"expected cohort format 1, got '2\.0'"):
        Cohort.open(path)
    header.write_text(json.dumps({**meta, "format": "1.7", "arrays": {}}))
    with pytest.raises(CmrbiasError, match=r"cohort\.json: cannot be read \(KeyError 'images'\)"):
        Cohort.open(path)
    header.write_text(header.read_text()[:40])
    with pytest.raises(CmrbiasError, match=r"cohort\.json: cannot be read"):
        Cohort.open(path)


def test_a_newer_minor_version_and_unknown_arrays_are_read(path: Path) -> None:
    images = write(path)
    header = path / "cohort.json"
    meta = json.loads(header.read_text())
    meta["format"] = "1.9"
    meta["arrays"]["bone"] = {"kind": "image-target", "dtype": "float32", "channels": 1}
    meta["shards"][0]["files"]["bone"] = {"file": "bone-00000.npy", "sha256": "0" * 64}
    header.write_text(json.dumps(meta))
    np.testing.assert_array_equal(Cohort.open(path).images(np.arange(5)), images)


def test_the_table_must_fit_the_shards(path: Path) -> None:
    write(path)
    table = path / "cases.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines[:-1]))
    with pytest.raises(CmrbiasError, match=r"cases\.csv: expected 5 rows.*got 4"):
        Cohort.open(path)
    table.write_text("".join([*lines[:3], "only,three,cells\n", *lines[4:]]))
    with pytest.raises(CmrbiasError, match=r"cases\.csv: row 4: expected 11 cells, got 3"):
        Cohort.open(path)
    table.write_text("".join(lines).replace("patient", "person", 1))
    with pytest.raises(CmrbiasError, match="column 'patient' is missing"):
        Cohort.open(path)
    table.unlink()
    with pytest.raises(CmrbiasError, match=r"cases\.csv.*no such file"):
        Cohort.open(path)


@pytest.mark.parametrize("size", [-5.25, 0, float("nan"), float("inf"), "1.5 mm", True, [1.5]])
def test_a_pixel_size_that_is_none_is_refused(path: Path, size: object) -> None:
    write(path)
    header = path / "cohort.json"
    header.write_text(json.dumps({**json.loads(header.read_text()), "pixel_size": size}))
    with pytest.raises(CmrbiasError, match=r"cohort\.json: pixel_size: expected a positive number") as caught:
        Cohort.open(path)
    assert f"got {json.dumps(size)};" in str(caught.value)


@pytest.mark.parametrize("size", ["-5.25", "0", "nan", "inf", "1.5 mm"])
def test_a_cases_pixel_size_that_is_none_is_refused_by_row(path: Path, size: str) -> None:
    write(path)
    table = path / "cases.csv"
    lines = zip(table.read_text().splitlines(), ["pixel_size", "1.5", "", size, "2", size], strict=True)
    table.write_text("".join(f"{line},{cell}\n" for line, cell in lines))
    with pytest.raises(CmrbiasError, match=rf"cases\.csv: row 4: pixel_size: .*got '{size}'"):
        Cohort.open(path)


def test_pixel_sizes_of_a_column_or_the_header(path: Path) -> None:
    write(path)
    header, table = path / "cohort.json", path / "cases.csv"
    header.write_text(json.dumps({**json.loads(header.read_text()), "pixel_size": 2}))
    np.testing.assert_array_equal(Cohort.open(path).pixel_sizes(np.array([4, 0])), [2, 2])
    lines = zip(table.read_text().splitlines(), ["pixel_size", "1.5", "", "2", "3", "4"], strict=True)
    table.write_text("".join(f"{line},{cell}\n" for line, cell in lines))
    np.testing.assert_array_equal(Cohort.open(path).pixel_sizes(np.array([4, 1, 0])), [4, np.nan, 1.5])


def test_a_table_saved_by_a_spreadsheet_is_read(path: Path) -> None:
    """With a byte-order mark, CRLF line ends and a blank line at the end."""
    write(path)
    table = path / "cases.csv"
    text = table.read_text().replace("\n", "\r\n")
    table.write_bytes(("\ufeff" + text + "\r\n").encode())
    cohort = Cohort.open(path)
    assert cohort.columns[0] == "case"
    assert cohort.column("valid_width").tolist() == ["7"] * 5


def test_the_digest_changes_with_any_row_or_pixel(path: Path, tmp_path: Path) -> None:
    write(path)
    write(tmp_path / "same")
    write(tmp_path / "other", label="C")
    digest = Cohort.open(path).digest
    assert Cohort.open(tmp_path / "same").digest == digest
    assert Cohort.open(tmp_path / "other").digest != digest
    shards = json.loads((path / "cohort.json").read_text())["shards"]
    assert cohort_digest(shards, path / "cases.csv") == digest
    shards[0]["files"]["masks"]["sha256"] = "0" * 64
    assert cohort_digest(shards, path / "cases.csv") != digest


def test_an_edited_table_has_another_digest_and_that_is_told(path: Path) -> None:
    write(path)
    before = Cohort.open(path)
    assert (before.edited, before.digest) == ("", before.recorded)
    table = path / "cases.csv"
    table.write_text(table.read_text() + "\n")
    after = Cohort.open(path)
    assert after.digest != after.recorded == before.digest
    assert f"{table}: was edited after the cohort was made" in after.edited
    assert "cmrbias cohort check" in after.edited


def sorted_anew(path: Path) -> list[str]:
    """Reverses a cohort's table; returns its lines as they were."""
    header, *lines = (path / "cases.csv").read_text().splitlines(keepends=True)
    (path / "cases.csv").write_text("".join([header, *lines[::-1]]))
    return [header, *lines]


def test_a_table_that_was_sorted_anew_is_refused(path: Path) -> None:
    write(path)
    before = "".join(sorted_anew(path))
    with pytest.raises(CmrbiasError, match=r"cases\.csv: its rows are in another order.*by position"):
        Cohort.open(path)
    (path / "cases.csv").write_text(before)
    assert not Cohort.open(path).edited


def test_a_table_in_its_order_may_be_edited_and_its_cases_renamed(path: Path) -> None:
    write(path)
    table = path / "cases.csv"
    table.write_text(table.read_text().replace(",B,", ",A,"))
    assert "rows belong to the images by position" in Cohort.open(path).edited
    table.write_text(table.read_text().replace("c0", "z0"))
    assert Cohort.open(path).column("case").tolist() == ["z0", "c1", "c2", "c3", "c4"]


def test_a_cohort_that_did_not_record_its_order_opens(path: Path) -> None:
    write(path)
    header = path / "cohort.json"
    meta = json.loads(header.read_text())
    del meta["case_order"]
    header.write_text(json.dumps(meta))
    sorted_anew(path)
    assert "rows belong to the images by position" in Cohort.open(path).edited


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)


@given(st.lists(CELLS, min_size=1, max_size=20), st.booleans())
def test_any_text_survives_as_a_column(tmp_path_factory: pytest.TempPathFactory, cells, quoted) -> None:
    """The fast path (no quotes in the file) and the csv module agree with what was written."""
    import csv

    path = tmp_path_factory.mktemp("csv") / "t.csv"
    plain = [c.translate(str.maketrans("", "", '",\r\n')) for c in cells]
    written = cells if quoted else plain
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL)
        writer.writerows([["a", "b"], *([c, "1"] for c in written)])
    column = Csv(path).factorise(["a"])[0]
    vocabulary = column.vocabulary
    assert [vocabulary[c] if c >= 0 else "" for c in column.codes] == written
    assert vocabulary == sorted(set(written) - {""})


def test_a_row_takes_few_bytes(tmp_path: Path) -> None:
    """At most 64 bytes a row resident with the split and one column of distinct values loaded."""
    rows = 20_000
    table = "case,patient,study,split\n" + "".join(f"{i:016x},{i // 2:016x},,train\n" for i in range(rows))
    (tmp_path / "cases.csv").write_text(table)
    shard = {"cases": rows, "height": 8, "width": 8, "files": {"images": {"file": "i.npy", "sha256": ""}}}
    meta = {"format": "1.0", "digest": "", "frames": ["F"], "structures": [], "targets": {}}
    meta |= {"arrays": {"images": {"dtype": "uint8"}}, "shards": [shard]}
    (tmp_path / "cohort.json").write_text(json.dumps(meta))
    Cohort.open(tmp_path).codes("case")  # what is imported and cached once does not count
    tracemalloc.start()
    try:
        cohort = Cohort.open(tmp_path)
        cohort._load(["case"])
        resident = tracemalloc.get_traced_memory()[0] / rows
    finally:
        tracemalloc.stop()
    assert len(cohort) == rows
    assert resident <= 64
