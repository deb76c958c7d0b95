"""Reading tables: roles of columns, frames, masks, targets, and rows that cannot be used."""

import numpy as np
import pytest
from PIL import Image

from cmrbias.cohorts.case import Case, SourceError
from cmrbias.cohorts.readers.table import TableOptions, TableReader
from cmrbias.errors import CmrbiasError
from cmrbias.options import build


def picture(seed):
    return np.random.default_rng([seed]).integers(1, 255, (6, 5)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "png").mkdir()
    for seed in range(4):
        Image.fromarray(picture(seed)).save(tmp_path / "png" / f"{seed}.png")
        np.save(tmp_path / f"mask{seed}.npy", picture(seed) % 4)
    return tmp_path


def read(folder, text, **options):
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8-sig")
    reader = TableReader(build(TableOptions, options, "reader 'table'"))
    return reader, list(reader.read(path))


def test_smoke_a_row_a_case(folder):
    reader, (first, second) = read(
        folder,
        "path,mask,case,patient,study,split,label,age\n"
        "png/0.png,mask0.npy,c1,p1,s1,train,DCM,61\n"
        "png/1.png,mask1.npy,c2,p2,s2,test,NOR,\n",
    )
    assert reader.frames == ("single",)
    assert reader.structures == ("RV", "MYO", "LV")
    assert reader.targets == {"label": {"kind": "class"}}
    assert (first.case, first.patient, first.study, first.split) == ("c1", "p1", "s1", "train")
    assert first.columns == {"label": "DCM", "age": "61"}
    assert second.columns == {"label": "NOR", "age": None}
    np.testing.assert_array_equal(first.frames["single"], picture(0)[None])
    np.testing.assert_array_equal(first.masks["single"], picture(0)[None] % 4)
    assert {path.name for path in first.sources} == {"table.csv", "0.png", "mask0.npy"}
    assert first.notes == []


def test_only_a_path_is_needed(folder):
    reader, (case,) = read(folder, "path\npng/2.png\n")
    assert (case.case, case.patient, case.study, case.split) == ("png/2.png", "png/2.png", "", None)
    assert reader.structures == ()
    assert reader.targets == {}
    assert case.masks == {}
    assert case.notes == ["the table names no patient: each case counts as a patient of its own"]


def test_columns_under_other_names_and_a_template(folder):
    _, cases = read(
        folder,
        "image_id,patient_id,set,mask_id\n3,p1,train,3\n1,p1,train,\n",
        path_column="image_id",
        path_template="png/{}.png",
        patient_column="patient_id",
        split_column="set",
        mask_column="mask_id",
        mask_template="mask{}.npy",
    )
    assert [(c.case, c.patient, c.split, list(c.masks)) for c in cases] == [
        ("3", "p1", "train", ["single"]),
        ("1", "p1", "train", []),
    ]
    assert cases[0].columns == {}


@pytest.mark.parametrize("column", ["patient_id", "PatientID", "Subject"])
def test_a_column_that_looks_like_the_patient_must_be_named(folder, column):
    table = f"path,{column}\npng/0.png,p1\npng/1.png,p1\n"
    with pytest.raises(CmrbiasError, match=f"say --patient-column '{column}' .or --patient-column 'path'"):
        read(folder, table)
    _, cases = read(folder, table, patient_column=column)
    assert [case.patient for case in cases] == ["p1", "p1"]
    _, cases = read(folder, table, patient_column="path")
    assert [case.patient for case in cases] == ["png/0.png", "png/1.png"]


def test_a_patient_that_names_the_case_need_not_be_named_again(folder):
    _, (case,) = read(folder, "path,subject_id\npng/0.png,p1\n", case_column="subject_id")
    assert (case.case, case.patient) == ("p1", "p1")


def test_a_row_a_frame(folder):
    reader, (first, second) = read(
        folder,
        "case,frame,path,patient,phase,label\n"
        "a,ES,png/1.png,p1,9,x\n"
        "b,ED,png/2.png,p2,0,y\n"
        "a,ED,png/0.png,p1,1,x\n"
        "b,ES,png/3.png,p2,8,y\n",
    )
    assert reader.frames == ("ED", "ES")
    np.testing.assert_array_equal(first.frames["ED"], picture(0)[None])
    np.testing.assert_array_equal(first.frames["ES"], picture(1)[None])
    np.testing.assert_array_equal(second.frames["ES"], picture(3)[None])
    assert first.columns == {"label": "x", "phase": "9"}
    assert first.notes == ["column 'phase' differs between the frames; that of the first row was kept"]


def test_a_column_a_frame(folder):
    reader, (case,) = read(
        folder,
        "case,ed,es,mask_ed,mask_es\nc,png/0.png,png/1.png,mask0.npy,mask1.npy\n",
        path_column="ED=ed,ES=es",
        mask_column="ED=mask_ed,ES=mask_es",
    )
    assert reader.frames == ("ED", "ES")
    np.testing.assert_array_equal(case.frames["ES"], picture(1)[None])
    np.testing.assert_array_equal(case.masks["ES"], picture(1)[None] % 4)


def test_binary_masks(folder):
    np.save(folder / "mask0.npy", (picture(0) > 100) * 255)
    reader, (case,) = read(folder, "path,mask\npng/0.png,mask0.npy\n", binary_mask="LV")
    assert reader.structures == ("LV",)
    np.testing.assert_array_equal(case.masks["single"], (picture(0)[None] > 100) * 3)


def test_targets(folder):
    reader, (first, second) = read(
        folder,
        "path,death_offset,sex,effusion,grade\npng/0.png,,m,1.0,1\npng/1.png,-2,f,-1,3\n",
        target="death=death_offset:present,sex,effusion,stage=grade:class",
    )
    binary = {"kind": "binary", "uncertain": -1}
    assert reader.targets == {
        "death": binary,
        "sex": {"kind": "class"},
        "effusion": binary,
        "stage": {"kind": "class"},
    }
    assert first.columns == {
        "death": 0, "sex": "m", "effusion": 1, "stage": "1", "death_offset": None, "grade": "1",
    }  # fmt: skip
    assert [second.columns[name] for name in ("death", "sex", "effusion", "stage")] == [1, "f", -1, "3"]


def test_what_pandas_takes_for_missing_is_no_class(folder):
    reader, cases = read(
        folder,
        "path,label,death,seen\npng/0.png,NaN,nan,NA\npng/1.png,DCM,1,x\npng/2.png,na,N/A,\npng/3.png,None,0,NULL\n",
        target="label,death,seen:present",
    )
    assert reader.targets["death"]["kind"] == "binary"
    assert [case.columns["label"] for case in cases] == [None, "DCM", "na", None]
    assert [case.columns["death"] for case in cases] == [None, 1, None, 0]
    assert [case.columns["seen"] for case in cases] == [0, 1, 0, 0]
    assert "target 'label': 'NaN' counts as an empty cell" in cases[0].notes
    assert not any("empty cell" in note for note in cases[1].notes)


def test_a_column_that_bears_a_cohorts_own_name_is_renamed(folder):
    _, (case,) = read(folder, "path,id,case,mask_ED\npng/0.png,x,7,here\n", case_column="id")
    assert case.case == "x"
    assert case.columns == {"table_case": "7", "table_mask_ED": "here"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("png/absent.png,,c,p,train,1", r"row 3: .*absent\.png: no such file"),
        (",,c,p,train,1", "row 3: column 'path' is empty"),
        ("png/0.png,absent.npy,c,p,train,1", r"row 3: .*absent\.npy: no such file"),
        ("png/0.png,small.npy,c,p,train,1", r"row 3: .*small\.npy: the mask's shape"),
        ("png/0.png,odd.npy,c,p,train,1", r"row 3: .*odd\.npy: unknown mask label 9"),
        ("nan.npy,,c,p,train,1", r"row 3: .*nan\.npy: 1 of 30 pixels are NaN"),
        ("png/0.png,,c,p,valid,1", "row 3: column 'split': expected train, test or nothing, found 'valid'"),
        ("png/0.png,,c,,train,1", "row 3: column 'patient' is empty"),
        ("png/0.png,,,p,train,1", "row 3: column 'case' is empty"),
        ("png/0.png,,first,p,train,1", "row 3: the case 'first' stands in row 2 already"),
        ("png/0.png,,c,p,train,2", "row 3: column 'death': expected 1, 0, -1"),
        ("png/0.png,,c,p,train", "row 3: expected 6 cells, found 5"),
    ],
)
def test_a_bad_row_is_one_error_that_names_it(folder, row, message):
    np.save(folder / "small.npy", np.zeros((2, 2), np.uint8))
    np.save(folder / "odd.npy", np.full((6, 5), 9))
    np.save(folder / "nan.npy", np.where(np.arange(30).reshape(6, 5) == 3, np.nan, 1.0))
    text = (
        f"path,mask,case,patient,split,death\npng/1.png,,first,p0,train,0\n{row}\npng/2.png,,last,p9,test,1\n"
    )
    _, items = read(folder, text, target="death:binary")
    (error,) = (item for item in items if isinstance(item, SourceError))
    with pytest.raises(SourceError, match=message):
        raise error
    assert str(error).startswith(str(folder / "table.csv"))
    assert "last" in [item.case for item in items if isinstance(item, Case)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,ED,png/0.png,p1\na,ED,png/1.png,p1\nb,ES,png/1.png,p2\n", "row 3: frame 'ED' stands in row 2"),
        ("a,ED,png/0.png,p1\nb,ES,png/1.png,p2\n", "row 2: expected the frames ED, ES"),
        ("a,ED,png/0.png,p1\na,ES,png/1.png,p2\n", "row 3: column 'patient' holds 'p2', but 'p1' in row 2"),
        ("a,ED,png/0.png,p1\na,ES,wide.npy,p1\n", "row 2: frames differ in shape"),
    ],
)
def test_frames_that_do_not_make_a_case(folder, rows, message):
    np.save(folder / "wide.npy", np.ones((6, 9)))
    _, items = read(folder, "case,frame,path,patient\n" + rows)
    with pytest.raises(SourceError, match=message):
        raise items[0]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("image,label\nx,y\n", {}, "unknown column 'path'.*known: image, label"),
        (
            "path,label\nx,y\n",
            {"patient_column": "who"},
            "--patient-column: unknown column 'who'.*label, path",
        ),
        (
            "path,label\nx,y\n",
            {"target": "lable"},
            "--target lable: unknown column 'lable': did you mean 'label'",
        ),
        (
            "path,label\nx,y\n",
            {"target": "label:text"},
            "unknown kind of target 'text'.*binary, class, present",
        ),
        ("path,label\nx,y\n", {"target": "label,label"}, "named twice"),
        ("path,age\nx,61\nx,50\n", {"target": "age"}, "2 different values.*say age:class"),
        ("path,ed\nx,y\n", {"path_column": "path,ed"}, "FRAME=COLUMN for each"),
        ("path,frame,case\nx,ED,1\n", {"path_column": "ED=path"}, "not both"),
        ("path,frame\nx,ED\n", {}, "--case-column NAME"),
        (
            "a,b,m\nx,y,z\n",
            {"path_column": "ED=a,ES=b", "mask_column": "m"},
            "--mask-column names the frames",
        ),
        ("path,path\nx,y\n", {}, "'path' is there twice"),
        ("path\n", {}, "there is no row below the header"),
        ("", {}, "the file is empty"),
        ("\n", {}, "the file is empty"),
        ("path,label,age\nx,y\n", {}, "row 2: expected 3 cells, found 2"),
        ("path;label\nx;y\n", {}, "delimiter seems to be ';'; expected commas"),
        ("path\tlabel\nx\ty\n", {}, r"delimiter seems to be '\\t'; expected commas"),
        ('path\n"x\n', {}, "cannot be read as UTF-8 CSV"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_at_once(folder, text, options, message):
    with pytest.raises(CmrbiasError, match=message):
        read(folder, text, **options)


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(CmrbiasError, match="no such file; expected a CSV table"):
        TableReader(TableOptions()).read(tmp_path / "absent.csv")


def test_real_chest_x_rays_without_editing_their_table(shared_data):
    options = TableOptions(
        path_column=("image_id",),
        path_template="png/{}.png",
        patient_column="patient_id",
        target=("death=death_offset:present", "view=projection"),
    )
    reader = TableReader(options)
    cases = list(reader.read(shared_data / "hannover-cxr" / "data.csv"))
    assert len(cases) == 160
    assert len({case.patient for case in cases}) == 42
    assert sum(case.columns["death"] for case in cases) == 46
    assert {case.columns["view"] for case in cases} == {"ap", "pa"}
    assert {case.frames["single"].dtype for case in cases} == {np.dtype(np.uint8)}
    with Image.open(shared_data / "hannover-cxr" / "png" / "b343e657.png") as picture:
        np.testing.assert_array_equal(cases[0].frames["single"][0], np.asarray(picture))


def test_a_mask_that_may_lie_otherwise_than_its_image_is_refused_by_row(folder):
    nibabel = pytest.importorskip("nibabel")
    square = picture(0)[:5]
    for name, affine in (("image", [-1.5, -1.5, 8, 1]), ("same", [-1.5, -1.5, 8, 1]), ("eye", [1, 1, 1, 1])):
        voxels = square.T if name == "image" else square.T % 4
        nibabel.save(nibabel.Nifti1Image(voxels[..., None], np.diag(affine)), folder / f"{name}.nii.gz")
    np.save(folder / "square.npy", square.T % 4)
    rows = "a,image.nii.gz,same.nii.gz\nb,image.nii.gz,eye.nii.gz\nc,image.nii.gz,square.npy\n"
    _, (case, turned, unknown) = read(folder, "case,path,mask\n" + rows)
    np.testing.assert_array_equal(case.masks["single"], square[None] % 4)
    for error, number, name in ((turned, 3, "eye.nii.gz"), (unknown, 4, "square.npy")):
        assert str(error).startswith(f"{folder / 'table.csv'} row {number}: {folder / name}: ")
        assert str(folder / "image.nii.gz") in str(error)


def test_frames_of_other_spacing_are_refused(folder):
    nibabel = pytest.importorskip("nibabel")
    for name, mm in (("ed", 1.5), ("near", 1.5001), ("far", 3.0)):
        image = nibabel.Nifti1Image(picture(0).T[..., None], np.diag([-mm, -mm, 8, 1]))
        nibabel.save(image, folder / f"{name}.nii.gz")
    rows = "a,ed.nii.gz,near.nii.gz\nb,ed.nii.gz,far.nii.gz\nc,png/0.png,ed.nii.gz\n"
    _, (case, far, unknown) = read(folder, "case,ed,es\n" + rows, path_column="ED=ed,ES=es")
    assert case.spacing == pytest.approx((1.5, 1.5))
    where = f"{folder / 'table.csv'} row 3: case 'b': frames differ in pixel spacing (row, column)"
    assert str(far).startswith(f"{where}: ED 1.5 x 1.5 mm, ES 3 x 3 mm; expected one: ")
    assert "row 4: case 'c'" in str(unknown)
    assert "ED unknown, ES 1.5 x 1.5 mm" in str(unknown)


def test_how_each_frame_was_turned_is_told(folder):
    nibabel = pytest.importorskip("nibabel")
    nibabel.save(nibabel.Nifti1Image(picture(0).T[..., None], np.diag([1.5, -1.5, 8, 1])), folder / "a.nii")
    nibabel.save(nibabel.Nifti1Image(picture(0).T[..., None], np.diag([-1.5, 1.5, 8, 1])), folder / "b.nii")
    _, (case,) = read(folder, "case,ed,es\na,a.nii,b.nii\n", path_column="ED=ed,ES=es")
    first, second = case.transform.split("; ")
    assert first.endswith("column order reversed")
    assert second.endswith("row order reversed")
