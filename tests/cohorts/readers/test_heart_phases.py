"""ED, ES and masks from contour files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cmrbias.cohorts.readers.contours import fill_polygon
from cmrbias.cohorts.readers.dicom import DicomOptions, DicomReader
from cmrbias.errors import CmrbiasError

INNER = np.array([[2.2, 1.2], [6.4, 1.2], [6.4, 4.4], [2.2, 4.4]])
OUTER = INNER + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])


def write_contour(folder: Path, number: int, kind: str, points: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join(f"{x + 1:.3f} {y + 1:.3f}" for x, y in points)
    (folder / f"IM-0001-{number:04d}-{kind}contour-manual.txt").write_text(text)


def small(points: np.ndarray) -> np.ndarray:
    return points.mean(0) + 0.6 * (points - points.mean(0))


def test_ed_is_the_phase_with_outer_contours(dicom, tmp_path):
    dicom.write_cine(tmp_path / "src", slices=3, phases=4)  # InstanceNumber 4 * slice + phase + 1
    folder = tmp_path / "contours" / "P1"
    for slice_ in (1, 2):
        write_contour(folder, 4 * slice_ + 3, "i", small(INNER))  # the smaller pool: outer contours decide
        write_contour(folder, 4 * slice_ + 3, "o", OUTER)
        write_contour(folder, 4 * slice_ + 2, "i", INNER)
    reader = DicomReader(DicomOptions(contours=tmp_path / "contours"))
    (case,) = reader.read(tmp_path / "src")
    assert reader.structures == ("MYO", "LV")
    assert dicom.values(case, "ED") == dicom.expected(3, 2)
    assert dicom.values(case, "ES") == dicom.expected(3, 1)
    assert case.structures == {"ED": ((), ("MYO", "LV"), ("MYO", "LV")), "ES": ((), ("LV",), ("LV",))}
    np.testing.assert_array_equal(case.masks["ES"][1] == 3, fill_polygon(INNER, (6, 8)))
    np.testing.assert_array_equal(case.masks["ED"][1] != 0, fill_polygon(OUTER, (6, 8)))
    assert not case.masks["ED"][0].any()
    assert "ED is phase 3 of 4 (2 slices with outer contours)" in case.notes
    assert "ES is phase 2 of 4 (2 slices with inner contours)" in case.notes
    assert len(case.sources) == 6 + 6


def test_without_outer_contours_ed_has_the_larger_pool(dicom, tmp_path):
    dicom.write_cine(tmp_path / "src")
    folder = tmp_path / "contours" / "P1"
    write_contour(folder, 2, "i", small(INNER))
    write_contour(folder, 4, "i", INNER)
    case = dicom.only(tmp_path / "src", contours=tmp_path / "contours")
    assert dicom.values(case, "ED") == dicom.expected(3, 3)
    assert dicom.values(case, "ES") == dicom.expected(3, 1)
    assert "ED is phase 4 of 4 (the larger pool)" in case.notes


def test_with_one_contoured_phase_es_is_mid_cycle_and_has_no_mask(dicom, tmp_path):
    dicom.write_cine(tmp_path / "src")
    write_contour(tmp_path / "contours" / "P1", 4, "i", INNER)
    case = dicom.only(tmp_path / "src", contours=tmp_path / "contours")
    assert dicom.values(case, "ES") == dicom.expected(3, 1)
    assert list(case.masks) == ["ED"]
    assert "ES is phase 2 of 4 (mid-cycle after ED, not contoured)" in case.notes


def test_contours_go_through_the_images_transform(dicom, tmp_path):
    """The pool is bright in the stored image, so the mask must lie on the bright pixels of the turned one."""
    pool = fill_polygon(INNER, (6, 8))
    for t in range(2):
        dicom.write(
            tmp_path / "src" / f"{t}.dcm", np.where(pool, 900, 100), TriggerTime=40.0 * t,
            InstanceNumber=t + 1, ImageOrientationPatient=[0, 0, -1, -1, 0, 0],
        )  # fmt: skip
        write_contour(tmp_path / "contours" / "P1", t + 1, "i", INNER)
    case = dicom.only(tmp_path / "src", contours=tmp_path / "contours")
    assert case.transform != "as stored"
    assert case.frames["ED"].shape == (1, 8, 6)
    np.testing.assert_array_equal(case.masks["ED"] == 3, case.frames["ED"] == 900)


def test_the_contour_folder_may_be_named_by_a_column_of_labels(dicom, tmp_path):
    dicom.write_cine(tmp_path / "src")
    write_contour(tmp_path / "contours" / "SC-1", 4, "i", INNER)
    labels = dicom.write_labels(tmp_path / "labels.csv", [["P1", "SC-1", "61", "HCM"]])
    case = dicom.only(tmp_path / "src", contours=tmp_path / "contours", labels=labels)
    assert dicom.values(case, "ED") == dicom.expected(3, 3)
    (error,) = dicom.read(tmp_path / "src", contours=tmp_path / "contours")
    assert "expected a subfolder P1 with the contours of patient 'P1', found none" in str(error)
    assert "a table may name it: --labels FILE, its column by --contour-column" in str(error)
    labels = dicom.write_labels(tmp_path / "other.csv", [["P1", "SC-2", "61", "HCM"]])
    (error,) = dicom.read(tmp_path / "src", contours=tmp_path / "contours", labels=labels)
    assert "expected a subfolder SC-2 or P1" in str(error)
    assert "named by the column 'OriginalID' of --labels" in str(error)


def test_a_contour_without_its_image_is_named(dicom, tmp_path):
    dicom.write_cine(tmp_path / "src")
    write_contour(tmp_path / "contours" / "P1", 99, "i", INNER)
    (error,) = dicom.read(tmp_path / "src", contours=tmp_path / "contours")
    assert "IM-0001-0099-icontour-manual.txt: expected an image with InstanceNumber 99" in str(error)


def test_a_contour_of_two_images_is_named(dicom, tmp_path):
    dicom.write_cine(tmp_path / "src", InstanceNumber=lambda t: t + 1)
    write_contour(tmp_path / "contours" / "P1", 2, "i", INNER)
    (error,) = dicom.read(tmp_path / "src", contours=tmp_path / "contours")
    assert "InstanceNumber 2 occurs twice in the stack" in str(error)


def test_a_missing_contour_folder_is_refused(dicom, tmp_path):
    dicom.write_cine(tmp_path / "src")
    with pytest.raises(CmrbiasError, match=r"--contours .*nowhere: expected a folder, found none"):
        dicom.read(tmp_path / "src", contours=tmp_path / "nowhere")
