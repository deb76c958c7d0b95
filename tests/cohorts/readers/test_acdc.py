"""Reading ACDC's layout: what Info.cfg names, the orientation, and every way in which a file can be bad."""

import gzip

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from cmrbias.cohorts.case import Case, SourceError
from cmrbias.cohorts.readers.acdc import AcdcReader
from cmrbias.cohorts.readers.dicom import DicomOptions, DicomReader
from cmrbias.errors import CmrbiasError
from cmrbias.options import NoOptions

SHAPE = (7, 6, 3)  # x, y, z
AFFINE = np.diag([-1.25, -1.5, 8.0, 1.0])  # columns to the left, rows to the back: canonical as stored


def volume(seed):
    return np.random.default_rng([seed]).integers(1, 1000, SHAPE).astype(np.int16)


def labels(seed):
    return np.random.default_rng([seed, 1]).integers(0, 4, SHAPE).astype(np.uint8)


def write_patient(folder, ed=1, es=12, group="DCM", affine=AFFINE, seed=0):
    folder.mkdir(parents=True)
    info = f"ED: {ed}\nES: {es}\nGroup: {group}\nHeight: 184.0\nNbFrame: 30\nWeight: 95.0\n"
    (folder / "Info.cfg").write_text(info)
    for offset, number in enumerate((ed, es)):
        stem = f"{folder.name}_frame{number:02d}"
        save(folder / f"{stem}.nii.gz", volume(seed + offset), affine)
        save(folder / f"{stem}_gt.nii.gz", labels(seed + offset), affine)
    return folder


def save(path, voxels, affine=AFFINE):
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)


def read(source):
    reader = AcdcReader(NoOptions())
    return reader, list(reader.read(source))


@pytest.fixture
def source(tmp_path):
    write_patient(tmp_path / "training" / "patient001")
    write_patient(tmp_path / "training" / "patient002", ed=4, es=15, group="NOR", seed=5)
    write_patient(tmp_path / "testing" / "patient101", group="RV", seed=9)
    return tmp_path


def test_smoke_the_official_layout(source):
    reader, cases = read(source)
    assert reader.frames == ("ED", "ES")
    assert reader.structures == ("RV", "MYO", "LV")
    assert reader.targets == {"label": {"kind": "class", "classes": ["DCM", "HCM", "MINF", "NOR", "RV"]}}
    assert [(c.case, c.split, c.columns["label"]) for c in cases] == [
        ("patient001", "train", "DCM"),
        ("patient002", "train", "NOR"),
        ("patient101", "test", "RV"),
    ]
    first = cases[0]
    assert first.patient == "patient001"
    assert first.columns == {"label": "DCM", "Height": "184.0", "Weight": "95.0", "NbFrame": "30"}
    assert first.spacing == pytest.approx((1.5, 1.25))
    assert len(first.sources) == 5
    assert first.notes == []


def test_frames_are_those_that_info_names_and_stand_rows_first(source):
    _, cases = read(source)
    np.testing.assert_array_equal(cases[1].frames["ED"], volume(5).T)  # frame04
    np.testing.assert_array_equal(cases[1].frames["ES"], volume(6).T)  # frame15
    np.testing.assert_array_equal(cases[1].masks["ED"], labels(5).T)
    assert cases[1].masks["ED"].dtype == np.uint8


@pytest.mark.parametrize(("name", "split"), [("training", "train"), ("testing", "test"), ("mine", None)])
def test_one_folder_of_patients(tmp_path, name, split):
    write_patient(tmp_path / name / "patient007")
    _, cases = read(tmp_path / name)
    assert [case.split for case in cases] == [split]


def test_the_affine_turns_images_and_masks_alike(tmp_path):
    write_patient(tmp_path / "patient001", affine=np.diag([1.25, 1.5, -8.0, 1.0]))
    _, (case,) = read(tmp_path)
    np.testing.assert_array_equal(case.frames["ED"], volume(0).T[::-1, ::-1, ::-1])
    np.testing.assert_array_equal(case.masks["ED"], labels(0).T[::-1, ::-1, ::-1])
    assert "row order reversed, column order reversed, slice order reversed" in case.transform


def test_without_orientation_codes_nothing_is_flipped(tmp_path):
    folder = write_patient(tmp_path / "patient001")
    for path in folder.glob("*.nii.gz"):
        image = nibabel.load(path)
        voxels = np.asarray(image.dataobj)
        image = nibabel.Nifti1Image(voxels, None)
        image.header.set_zooms((1.25, 1.5, 8.0))
        nibabel.save(image, path)
    _, (case,) = read(tmp_path)
    np.testing.assert_array_equal(case.frames["ED"], volume(0).T)
    assert case.spacing == pytest.approx((1.5, 1.25))
    assert "no orientation in the header" in case.transform


def test_other_groups_are_kept_and_said(tmp_path):
    write_patient(tmp_path / "patient001", group="ICM")
    reader, (case,) = read(tmp_path)
    assert reader.targets == {"label": {"kind": "class"}}
    assert case.columns["label"] == "ICM"
    assert case.notes == ["group ICM is none of ACDC's five"]


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-40])


def _cut_inside(path):
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-40]))


def _nan(path):
    voxels = volume(0).astype(np.float32)
    voxels[2, 3, 1] = np.nan
    save(path, voxels)


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("patient001_frame01.nii.gz", lambda p: p.unlink(), "no such file"),
        ("patient001_frame01_gt.nii.gz", lambda p: p.unlink(), "no such file"),
        ("patient001_frame12.nii.gz", _truncate, "damaged or cut short"),
        ("patient001_frame12.nii.gz", _cut_inside, "damaged or cut short"),
        ("patient001_frame12.nii.gz", lambda p: p.write_bytes(b"no NIfTI"), "damaged or cut short"),
        ("patient001_frame01.nii.gz", _nan, r"1 of 126 pixels are NaN"),
        (
            "patient001_frame01_gt.nii.gz",
            lambda p: save(p, labels(0)[:, :, :2]),
            r"\(2, 6, 7\), its image's \(3",
        ),
        ("patient001_frame01_gt.nii.gz", lambda p: save(p, labels(0) * 2), "unknown mask label 4, 6"),
        ("patient001_frame12.nii.gz", lambda p: save(p, np.stack([volume(1)] * 2, -1)), "one volume"),
        ("Info.cfg", lambda p: p.unlink(), "no such file"),
        ("Info.cfg", lambda p: p.write_text("ED: 1\nES: 12\n"), "has no 'Group'"),
        ("Info.cfg", lambda p: p.write_text("ED: one\nES: 12\nGroup: RV\n"), "expected 'ED: N'"),
        ("Info.cfg", lambda p: p.write_text("ED 1\n"), "line 1: expected 'key: value'"),
    ],
)
def test_a_bad_file_is_one_error_that_names_it_and_the_others_are_read(source, file, damage, message):
    path = source / "training" / "patient001" / file
    damage(path)
    _, items = read(source)
    assert isinstance(items[0], SourceError)
    assert str(items[0]).startswith(str(path))
    with pytest.raises(SourceError, match=message):
        raise items[0]
    assert all(isinstance(item, Case) for item in items[1:])


def test_frames_of_other_shape_are_refused(tmp_path):
    folder = write_patient(tmp_path / "patient001")
    for end in ("", "_gt"):
        save(folder / f"patient001_frame12{end}.nii.gz", labels(1)[:, :, :2])
    _, (error,) = read(tmp_path)
    assert "ED and ES differ in shape" in str(error)


def test_frames_of_other_spacing_are_refused(tmp_path):
    folder = write_patient(tmp_path / "patient001")
    es = folder / "patient001_frame12.nii.gz"
    save(es, volume(1), AFFINE * 1.0001)  # as headers round
    _, (case,) = read(tmp_path)
    assert case.spacing == pytest.approx((1.5, 1.25))
    save(es, volume(1), AFFINE * 2)
    _, (error,) = read(tmp_path)
    assert str(error).startswith(f"{folder}: frames differ in pixel spacing (row, column): ")
    assert "ED 1.5 x 1.25 mm, ES 3 x 2.5 mm; expected one" in str(error)


@pytest.mark.parametrize(
    ("make", "message"),
    [(lambda p: None, "no such folder"), (lambda p: p.mkdir(), "holds no patient folder")],
)
def test_a_source_that_is_none_is_refused_at_once(tmp_path, make, message):
    make(tmp_path / "source")
    with pytest.raises(CmrbiasError, match=message):
        read(tmp_path / "source")


# one short-axis geometry, written by two independent libraries: directions in LPS
ALONG_COLUMNS = np.array([-0.104592, 0.346381, -0.932245])
ALONG_ROWS = np.array([-0.733192, -0.660188, -0.163037])


def write_dicom(folder, stacks):
    """Writes (phase, slice, row, column) integers as single-frame DICOM files in a jumbled order."""
    folder.mkdir()
    normal, study, series = np.cross(ALONG_COLUMNS, ALONG_ROWS), generate_uid(), generate_uid()
    places = [(p, z) for p in range(stacks.shape[0]) for z in range(stacks.shape[1])]
    for number, (phase, z) in enumerate(places[::-1], start=1):
        header = pydicom.Dataset()
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = MRImageStorage
        header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        header.PatientID, header.StudyInstanceUID, header.SeriesInstanceUID = "p1", study, series
        header.Modality, header.InstanceNumber, header.SeriesNumber = "MR", number, 1
        header.TriggerTime = 30.0 * phase
        header.ImageOrientationPatient = [round(float(v), 6) for v in (*ALONG_COLUMNS, *ALONG_ROWS)]
        header.ImagePositionPatient = [round(float(v), 4) for v in normal * 8 * z]
        header.PixelSpacing = [1.5, 1.25]
        header.Rows, header.Columns = stacks.shape[2:]
        header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
        header.BitsAllocated = header.BitsStored = 16
        header.HighBit, header.PixelRepresentation = 15, 0
        header.PixelData = stacks[phase, z].astype("<u2").tobytes()
        header.save_as(folder / f"{number}.dcm", enforce_file_format=True)


def test_a_case_as_nifti_and_as_dicom_gives_equal_arrays(tmp_path):
    stacks = np.stack([volume(seed).T for seed in range(4)])  # (phase, z, y, x): DICOM (row, column)
    write_dicom(tmp_path / "dicom", stacks)
    (from_dicom,) = DicomReader(DicomOptions()).read(tmp_path / "dicom")

    step = np.cross(ALONG_COLUMNS, ALONG_ROWS) * 8
    to_ras = np.diag([-1.0, -1.0, 1.0]) @ np.stack([ALONG_COLUMNS * 1.25, ALONG_ROWS * 1.5, step], axis=1)
    affine = np.eye(4)
    affine[:3, :3] = to_ras
    folder = write_patient(tmp_path / "acdc" / "patient001", ed=1, es=3, affine=affine)
    # nibabel, not we, stores the same voxels along other axes
    for number, turn in ((1, [[0, 1], [1, 1], [2, 1]]), (3, [[1, -1], [0, 1], [2, -1]])):
        image = nibabel.Nifti1Image(stacks[number - 1].T, affine).as_reoriented(turn)
        nibabel.save(image, folder / f"patient001_frame{number:02d}.nii.gz")
        save(
            folder / f"patient001_frame{number:02d}_gt.nii.gz", np.zeros(image.shape, np.uint8), image.affine
        )
    _, (from_nifti,) = read(tmp_path / "acdc")

    for frame in ("ED", "ES"):
        np.testing.assert_array_equal(from_dicom.frames[frame], from_nifti.frames[frame])
    assert from_dicom.spacing == pytest.approx(from_nifti.spacing, abs=1e-6)
