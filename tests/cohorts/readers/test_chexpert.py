"""CheXpert: a folder laid out as the releases are, and tables with mistakes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cmrbias.cohorts.checking import check
from cmrbias.cohorts.format import Cohort
from cmrbias.cohorts.importing import import_cohort
from cmrbias.cohorts.prepare import PrepareOptions
from cmrbias.cohorts.readers.chexpert import CheXpertOptions, CheXpertReader
from cmrbias.errors import CmrbiasError
from cmrbias.training.frames import Frames
from cmrbias.training.pretrain import _label

HEADER = "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Edema,Pleural Effusion"
TRAIN = (
    ("patient00001/study1/view1_frontal.jpg", "Female,68,Frontal,AP,1.0,,"),
    ("patient00001/study10/view1_frontal.png", "Female,69,Frontal,PA,,0.0,1.0"),
    ("patient00001/study10/view2_lateral.jpg", "Female,69,Lateral,,,0.0,1.0"),
    ("patient00002/study1/view1_frontal.jpg", "Male,40,Frontal,AP,,-1.0,"),
)
VALID = (("patient64541/study1/view1_frontal.jpg", "Male,70,Frontal,AP,0.0,1.0,0.0"),)


def picture(path: Path, number: int) -> None:
    """Sizes differ; grey of 8 and 16 bit, and RGB."""
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(number)
    pixels = rng.integers(1, 255, (30 + 4 * number, 40))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        image.fromarray((pixels * 257).astype(np.uint16)).save(path)
    elif number % 2:
        image.fromarray(np.repeat(pixels[..., None], 3, 2).astype(np.uint8)).save(path)
    else:
        image.fromarray(pixels.astype(np.uint8)).save(path)


def release(
    folder: Path, name: str = "CheXpert-v1.0-small", train: str | None = None, images: bool = True
) -> Path:
    source = folder / name
    source.mkdir(parents=True)
    for table, rows in (("train", TRAIN), ("valid", VALID)):
        lines = [f"{name}/{table}/{path},{cells}" for path, cells in rows]
        (source / f"{table}.csv").write_text("\n".join([HEADER, *lines]) + "\n")
        for number, (path, _) in enumerate(rows):
            if images:
                picture(source / table / path, number)
    if train is not None:
        (source / "train.csv").write_text(train)
    return source


def imported(source: Path, out: Path, **options: object) -> Cohort:
    reader = CheXpertReader(CheXpertOptions(**options))
    import_cohort(reader, source, out, PrepareOptions(size=32), keep_ids=True)
    return Cohort.open(out)


def test_tables_and_folders_become_a_cohort(tmp_path: Path) -> None:
    cohort = imported(release(tmp_path), tmp_path / "out")
    assert cohort.column("case").tolist()[1:3] == [
        "patient00001/study10/view1_frontal",
        "patient00001/study10/view2_lateral",
    ]
    assert cohort.column("patient").tolist() == ["patient00001"] * 3 + ["patient00002", "patient64541"]
    assert cohort.column("study").tolist() == ["study1", "study10", "study10", "study1", "study1"]
    assert cohort.column("split").tolist() == ["train"] * 4 + ["test"]
    assert cohort.column("laterality").tolist() == ["frontal", "frontal", "lateral", "frontal", "frontal"]
    assert cohort.column("projection").tolist() == ["AP", "PA", "", "AP", "AP"]
    assert cohort.column("Edema").tolist() == ["", "0", "0", "-1", "1"]  # uncertain and missing stay apart
    assert cohort.targets["Pleural Effusion"] == {"kind": "binary", "uncertain": -1, "missing": 0}
    assert cohort.image_shape == (32, 32)
    assert (cohort.images(np.arange(5)).reshape(5, -1).max(1) == 255).all()


def test_the_full_releases_batches_are_found(tmp_path: Path) -> None:
    source = release(tmp_path, "CheXpert-v1.0", images=False)
    for number, (path, _) in enumerate(TRAIN):
        picture(source / f"CheXpert-v1.0 batch {2 + number // 3} (train {1 + number // 3})" / path, number)
    first = source / "CheXpert-v1.0 batch 1 (validate & csv)"
    picture(first / "valid" / VALID[0][0], 0)
    for table in ("train.csv", "valid.csv"):
        (source / table).rename(first / table)
    assert len(imported(source, tmp_path / "out")) == 5


def test_findings_and_views_can_be_chosen(tmp_path: Path) -> None:
    cohort = imported(release(tmp_path), tmp_path / "out", findings=("Edema",), views="frontal")
    assert list(cohort.targets) == ["Edema"]
    assert set(cohort.column("laterality").tolist()) == {"frontal"}
    with pytest.raises(CmrbiasError, match="--findings: unknown finding 'Edem'"):
        imported(tmp_path / "CheXpert-v1.0-small", tmp_path / "other", findings=("Edem",))


def test_what_is_wrong_is_one_line_a_column_with_counts_and_rows(tmp_path: Path) -> None:
    cells = [("Frontal", "1.0"), ("Oblique", "2"), ("Frontal", "yes"), ("Frontal", "2"), ("", "3")]
    rows = [
        f"x/train/patient{number}/study1/view1_frontal.jpg,F,1,{side},AP,{label},0.0,"
        for number, (side, label) in enumerate(cells)
    ]
    source = release(tmp_path, train="\n".join([HEADER, *rows]), images=False)
    with pytest.raises(CmrbiasError) as raised:
        imported(source, tmp_path / "out")
    first, second = str(raised.value).split("\n  ")
    assert first.endswith(
        "column 'No Finding': expected 1, 0, -1 (uncertain) or nothing, found others in 4 of 5 rows "
        "(row 3: '2', row 4: 'yes', row 5: '2', ...)"
    )
    assert second.endswith(
        "column 'Frontal/Lateral': expected Frontal or Lateral, found others in 2 of 5 rows "
        "(row 3: 'Oblique', row 6: '')"
    )
    assert not (tmp_path / "out").exists()


def test_missing_tables_columns_and_images_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CmrbiasError, match=r"expected train\.csv or valid\.csv or test\.csv in it"):
        imported(tmp_path / "empty", tmp_path / "out")
    source = release(tmp_path, train="Sex,Age\nF,3\n")
    with pytest.raises(CmrbiasError, match="column 'Path' is missing; found Sex, Age"):
        imported(source, tmp_path / "out")
    third = release(tmp_path / "third", images=False)
    for header, fault in (
        ("Path,Edema", "is missing; found Path, Edema"),
        (f"{HEADER},Edema", "is there twice"),
    ):
        (third / "valid.csv").write_text(header + "\n")
        with pytest.raises(CmrbiasError, match=rf"valid\.csv: column '\w+ ?\w*' {fault}; --findings names"):
            imported(third, tmp_path / "out")
    other = release(tmp_path / "second")
    (other / "train" / TRAIN[2][0]).unlink()
    with pytest.raises(CmrbiasError, match=r"train\.csv row 4: .*view2_lateral\.jpg: no such image"):
        imported(other, tmp_path / "out")


def test_blank_is_absent_for_the_check_and_for_knn_as_well(tmp_path: Path) -> None:
    cohort = imported(release(tmp_path), tmp_path / "out")
    balance = check(cohort).balance["Edema"]  # in training: blank, 0, 0, -1
    assert {value: splits["train"] for value, splits in balance.items()} == {"-1": 1, "0": 3, "1": 0}
    setup = SimpleNamespace(cohort=cohort, options=SimpleNamespace(label="Pleural Effusion"))
    codes = _label(setup, Frames(cohort))  # type: ignore[arg-type]
    assert codes is not None
    values = cohort.codes("Pleural Effusion")[1]
    assert [values[code] for code in codes] == ["0", "1", "1", "0"]  # blank, 1, 1, blank
