"""A cohort written in ACDC's layout comes back as it was, and what the layout cannot hold is refused."""

import gzip
import json

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner

from cmrbias.cli.cohort.exporting import command
from cmrbias.cohorts.export import export_acdc
from cmrbias.cohorts.format import Cohort
from cmrbias.cohorts.importing import import_cohort
from cmrbias.cohorts.prepare import PrepareOptions
from cmrbias.cohorts.readers.acdc import AcdcReader
from cmrbias.cohorts.writer import CohortWriter
from cmrbias.errors import CmrbiasError
from cmrbias.options import NoOptions


def write_cohort(out, frames=("ED", "ES"), masks=True, dtype="uint8", pixel_size=1.5, groups=None, **changes):
    """Five cases of 40 x 32 pixels, all values 1 to 255 with both ends in each image."""
    rng = np.random.default_rng([7])
    with CohortWriter(
        out,
        name="five",
        frames=frames,
        structures=("RV", "MYO", "LV"),
        targets={"label": {"kind": "class"}},
        preparation={},
        provenance={},
        dtype=dtype,
        pixel_size=pixel_size,
    ) as writer:
        for number in range(5):
            images = rng.integers(1, 256, (len(frames), 40, 32))
            images[:, 0, 0], images[:, 0, 1] = 1, 255
            labels = rng.integers(0, 4, images.shape).astype(np.uint8) if masks else None
            row = {
                "case": f"c{number}",
                "patient": f"p{number}",
                "split": "test" if number in (1, 3) else "train",
            }
            row |= {"label": (groups or ["DCM", "HCM", "MINF", "NOR", "RV"])[number], "Height": 170 + number}
            writer.add(row | changes, images.astype(dtype), labels)
    return Cohort.open(out)


def test_smoke_the_official_layout(tmp_path):
    cohort = write_cohort(tmp_path / "cohort")
    report = export_acdc(cohort, tmp_path / "acdc")
    assert report.patients == {"training": 3, "testing": 2}
    names = sorted(path.name for path in (tmp_path / "acdc" / "testing" / "patient004").iterdir())
    assert names == [
        "Info.cfg",
        "patient004_4d.nii.gz",
        "patient004_frame01.nii.gz",
        "patient004_frame01_gt.nii.gz",
        "patient004_frame02.nii.gz",
        "patient004_frame02_gt.nii.gz",
    ]
    info = (tmp_path / "acdc" / "testing" / "patient004" / "Info.cfg").read_text()
    assert info == "ED: 1\nES: 2\nGroup: HCM\nHeight: 171\nNbFrame: 2\n"
    table = (tmp_path / "acdc" / "cases.csv").read_text().splitlines()
    assert table == [
        "folder,case",
        "training/patient001,c0",
        "training/patient002,c2",
        "training/patient003,c4",
        "testing/patient004,c1",
        "testing/patient005,c3",
    ]


def test_headers_hold_pixel_size_and_orientation(tmp_path):
    cohort = write_cohort(tmp_path / "cohort", pixel_size=1.25)
    export_acdc(cohort, tmp_path / "acdc")
    folder = tmp_path / "acdc" / "training" / "patient001"
    image = nibabel.load(folder / "patient001_frame01.nii.gz")
    assert image.shape == (32, 40, 1)
    assert image.header.get_zooms()[:2] == (1.25, 1.25)
    assert image.get_data_dtype() == np.int16
    assert nibabel.aff2axcodes(image.affine) == ("L", "P", "S")
    whole = nibabel.load(folder / "patient001_4d.nii.gz")
    assert whole.shape == (32, 40, 1, 2)
    np.testing.assert_array_equal(np.asarray(whole.dataobj)[..., 0], np.asarray(image.dataobj))


def test_round_trip_gives_equal_masks_and_images(tmp_path):
    cohort = write_cohort(tmp_path / "cohort")
    export_acdc(cohort, tmp_path / "acdc")
    import_cohort(
        AcdcReader(NoOptions()),
        tmp_path / "acdc",
        tmp_path / "again",
        PrepareOptions(size=48),  # zero-padded from 40 x 32, at the same 1.5 mm: nothing is resampled
        reader_name="acdc",
        keep_ids=True,
    )
    again = Cohort.open(tmp_path / "again")
    order = [0, 2, 4, 1, 3]  # training is numbered first; the import keeps testing second
    assert again.column("label").tolist() == cohort.column("label")[order].tolist()
    assert again.column("split").tolist() == cohort.column("split")[order].tolist()
    assert again.column("Height").tolist() == cohort.column("Height")[order].tolist()
    inner = (slice(None), slice(None), slice(4, 44), slice(8, 40))
    np.testing.assert_array_equal(again.masks(np.arange(5))[inner], cohort.masks(np.array(order)))
    before = cohort.images(np.array(order)).astype(float)
    np.testing.assert_array_equal(again.images(np.arange(5))[inner], np.rint((before - 1) / 254 * 255))


def test_deep_images_keep_their_values(tmp_path):
    cohort = write_cohort(tmp_path / "cohort", dtype="uint16")
    export_acdc(cohort, tmp_path / "acdc")
    image = nibabel.load(tmp_path / "acdc" / "training" / "patient001" / "patient001_frame02.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj)[..., 0].T, cohort.images(np.array([0]))[0, 1])


def test_the_same_cohort_gives_the_same_bytes(tmp_path):
    cohort = write_cohort(tmp_path / "cohort")
    for name in ("one", "two"):
        export_acdc(cohort, tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert len(files) == 5 * 6 + 1
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_what_is_not_as_in_acdc_is_said(tmp_path):
    groups = ["ICM", "DCM", "AMYL", "DCM", "ICM"]
    cohort = write_cohort(tmp_path / "cohort", ("ED", "ES", "ED-basal"), groups=groups, patient="p")
    notes = export_acdc(cohort, tmp_path / "acdc").notes
    assert notes[1:] == [
        "groups that ACDC does not have were written as they are: AMYL, ICM",
        "4 cases are further ones of a patient, but got a patient's number of their own",
        "frames left out: ED-basal",
    ]


def test_incomplete_masks_are_said(tmp_path):
    cohort = write_cohort(tmp_path / "cohort", mask_ES="LV")
    assert (
        "masks hold RV, MYO, LV; those of 5 of 5 cases are incomplete"
        in export_acdc(cohort, tmp_path / "acdc").notes
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": ("single",)}, "needs the frames ED and ES, this cohort has single"),
        ({"masks": False}, "needs masks"),
        ({"pixel_size": None}, "needs one pixel size"),
        (
            {"groups": ["DCM", "", "", "NOR", "RV"]},
            r"column 'label' is empty in row 3 of cases.csv \(2 in all\)",
        ),
        ({"split": "valid"}, "expected the splits train and test, found 'valid'"),
    ],
)
def test_what_the_layout_cannot_hold_is_refused(tmp_path, options, message):
    cohort = write_cohort(tmp_path / "cohort", **options)
    with pytest.raises(CmrbiasError, match=message):
        export_acdc(cohort, tmp_path / "acdc")
    assert [path.name for path in tmp_path.iterdir()] == ["cohort"]


def test_an_unknown_label_column_names_those_there_are(tmp_path):
    with pytest.raises(CmrbiasError, match=r"--label: unknown column 'lable': did you mean 'label'"):
        export_acdc(write_cohort(tmp_path / "cohort"), tmp_path / "acdc", label="lable")


def test_an_existing_folder_is_left_alone(tmp_path):
    cohort = write_cohort(tmp_path / "cohort")
    (tmp_path / "acdc").mkdir()
    with pytest.raises(CmrbiasError, match="exists already"):
        export_acdc(cohort, tmp_path / "acdc")
    assert list((tmp_path / "acdc").iterdir()) == []


def test_a_damaged_shard_leaves_nothing_half_written(tmp_path):
    cohort = write_cohort(tmp_path / "cohort")
    shard = (
        tmp_path
        / "cohort"
        / json.loads((tmp_path / "cohort" / "cohort.json").read_text())["shards"][0]["files"]["masks"]["file"]
    )
    shard.write_bytes(shard.read_bytes()[:200])
    with pytest.raises(CmrbiasError, match="truncated or damaged"):
        export_acdc(cohort, tmp_path / "acdc")
    assert [path.name for path in tmp_path.iterdir()] == ["cohort"]


def test_files_are_gzip_without_a_time(tmp_path):
    export_acdc(write_cohort(tmp_path / "cohort"), tmp_path / "acdc")
    packed = (tmp_path / "acdc" / "training" / "patient001" / "patient001_4d.nii.gz").read_bytes()
    assert packed[4:8] == b"\0\0\0\0"
    assert len(gzip.decompress(packed)) == 352 + 32 * 40 * 2 * 2


def test_the_command_says_what_it_wrote_and_what_is_next(tmp_path, monkeypatch):
    write_cohort(tmp_path / "cohort", groups=["ICM", "DCM", "DCM", "DCM", "DCM"])
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, ["acdc", "cohort", "out"], catch_exceptions=False)
    assert result.output.splitlines() == [
        "wrote out: patients in training/ 3, testing/ 2; cases.csv says which case is which",
        "note: each patient has one slice, and a 4D file of two frames (ED 1, ES 2)",
        "note: groups that ACDC does not have were written as they are: ICM",
        "next: cmrbias cohort import acdc out NEW-COHORT",
    ]
