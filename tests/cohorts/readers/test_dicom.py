"""DICOM folders -> cases: each rule on files made here, then on the Sunnybrook data."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from cmrbias.cohorts.case import Case, SourceError
from cmrbias.cohorts.readers.dicom import DicomOptions, DicomReader
from cmrbias.cohorts.readers.dicom_files import HEADER_COLUMNS
from cmrbias.errors import CmrbiasError


def test_without_contours_ed_is_the_first_phase_and_es_mid_cycle(dicom, tmp_path):
    dicom.write_cine(tmp_path, slices=3, phases=5)
    reader = DicomReader(DicomOptions())
    (case,) = reader.read(tmp_path)
    assert reader.frames == ("ED", "ES")
    assert reader.structures == ()
    assert reader.targets == {}
    assert dicom.values(case, "ED") == dicom.expected(3, 0)
    assert dicom.values(case, "ES") == dicom.expected(3, 2)
    assert (case.case, case.patient, case.study) == ("P1", "P1", "1.2.3")
    assert case.spacing == (1.25, 1.5)
    assert case.masks == {}
    assert "no contours: ED is the first phase, ES phase 3 of 5 (mid-cycle)" in case.notes
    assert "phases ordered by TriggerTime" in case.notes
    assert sorted(p.name for p in case.sources) == sorted(f"{z}-{t}-0.dcm" for z in range(3) for t in (0, 2))


def test_slices_are_ordered_along_the_normal_whatever_the_numbers_say(dicom, tmp_path):
    for slice_ in (0, 1, 2):
        dicom.write_slice(
            tmp_path / f"{9 - slice_}", slice_, SliceLocation=-slice_, InstanceNumber=lambda t: 40 - t
        )
    assert dicom.values(dicom.only(tmp_path), "ED") == dicom.expected(3, 0)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"TriggerTime": lambda t: 500 - 50 * t}, "TriggerTime"),
        ({"TriggerTime": None, "TemporalPositionIdentifier": lambda t: 4 - t}, "TemporalPositionIdentifier"),
        ({"TriggerTime": 0.0, "TemporalPositionIdentifier": lambda t: 4 - t}, "TemporalPositionIdentifier"),
        ({"TriggerTime": None, "InstanceNumber": lambda t: 9 - t}, "InstanceNumber"),
    ],
)
def test_phases_are_ranked_by_the_first_field_that_tells_them_apart(dicom, tmp_path, fields, name):
    dicom.write_cine(tmp_path, slices=2, phases=4, **fields)
    case = dicom.only(tmp_path)
    assert f"phases ordered by {name}" in case.notes
    assert dicom.values(case, "ED") == dicom.expected(2, 3)


def test_trigger_times_of_slices_may_differ(dicom, tmp_path):
    dicom.write_slice(tmp_path, 0, TriggerTime=lambda t: 10 + 40.0 * t)
    dicom.write_slice(tmp_path, 1, TriggerTime=lambda t: 19 + 43.7 * t)
    assert dicom.values(dicom.only(tmp_path), "ES") == dicom.expected(2, 2)


def test_series_of_one_slice_make_one_stack(dicom, tmp_path):
    for slice_ in range(3):
        tilt = [v + 1e-4 * slice_ for v in dicom.SHORT_AXIS]
        dicom.write_slice(
            tmp_path,
            slice_,
            SeriesInstanceUID=f"1.2.{slice_}",
            SeriesNumber=10 + slice_,
            ImageOrientationPatient=tilt,
        )
    case = dicom.only(tmp_path)
    assert dicom.values(case, "ED") == dicom.expected(3, 0)
    assert "one stack from series 10, 11, 12" in case.notes


@pytest.mark.parametrize(
    "later",
    [
        {"SeriesNumber": 9, "SeriesInstanceUID": "1.2.9", "AcquisitionTime": "110000"},
        {"SeriesNumber": 3, "SeriesInstanceUID": "1.2.9", "AcquisitionTime": "110000"},
        {"SeriesNumber": 9, "SeriesInstanceUID": "1.2.9", "AcquisitionTime": "100000"},
        {"AcquisitionNumber": 3, "AcquisitionTime": "100000"},
        {"AcquisitionNumber": 2, "AcquisitionTime": "100000", "TriggerTime": lambda t: 7 + 55.5 * t},
        {"AcquisitionNumber": 1, "AcquisitionTime": "110000"},
    ],
)
def test_of_several_acquisitions_of_a_slice_the_last_is_kept(dicom, tmp_path, later):
    for slice_ in range(3):
        dicom.write_slice(tmp_path, slice_, AcquisitionNumber=1, AcquisitionTime="100000")
    dicom.write_slice(tmp_path, 1, add=50, **{"AcquisitionNumber": 1} | later)
    case = dicom.only(tmp_path)
    assert dicom.values(case, "ED") == [101, 251, 301]
    (note,) = [note for note in case.notes if note.startswith("slice 2: left out")]
    assert "series 4" in note


def test_an_acquisition_number_that_counts_phases_is_no_repetition(dicom, tmp_path):
    dicom.write_cine(tmp_path, slices=2, AcquisitionNumber=lambda t: t + 1)
    case = dicom.only(tmp_path)
    assert dicom.values(case, "ES") == dicom.expected(2, 2)
    assert not any("left out" in note for note in case.notes)


def test_the_stack_with_the_most_slices_is_the_case_and_the_others_are_listed(dicom, tmp_path):
    dicom.write_cine(tmp_path / "short", slices=3)
    long_axis = {
        "SeriesNumber": 7,
        "SeriesInstanceUID": "1.2.7",
        "ImageOrientationPatient": [0, 1, 0, 0, 0, -1],
    }
    dicom.write_cine(tmp_path / "long", slices=1, **long_axis)
    dicom.write_cine(
        tmp_path / "tagged", slices=2, SeriesNumber=8, SeriesInstanceUID="1.2.8", SequenceVariant="SP"
    )
    dicom.write(tmp_path / "scout.dcm", np.ones((6, 8)), SeriesNumber=1, SeriesInstanceUID="1.2.1")
    case = dicom.only(tmp_path)
    assert dicom.values(case, "ED") == dicom.expected(3, 0)
    assert "left out: cine series 8 (2 slices)" in case.notes
    assert "left out: cine series 7 (1 slices)" in case.notes
    assert "left out: 1 single images" in case.notes


@pytest.mark.parametrize("kind", [("PHASE MAP", "P"), ("R_FFE", "R"), ("I_FFE", "I"), ("VELOCITY", "P")])
def test_only_magnitudes_are_taken(dicom, tmp_path, kind):
    dicom.write_cine(tmp_path / "m", slices=2, ImageType=["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"])
    dicom.write_cine(tmp_path / "p", slices=2, add=50, ImageType=["ORIGINAL", "PRIMARY", *kind, "FFE"])
    case = dicom.only(tmp_path)
    assert dicom.values(case, "ED") == dicom.expected(2, 0)
    assert "ignored: 8 images that are no magnitudes (phase, velocity, real, imaginary)" in case.notes


def test_an_image_type_of_one_value_is_no_phase_map(dicom, tmp_path):
    dicom.write_cine(tmp_path, ImageType="PRIMARY")
    assert dicom.values(dicom.only(tmp_path), "ED") == dicom.expected(3, 0)


def test_series_that_share_number_and_identifier_are_told_apart_by_technique(dicom, tmp_path):
    """Anonymisers and exports have been seen to give one SeriesInstanceUID to several series."""
    dicom.write_cine(tmp_path / "cine", slices=3, SequenceVariant="SS")
    dicom.write_cine(tmp_path / "tagged", slices=2, add=50, SequenceVariant="SP")
    case = dicom.only(tmp_path)
    assert dicom.values(case, "ED") == dicom.expected(3, 0)
    assert "left out: cine series 4 (2 slices)" in case.notes


def test_two_stacks_of_equal_size_need_a_choice(dicom, tmp_path):
    dicom.write_cine(tmp_path / "a", slices=2, SeriesDescription="cine SAX")
    other = {"SeriesNumber": 7, "SeriesInstanceUID": "1.2.7", "ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}
    dicom.write_cine(tmp_path / "b", slices=2, SeriesDescription="cine 2ch", **other)
    (error,) = dicom.read(tmp_path)
    assert isinstance(error, SourceError)
    assert "has 2 slices like series 7" in str(error)
    assert "--series TEXT" in str(error)
    case = dicom.only(tmp_path, series="SAX")
    assert dicom.values(case, "ED") == dicom.expected(2, 0)
    assert "ignored: 8 images of other series" in case.notes


def test_images_are_turned_into_the_one_convention(dicom, tmp_path):
    """The same slice stored transposed and flipped, with its header, is the same case."""
    rng = np.random.default_rng(3)
    pixels = rng.integers(1, 4000, (2, 3, 6, 8))  # slice, phase
    row, column = (
        np.array(dicom.SHORT_AXIS[:3]),
        np.array(dicom.SHORT_AXIS[3:]),
    )  # of growing column, row index
    for z in range(2):
        for t in range(3):
            corner = 8.0 * z * dicom.NORMAL
            both = {"TriggerTime": 40.0 * t, "InstanceNumber": 3 * z + t + 1}
            dicom.write(tmp_path / "a" / f"{z}{t}", pixels[z, t], ImagePositionPatient=list(corner), **both)
            last = corner + 1.5 * 7 * row  # the first pixel of the turned image: the end of the first row
            turned = [*column, *-row]
            dicom.write(
                tmp_path / "b" / f"{z}{t}", pixels[z, t].T[::-1], ImagePositionPatient=list(last),
                ImageOrientationPatient=turned, PixelSpacing=[1.5, 1.25], **both,
            )  # fmt: skip
    a, b = dicom.only(tmp_path / "a"), dicom.only(tmp_path / "b")
    assert (a.transform, b.transform) == ("as stored", "rows and columns exchanged, column order reversed")
    for frame in ("ED", "ES"):
        np.testing.assert_array_equal(a.frames[frame], b.frames[frame])
    assert a.spacing == b.spacing == (1.25, 1.5)
    np.testing.assert_array_equal(a.frames["ED"], pixels[:, 0])


def test_nifti_and_dicom_of_one_case_give_equal_arrays(dicom, tmp_path):
    nibabel = pytest.importorskip("nibabel")
    from cmrbias.cohorts.readers.nifti import read_nifti

    rng = np.random.default_rng(4)
    row, column = np.array([-0.5, 0.1, -0.8]), np.array([0.2, -0.9, -0.4])
    row /= np.linalg.norm(row)
    column -= (column @ row) * row
    column /= np.linalg.norm(column)
    normal = np.cross(row, column)
    pixels = rng.integers(1, 4000, (3, 2, 6, 8))  # slice, phase
    for z in range(3):
        for t in range(2):
            dicom.write(
                tmp_path / "dicom" / f"{z}{t}", pixels[z, t], TriggerTime=40.0 * t,
                InstanceNumber=2 * z + t + 1, ImagePositionPatient=list(9.0 * z * normal),
                ImageOrientationPatient=[*row, *column],
            )  # fmt: skip
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1, -1, 1]) @ np.stack([1.5 * row, 1.25 * column, 9.0 * normal], axis=1)
    case = dicom.only(tmp_path / "dicom")
    for phase, frame in enumerate(("ED", "ES")):
        file = tmp_path / f"{frame}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(pixels[:, phase].T.astype(np.int16), affine), file)
        stored, grid = read_nifti(file)
        np.testing.assert_array_equal(grid.turn(stored), case.frames[frame])
        np.testing.assert_allclose(grid.spacing, case.spacing, rtol=1e-6)
    assert case.spacing == (1.5, 1.25)  # canonical rows are the stored columns


def test_each_study_of_a_patient_is_a_case(dicom, tmp_path):
    dicom.write_cine(tmp_path / "b", StudyInstanceUID="1.2.1", StudyDate="20200302")
    dicom.write_cine(tmp_path / "a", StudyInstanceUID="1.2.9", StudyDate="20200131")
    dicom.write_cine(tmp_path / "c", StudyInstanceUID="1.2.5", StudyDate="", PatientID="P2")
    cases = dicom.read(tmp_path)
    assert [(c.case, c.study, c.columns["study_date"]) for c in cases] == [
        ("P1-1", "1.2.9", "20200131"), ("P1-2", "1.2.1", "20200302"), ("P2", "1.2.5", None),
    ]  # fmt: skip


def test_no_header_field_is_kept_but_those_of_the_list(dicom, tmp_path):
    dicom.write_cine(
        tmp_path, PatientAge="053Y", PatientSex="F", MagneticFieldStrength=1.5, StudyDescription="secret"
    )
    assert dicom.only(tmp_path).columns == {
        "study_date": "20200131", "manufacturer": "ACME", "scanner": None, "field_strength": "1.5",
        "sex": "F", "age": 53,
    }  # fmt: skip


def test_the_summary_names_the_header_fields_that_are_kept():
    """It is what ``plugins show dicom`` prints, as the README says."""
    kept = DicomReader.__doc__.split("\n")[0].partition("; keeps ")[2].rstrip(".")
    assert kept.split(", ") == list(HEADER_COLUMNS)


def test_an_empty_patient_id_is_the_folders_name(dicom, tmp_path):
    dicom.write_cine(tmp_path / "anna" / "x", PatientID="")
    dicom.write_cine(tmp_path / "bert", PatientID=None, StudyInstanceUID="1.2.8")
    assert [case.patient for case in dicom.read(tmp_path)] == ["anna", "bert"]
    assert dicom.only(tmp_path / "bert").patient == "bert"


def test_localizers_are_single_images_with_their_plane(dicom, tmp_path):
    planes = {"axial": [1, 0, 0, 0, 1, 0], "sagittal": [0, 1, 0, 0, 0, -1], "coronal": [1, 0, 0, 0, 0, -1]}
    for number, orientation in enumerate(planes.values(), start=1):
        dicom.write(
            tmp_path / f"{number}",
            np.full((6, 8), number),
            ImageOrientationPatient=orientation,
            InstanceNumber=number,
        )
    dicom.write(tmp_path / "4", np.full((6, 8), 4), InstanceNumber=4)
    reader = DicomReader(DicomOptions())
    cases = list(reader.read(tmp_path))
    assert reader.frames == ("single",)
    assert [(c.case, c.columns["plane"], c.frames["single"][0, 0, 0]) for c in cases] == [
        ("P1-1", "axial", 1), ("P1-2", "sagittal", 2), ("P1-3", "coronal", 3), ("P1-4", "oblique", 4),
    ]  # fmt: skip


def test_a_repeated_localizer_is_no_cine(dicom, tmp_path):
    for number in (1, 2):
        dicom.write(tmp_path / f"{number}", np.ones((6, 8)), InstanceNumber=number, AcquisitionNumber=number)
    assert [list(case.frames) for case in dicom.read(tmp_path)] == [["single"], ["single"]]


def test_kind_chooses_in_a_mixed_source(dicom, tmp_path):
    dicom.write_cine(tmp_path / "cine")
    dicom.write(tmp_path / "scout.dcm", np.full((6, 8), 7), SeriesNumber=1, SeriesInstanceUID="1.2.1")
    assert list(dicom.only(tmp_path).frames) == list(dicom.only(tmp_path, kind="cine").frames) == ["ED", "ES"]
    case = dicom.only(tmp_path, kind="single")
    assert case.frames["single"].tolist() == np.full((1, 6, 8), 7).tolist()
    assert "left out: 12 images of cine series of this study" in case.notes
    (error,) = dicom.read(tmp_path / "cine", kind="single")
    assert "expected single images, found only cine" in str(error)


def test_a_radiograph_has_no_plane_and_is_taken_as_stored(dicom, tmp_path):
    dicom.write(
        tmp_path / "cxr.dcm",
        np.ones((6, 8)),
        Modality="DX",
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
    )
    case = dicom.only(tmp_path)
    assert (case.transform, case.columns["plane"]) == ("as stored", None)
    dicom.write(
        tmp_path / "cxr.dcm", np.ones((6, 8)), ImagePositionPatient=None, ImageOrientationPatient=None
    )
    (error,) = dicom.read(tmp_path)
    assert "ImagePositionPatient and ImageOrientationPatient missing" in str(error)


def test_labels_become_the_target_and_identifiers_are_dropped(dicom, tmp_path):
    dicom.write_cine(tmp_path / "src")
    labels = dicom.write_labels(
        tmp_path / "labels.csv", [["P1", "SC-1", "61", "HCM"], ["P9", "SC-9", "1", "NOR"]]
    )
    reader = DicomReader(DicomOptions(labels=labels))
    (case,) = reader.read(tmp_path / "src")
    assert reader.targets == {"label": {"kind": "class"}}
    assert case.columns["label"] == "HCM"
    assert case.columns["Age"] == "61"
    assert {"PatientID", "OriginalID", "Pathology"}.isdisjoint(case.columns)


@pytest.mark.parametrize("rows", [[["P2", "SC-1", "61", "HCM"]], [["P1", "SC-1", "61", ""]]])
def test_a_patient_without_label_is_named(dicom, tmp_path, rows):
    dicom.write_cine(tmp_path / "src")
    (error,) = dicom.read(tmp_path / "src", labels=dicom.write_labels(tmp_path / "labels.csv", rows))
    assert "labels.csv: expected a Pathology in a row whose PatientID is 'P1', found none" in str(error)


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([["P1", "a", "1", "x"], ["P1", "b", "2", "y"]], {}, "row 3: patient 'P1' is there twice"),
        ([["P1", "a"]], {}, "row 2: expected 4 cells, found 2"),
        (
            [],
            {"label_column": "Patology"},
            "--label-column: unknown column 'Patology': did you mean 'Pathology'",
        ),
        ([], {"patient_column": "id"}, "--patient-column: unknown column 'id'"),
    ],
)
def test_a_bad_table_of_labels_is_refused(dicom, tmp_path, rows, options, message):
    dicom.write_cine(tmp_path / "src")
    with pytest.raises(CmrbiasError, match=message):
        dicom.read(tmp_path / "src", labels=dicom.write_labels(tmp_path / "labels.csv", rows), **options)


@pytest.fixture(scope="module")
def sunnybrook(dicom, shared_data) -> list[Case]:
    root = shared_data / "sunnybrook"
    return dicom.read(root / "cine", contours=root / "contours", labels=root / "scd_patientdata.csv")


def test_sunnybrooks_ed_and_es_are_where_the_experts_drew(sunnybrook):
    notes = {case.patient: case.notes for case in sunnybrook}
    assert set(notes) == {"SCD0000101", "SCD0000301"}
    assert "ED is phase 19 of 20 (9 slices with outer contours)" in notes["SCD0000101"]
    assert "ES is phase 8 of 20 (9 slices with inner contours)" in notes["SCD0000101"]
    assert "ED is phase 20 of 20 (10 slices with outer contours)" in notes["SCD0000301"]
    assert "ES is phase 7 of 20 (10 slices with inner contours)" in notes["SCD0000301"]
    assert {case.columns["label"] for case in sunnybrook} == {"Heart failure with infarct"}
    assert [case.frames["ED"].shape for case in sunnybrook] == [(12, 256, 256), (10, 256, 256)]


def test_sunnybrooks_masks_lie_on_the_bright_pool(sunnybrook):
    from scipy.ndimage import binary_dilation

    for case in sunnybrook:
        for frame, ring_of in (("ED", 2), ("ES", 3)):
            for image, mask in zip(case.frames[frame], case.masks[frame], strict=True):
                pool = mask == 3
                if pool.any():
                    ring = (mask == 2) if ring_of == 2 else binary_dilation(pool, iterations=3) & ~pool
                    assert image[pool].mean() > 1.3 * image[ring].mean()
        assert (case.masks["ED"] == 3).sum() > (case.masks["ES"] == 3).sum()


def test_sunnybrooks_localizers_are_single_images_with_labels(dicom, shared_data):
    root = shared_data / "sunnybrook"
    cases = dicom.read(root / "localizers", labels=root / "scd_patientdata.csv")
    assert len(cases) == len({case.case for case in cases}) == 128
    assert len({case.patient for case in cases}) == 32
    assert {case.columns["plane"] for case in cases} == {"axial", "sagittal", "coronal"}
    assert len({case.columns["label"] for case in cases}) == 4


def test_sunnybrook_with_a_lost_file_names_the_slice(dicom, shared_data, tmp_path):
    source = tmp_path / "cine"
    shutil.copytree(shared_data / "sunnybrook" / "cine" / "SCD0000301", source, copy_function=shutil.copyfile)
    (source / "47.dcm").unlink()
    (error,) = dicom.read(source)
    assert "slice 8 of 10 has 19 phases, expected 20" in str(error)


def test_sunnybrook_imports_as_a_cohort_without_identifiers(shared_data, tmp_path):
    from click.testing import CliRunner

    from cmrbias.cli.main import make_cli
    from cmrbias.cohorts.format import Cohort

    root, out = shared_data / "sunnybrook", tmp_path / "cohort"
    command = ["cohort", "import", "dicom", str(root / "cine"), str(out), "--size", "128"]
    command += ["--contours", str(root / "contours"), "--labels", str(root / "scd_patientdata.csv")]
    result = CliRunner().invoke(make_cli(), command)
    assert result.exit_code == 0, result.output
    cohort = Cohort.open(out)
    assert (len(cohort), cohort.frames, cohort.structures) == (2, ("ED", "ES"), ("MYO", "LV"))
    np.testing.assert_array_equal(cohort.complete(), [[True, False], [True, False]])
    text = (out / "cases.csv").read_text() + (out / "cohort.json").read_text()
    assert not any(name in text for name in ("SCD0000", "SC-HF-I", "20120000", "2.16.124"))
