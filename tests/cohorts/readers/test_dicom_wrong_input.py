"""DICOM folders that cannot be used: one line that names the file or series, and never a crash."""

from __future__ import annotations

import numpy as np
import pytest

from cmrbias.cohorts.case import SourceError
from cmrbias.errors import CmrbiasError


def test_burned_in_text_is_refused_without_the_flag(dicom, tmp_path):
    dicom.write_cine(tmp_path, BurnedInAnnotation="YES")
    (error,) = dicom.read(tmp_path)
    assert "BurnedInAnnotation is YES in 12 of 12 images of series 4" in str(error)
    assert "--allow-burned-in" in str(error)
    assert dicom.values(dicom.only(tmp_path, allow_burned_in=True), "ED") == dicom.expected(3, 0)


def test_other_files_are_ignored_and_counted(dicom, tmp_path):
    dicom.write_cine(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty.dcm").write_bytes(b"")
    report = dicom.write(tmp_path / "report.dcm", np.ones((6, 8)), Rows=None, Columns=None, PixelData=None)
    assert report.exists()
    case = dicom.only(tmp_path)
    assert "ignored: 1 DICOM files without an image, 2 files without DICOM's preamble" in case.notes


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_a_source_without_dicom_is_refused(dicom, tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CmrbiasError, match=r"expected (a folder of )?DICOM (files|images), found no"):
        dicom.read(tmp_path / name)


def test_truncated_pixel_data_names_the_file(dicom, tmp_path):
    dicom.write_cine(tmp_path)
    file = tmp_path / "1-0-0.dcm"
    file.write_bytes(file.read_bytes()[:-20])
    (error,) = dicom.read(tmp_path)
    assert str(file) in str(error)
    assert "pixel data cannot be read" in str(error)


def test_a_file_cut_anywhere_is_an_error_or_an_image_but_never_a_crash(dicom, tmp_path):
    whole = dicom.write(tmp_path / "whole.dcm", np.arange(48).reshape(6, 8)).read_bytes()
    (tmp_path / "whole.dcm").unlink()
    file = tmp_path / "cut.dcm"
    for length in range(132, len(whole), 7):
        file.write_bytes(whole[:length])
        try:
            results = dicom.read(tmp_path)
        except CmrbiasError:  # the header ends before Rows: a DICOM file without an image
            continue
        assert all(isinstance(result, SourceError) and "cut.dcm" in str(result) for result in results), length


def test_an_image_that_does_not_say_where_it_lies_fails_its_study(dicom, tmp_path):
    dicom.write_cine(tmp_path / "good", PatientID="P0", StudyInstanceUID="1.2.7")
    dicom.write_cine(tmp_path / "bad")
    dicom.write(tmp_path / "bad" / "2-3-0.dcm", np.ones((6, 8)), ImagePositionPatient=None, InstanceNumber=12)
    case, error = dicom.read(tmp_path)
    assert case.patient == "P0"
    assert "2-3-0.dcm: ImagePositionPatient missing in series 4" in str(error)


def test_directions_that_are_not_perpendicular_are_named(dicom, tmp_path):
    dicom.write_cine(tmp_path, ImageOrientationPatient=[1, 0, 0, 0.5, 0.5, 0])
    (error,) = dicom.read(tmp_path)
    assert "ImageOrientationPatient: expected directions at right angles" in str(error)


def test_a_slice_without_all_phases_is_named(dicom, tmp_path):
    dicom.write_cine(tmp_path, slices=4)
    (tmp_path / "2-1-0.dcm").unlink()
    (error,) = dicom.read(tmp_path)
    assert "series 4: slice 3 of 4 has 3 phases, expected 4" in str(error)


def test_unequal_sizes_in_a_stack_are_named(dicom, tmp_path):
    dicom.write_cine(tmp_path, slices=2)
    dicom.write_slice(tmp_path, 2, shape=(6, 10))
    (error,) = dicom.read(tmp_path)
    assert "2-0-0.dcm: (6, 10) pixels" in str(error)
    assert "expected (6, 8)" in str(error)


def test_unequal_spacing_in_a_stack_is_named(dicom, tmp_path):
    dicom.write_cine(tmp_path, slices=2)
    dicom.write_slice(tmp_path, 2, PixelSpacing=[1.25, 1.25])
    (error,) = dicom.read(tmp_path)
    assert "(1.25, 1.25) mm" in str(error)


@pytest.mark.parametrize("spacing", [[0, 1], [-1.5, 1.5]])
def test_a_spacing_of_no_size_is_named(dicom, tmp_path, spacing):
    dicom.write(tmp_path / "flat.dcm", np.ones((6, 8)), PixelSpacing=spacing)
    (error,) = dicom.read(tmp_path)
    assert "flat.dcm: its header cannot be read: expected a PixelSpacing over 0 mm" in str(error)


def test_colour_is_refused(dicom, tmp_path):
    dicom.write(tmp_path / "rgb.dcm", np.ones((6, 8)), PhotometricInterpretation="RGB", SamplesPerPixel=3)
    (error,) = dicom.read(tmp_path)
    assert "rgb.dcm: expected a grey image (MONOCHROME1 or 2), found 'RGB'" in str(error)


def test_a_study_without_cine_is_an_error_among_cine(dicom, tmp_path):
    dicom.write_cine(tmp_path / "a")
    dicom.write(tmp_path / "b.dcm", np.ones((6, 8)), PatientID="P2", StudyInstanceUID="1.2.9")
    case, error = dicom.read(tmp_path)
    assert case.patient == "P1"
    assert "patient 'P2': expected a cine stack, found 1 single images only" in str(error)
