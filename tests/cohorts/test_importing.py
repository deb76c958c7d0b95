"""From a reader's cases to a cohort: all or nothing, without names, and with a record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cmrbias.cohorts.case import Case, Reader, SourceError
from cmrbias.cohorts.format import Cohort
from cmrbias.cohorts.importing import import_cohort
from cmrbias.cohorts.prepare import PrepareOptions
from cmrbias.errors import CmrbiasError
from cmrbias.options import option

SMALL = PrepareOptions(size=16)
SALT = "ab" * 32


@dataclass(frozen=True)
class ListedOptions:
    contours: Path | None = option(None, "folder of contours")


class Listed(Reader):
    """Yields cases that a test made."""

    Options = ListedOptions
    structures = ("MYO", "LV")

    def __init__(self, items, options=None) -> None:
        super().__init__(options or ListedOptions())
        self.items = items

    def read(self, source: Path) -> Iterator[Case | SourceError]:
        self.frames = ("ED", "ES")  # known only now, as a reader may do
        self.targets = {"label": {"kind": "class"}, "death": {"kind": "binary", "uncertain": -1}}
        yield from self.items


def case_of(number: int, **changes) -> Case:
    rng = np.random.default_rng(number)
    settings = {
        "case": f"case-{number:03d}",
        "patient": f"Mustermann-{number // 2:03d}",
        "study": f"study-{number // 2:03d}",
        "frames": {frame: rng.integers(1, 99, (3, 20, 18)) for frame in ("ED", "ES")},
        "masks": {f: rng.integers(2, 4, (3, 20, 18)) for f in ("ED", "ES")},
        "spacing": (1.5, 1.5),
        "columns": {"label": "AB"[number // 2 % 2], "death": "1.0", "age": 60 + number},
        "transform": "as stored",
    }
    return Case(**(settings | changes))


def run(tmp_path: Path, items, **changes):
    source = tmp_path / "source"
    source.mkdir(exist_ok=True)
    settings = {"keep_ids": True, "reader_name": "listed", "options": None} | changes
    reader = Listed(items, settings.pop("options"))
    return import_cohort(reader, source, tmp_path / "out", settings.pop("prepare", SMALL), **settings)


def left(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in tmp_path.iterdir())


def test_cases_become_a_cohort(tmp_path: Path) -> None:
    report = run(tmp_path, [case_of(i) for i in range(20)])
    cohort = Cohort.open(tmp_path / "out")
    assert len(cohort) == report.cases == 20
    assert report.patients == 10
    assert report.splits == {"test": 6, "train": 14}
    assert report.targets == {"label": {"A": 10, "B": 10}, "death": {"1": 20}}
    assert report.masks == 20
    assert cohort.frames == ("ED", "ES")
    assert cohort.structures == ("MYO", "LV")
    assert cohort.complete().all()
    assert cohort.targets["label"]["classes"] == ["A", "B"]
    assert cohort.column("death").tolist() == ["1"] * 20
    assert cohort.column("age").tolist() == [str(60 + i) for i in range(20)]
    assert cohort.column("patient")[3] == "Mustermann-001"
    assert cohort.meta["pixel_size"] == 1.5
    assert cohort.meta["name"] == "out"
    assert left(tmp_path) == ["out", "source"]


def test_pseudonyms_by_default(tmp_path: Path) -> None:
    note = "ED of case-000 chosen by area"
    cases = [case_of(i, notes=[note] if i == 0 else []) for i in range(4)]
    cases[0].columns["scan_date"], cases[1].columns["scan_date"] = "2020-01-01", "2020-01-31"
    report = run(tmp_path, cases, keep_ids=False, salt=SALT)
    everything = "".join(p.read_text(errors="replace") for p in (tmp_path / "out").iterdir())
    for identifier in ("Mustermann", "case-0", "study-0", "2020-01"):
        assert identifier not in everything
    cohort = Cohort.open(tmp_path / "out")
    assert len(set(cohort.column("patient"))) == 2
    assert cohort.column("scan_date").tolist() == ["0", "30", "", ""]
    assert cohort.meta["provenance"]["notes"] == {"ED of <case> chosen by area": 1}
    assert report.ids == tmp_path / "out.ids.json"
    ids = json.loads(report.ids.read_text())
    assert ids["patient"]["Mustermann-001"] == cohort.column("patient")[2]
    assert ids["salt"] == SALT


def test_columns_that_look_like_identifiers_are_left_out(tmp_path: Path) -> None:
    cases = [case_of(0), case_of(2)]
    cases[0].columns |= {"MRN": "mrn-77", "study_date": "2020-01-01", "PatientBirthDate": "1950-01-01"}
    report = run(tmp_path, cases, keep_ids=False)
    cohort = Cohort.open(tmp_path / "out")
    assert report.identifying == ["MRN", "PatientBirthDate"]
    assert cohort.meta["provenance"]["columns_left_out"] == ["MRN", "PatientBirthDate"]
    assert not {"MRN", "PatientBirthDate"} & set(cohort.columns)
    assert cohort.column("study_date").tolist() == ["0", ""]  # not days since birth
    assert (
        "mrn-77" not in (tmp_path / "out.ids.json").read_text() + (tmp_path / "out" / "cases.csv").read_text()
    )


def test_columns_that_look_like_identifiers_can_be_kept(tmp_path: Path) -> None:
    report = run(tmp_path, [case_of(0, columns={"label": "A", "MRN": "77"})])
    assert report.identifying == []
    assert Cohort.open(tmp_path / "out").column("MRN").tolist() == ["77"]


def test_the_split_does_not_depend_on_the_salt(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name in "ab":
        run(tmp_path / name, [case_of(i) for i in range(40)], keep_ids=name == "a")
    splits = [Cohort.open(tmp_path / name / "out").column("split").tolist() for name in "ab"]
    assert splits[0] == splits[1]


BAD = [
    SourceError("case-900/image.nii: truncated"),
    case_of(901, frames={"ED": np.ones((1, 8, 8)), "ES": np.ones((1, 8, 8))}),
    case_of(902, columns={"label": "A", "death": "maybe"}),
    case_of(903, split="validation"),
    case_of(904, patient=""),
    case_of(0),
]
MESSAGES = [
    "case-900/image.nii: truncated",
    "case 'case-901': frame ED: the image is constant",
    "case 'case-902': target 'death': expected one of 0, 1, -1, got 'maybe'",
    "case 'case-903': expected the split train or test, got 'validation'",
    "case 'case-904': expected a case and a patient identifier",
    "case 'case-000': another case has the same identifier",
]


def test_all_bad_cases_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(CmrbiasError) as caught:
        run(tmp_path, [case_of(0), *BAD, case_of(1)], keep_ids=False)
    assert "6 of 8 cases cannot be used, nothing was written" in str(caught.value)
    for message in MESSAGES:
        assert f"\n  {message}" in str(caught.value)
    assert left(tmp_path) == ["source"]


def test_of_many_bad_cases_the_first_are_listed(tmp_path: Path) -> None:
    with pytest.raises(CmrbiasError) as caught:
        run(tmp_path, [SourceError(f"row {i}: no such file") for i in range(160)])
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("160 of 160 cases cannot be used")
    assert lines[20:] == ["  row 19: no such file", "  ... and 140 more"]


@pytest.mark.parametrize("keep_ids", [True, False])
def test_bad_cases_can_be_left_out(tmp_path: Path, keep_ids) -> None:
    report = run(tmp_path, [case_of(0), *BAD, case_of(1)], skip_bad=True, keep_ids=keep_ids)
    assert report.cases == 2
    assert [line.startswith(m) for line, m in zip(report.left_out, MESSAGES, strict=True)] == [True] * 6
    record = Cohort.open(tmp_path / "out").meta["provenance"]["left_out"]
    assert record["cases"] == 6
    if keep_ids:
        assert record["why"] == report.left_out
    else:
        assert record["why"]["the reader could not read it"] == 1
        assert "case-9" not in json.dumps(record)
        assert json.loads((tmp_path / "out.ids.json").read_text())["left_out"] == report.left_out


def test_only_bad_cases_make_no_cohort(tmp_path: Path) -> None:
    with pytest.raises(CmrbiasError, match="1 of 1 cases cannot be used"):
        run(tmp_path, BAD[:1], skip_bad=True)
    with pytest.raises(CmrbiasError, match="holds no cases"):
        run(tmp_path, [])
    assert left(tmp_path) == ["source"]


def test_a_patient_in_two_splits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CmrbiasError, match="patient 'Mustermann-000' is in test and train"):
        run(tmp_path, [case_of(0, split="test"), case_of(1, split="train")])
    assert left(tmp_path) == ["source"]


def test_an_error_of_the_reader_leaves_nothing(tmp_path: Path) -> None:
    def items():
        yield case_of(0)
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        run(tmp_path, items())
    assert left(tmp_path) == ["source"]


def test_an_existing_map_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out.ids.json").write_text("precious")
    with pytest.raises(CmrbiasError, match="only map"):
        run(tmp_path, [case_of(0)], keep_ids=False)
    assert (tmp_path / "out.ids.json").read_text() == "precious"
    assert left(tmp_path) == ["out.ids.json", "source"]


def test_the_map_goes_when_the_cohort_cannot_be_finished(tmp_path: Path, monkeypatch) -> None:
    def broken(self) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("cmrbias.cohorts.writer.CohortWriter._finish", broken)
    with pytest.raises(OSError, match="disk full"):
        run(tmp_path, [case_of(0)], keep_ids=False)
    assert left(tmp_path) == ["source"]


def test_wrong_places(tmp_path: Path) -> None:
    with pytest.raises(CmrbiasError, match="no such file or folder"):
        import_cohort(Listed([]), tmp_path / "absent", tmp_path / "out", SMALL)
    (tmp_path / "out").mkdir()
    with pytest.raises(CmrbiasError, match="exists already"):
        run(tmp_path, [case_of(0)])


def test_reserved_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CmrbiasError, match="'valid_top' of the source: the cohort keeps this name"):
        run(tmp_path, [case_of(0, columns={"valid_top": 3})])


def test_restricted_structures(tmp_path: Path) -> None:
    run(tmp_path, [case_of(0)], prepare=PrepareOptions(size=16, mask_structures=("LV",)))
    cohort = Cohort.open(tmp_path / "out")
    assert cohort.structures == ("LV",)
    assert cohort.column("mask_ED").tolist() == ["LV"]
    assert set(np.unique(cohort.masks(np.array([0])))) == {0, 3}


def test_a_structure_that_the_source_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CmrbiasError, match="masks of this source hold MYO, LV, got RV"):
        run(tmp_path, [case_of(0)], prepare=PrepareOptions(size=16, mask_structures=("RV",)))
    assert left(tmp_path) == ["source"]


def test_pixel_sizes_that_differ_become_a_column(tmp_path: Path) -> None:
    run(tmp_path, [case_of(0), case_of(2, spacing=None)])
    cohort = Cohort.open(tmp_path / "out")
    assert cohort.meta["pixel_size"] is None
    assert cohort.column("pixel_size").tolist() == ["1.5", ""]


def test_provenance(tmp_path: Path) -> None:
    file = tmp_path / "image.bin"
    file.write_bytes(b"pixels")
    cases = [case_of(i, sources=[file], notes=["phase by rank"]) for i in range(3)]
    options = ListedOptions(contours=tmp_path / "contours")
    run(tmp_path, cases, options=options, seed=5, split="50/50")
    meta = Cohort.open(tmp_path / "out").meta
    record = meta["provenance"]
    inner = hashlib.sha256(b"pixels").hexdigest()
    digest = hashlib.sha256(inner.encode()).hexdigest()
    assert record["source"] == {"name": "source", "files": 1, "sha256": digest}
    assert record["reader"] == "listed"
    assert record["options"] == {"contours": "contours"}
    assert record["notes"] == {"phase by rank": 3}
    assert record["transforms"] == {"as stored": 3}
    assert record["split"]["seed"] == 5
    assert record["identifiers"] == "kept"
    assert {"python", "cmrbias", "numpy", "torch"} <= set(record["versions"])
    assert meta["preparation"]["size"] == 16
    assert str(tmp_path) not in json.dumps(meta)


def test_the_same_import_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        run(tmp_path / name, [case_of(i) for i in range(5)], keep_ids=False, salt=SALT)
    for file in (tmp_path / "a" / "out").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / "out" / file.name).read_bytes()


def test_progress_counts_cases(tmp_path: Path) -> None:
    seen: list[int] = []
    run(tmp_path, [case_of(0), BAD[0], case_of(1)], skip_bad=True, progress=seen.append)
    assert seen == [1, 2, 3]
