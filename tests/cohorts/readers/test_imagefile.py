"""Every kind of file that a table may name opens as (Z, H, W), and a damaged one is named."""

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from cmrbias.cohorts.case import SourceError
from cmrbias.cohorts.readers.imagefile import open_image, open_labels

GREY = np.arange(20, dtype=np.uint8).reshape(4, 5) * 12
DEEP = GREY.astype(np.uint16) * 250


def write_dicom(path, pixels, **fields):
    header = pydicom.Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    header.Rows, header.Columns = pixels.shape
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit, header.PixelRepresentation = 15, 0
    header.PixelData = pixels.astype("<u2").tobytes()
    for name, value in fields.items():
        setattr(header, name, value)
    header.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize(
    ("name", "write", "expected"),
    [
        ("grey.png", lambda p: Image.fromarray(GREY).save(p), GREY),
        ("deep.png", lambda p: Image.fromarray(DEEP).save(p), DEEP),
        ("bits.png", lambda p: Image.fromarray(GREY > 100).save(p), (GREY > 100) * 255),
        ("grey.JPG", lambda p: Image.fromarray(np.full((4, 5), 77, np.uint8)).save(p), np.full((4, 5), 77)),
        ("flat.npy", lambda p: np.save(p, DEEP), DEEP),
        ("stack.npy", lambda p: np.save(p, np.stack([DEEP, DEEP + 1])), np.stack([DEEP, DEEP + 1])),
        ("bool.npy", lambda p: np.save(p, GREY > 100), GREY > 100),
        ("plain.dcm", lambda p: write_dicom(p, DEEP), DEEP),
        ("noending", lambda p: write_dicom(p, DEEP), DEEP),
        ("rescaled.dcm", lambda p: write_dicom(p, DEEP, RescaleSlope=2, RescaleIntercept=-7), 2.0 * DEEP - 7),
    ],
)
def test_smoke_each_kind(tmp_path, name, write, expected):
    write(tmp_path / name)
    image = open_image(tmp_path / name)
    np.testing.assert_array_equal(image.pixels, _stack(expected))
    assert image.spacing is None
    assert image.notes == []


def _stack(pixels):
    return pixels if pixels.ndim == 3 else pixels[None]


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_nifti_is_turned_by_its_affine_and_has_a_spacing(tmp_path, ending):
    voxels = np.arange(24, dtype=np.int16).reshape(4, 3, 2)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([1.0, -2.0, 5.0, 1.0])), tmp_path / f"image{ending}")
    image = open_image(tmp_path / f"image{ending}")
    np.testing.assert_array_equal(image.pixels, voxels.T[:, :, ::-1])
    assert image.spacing == pytest.approx((2.0, 1.0))
    assert "column order reversed" in image.transform


def test_nifti_in_micrometres(tmp_path):
    image = nibabel.Nifti1Image(np.ones((4, 3), np.uint8), np.diag([1200.0, 1500.0, 5.0, 1.0]))
    image.header.set_xyzt_units("micron")
    nibabel.save(image, tmp_path / "image.nii")
    assert open_image(tmp_path / "image.nii").spacing == pytest.approx((1.5, 1.2))


def test_dicom_is_turned_by_its_orientation(tmp_path):
    # stored with rows to the left and columns to the back: rows and columns change places
    fields = {"ImageOrientationPatient": [0, 1, 0, 1, 0, 0], "PixelSpacing": [1.5, 1.25]}
    write_dicom(tmp_path / "image.dcm", DEEP, **fields)
    image = open_image(tmp_path / "image.dcm")
    np.testing.assert_array_equal(image.pixels[0], DEEP.T)
    assert image.spacing == (1.25, 1.5)


def test_colours_with_equal_channels_are_grey_without_a_word(tmp_path):
    Image.fromarray(np.stack([GREY] * 3, axis=-1)).save(tmp_path / "image.png")
    image = open_image(tmp_path / "image.png")
    np.testing.assert_array_equal(image.pixels[0], GREY)
    assert image.notes == []


def test_other_colours_become_luminance_and_it_is_said(tmp_path):
    pixels = np.zeros((1, 3, 3), np.uint8)
    pixels[0, 0, 0] = pixels[0, 1, 1] = pixels[0, 2, 2] = 200
    Image.fromarray(pixels).save(tmp_path / "image.png")
    image = open_image(tmp_path / "image.png")
    assert image.pixels[0, 0].tolist() == [60, 117, 23]  # 200 x 0.299, 0.587, 0.114
    assert "luminance" in image.notes[0]


def test_alpha_is_dropped_and_it_is_said(tmp_path):
    Image.merge("LA", [Image.fromarray(GREY)] * 2).save(tmp_path / "image.png")
    image = open_image(tmp_path / "image.png")
    np.testing.assert_array_equal(image.pixels[0], GREY)
    assert image.notes == ["the alpha channel was dropped"]


def test_labels_of_a_palette_are_its_indices(tmp_path):
    labels = GREY // 12 % 4
    picture = Image.frombytes("P", (5, 4), labels.tobytes())
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(open_labels(tmp_path / "mask.png").pixels[0], labels)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.png", None, "no such file"),
        ("broken.png", b"\x89PNG\r\n\x1a\n broken", "damaged or cut short"),
        ("broken.jpg", b"", "damaged or cut short"),
        ("broken.npy", b"\x93NUMPY\x01\x00", "damaged or cut short"),
        ("broken.nii.gz", b"\x1f\x8b\x08 broken", "damaged or cut short"),
        ("broken.dcm", b"no DICOM", "cannot be read"),
        ("unknown.tif", b"II*", "unknown kind of file"),
    ],
)
def test_a_bad_file_is_named(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        open_image(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("name", ["image.png", "image.jpg", "image.npy", "image.dcm", "image.nii"])
def test_a_file_cut_short_is_named(tmp_path, name):
    path = tmp_path / name
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    if name.endswith("npy"):
        np.save(path, noise)
    elif name.endswith("dcm"):
        write_dicom(path, noise)
    elif name.endswith("nii"):
        nibabel.save(nibabel.Nifti1Image(noise, np.eye(4)), path)
    else:
        Image.fromarray(noise).save(path)
    assert open_image(path).pixels.shape == (1, 64, 64)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(SourceError, match=name):
        open_image(path)


def test_pickled_arrays_are_refused(tmp_path):
    np.save(tmp_path / "image.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(SourceError, match=r"image\.npy"):
        open_image(tmp_path / "image.npy")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 2, 2, 2)), "expected .rows, columns."),
        (np.zeros(3), "expected .rows, columns."),
        (np.zeros((0, 4)), "expected .rows, columns."),
        (np.zeros((2, 2), complex), "expected numbers"),
    ],
)
def test_arrays_that_are_no_image(tmp_path, array, message):
    np.save(tmp_path / "image.npy", array)
    with pytest.raises(SourceError, match=message):
        open_image(tmp_path / "image.npy")


def test_burned_in_text_is_refused(tmp_path):
    write_dicom(tmp_path / "image.dcm", DEEP, BurnedInAnnotation="YES")
    with pytest.raises(SourceError, match="BurnedInAnnotation"):
        open_image(tmp_path / "image.dcm")


@pytest.mark.parametrize(
    ("name", "message"), [("mask.jpg", "JPEG blurs labels"), ("mask.png", "labels in one channel")]
)
def test_pictures_that_hold_no_labels(tmp_path, name, message):
    Image.fromarray(np.stack([GREY] * 3, axis=-1)).save(tmp_path / name)
    with pytest.raises(SourceError, match=message):
        open_labels(tmp_path / name)
