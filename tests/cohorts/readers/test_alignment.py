"""A mask lies on its image's pixels whatever the files' axes and headers are, or it is refused.

The images are square and the label is at one pixel, so that no shape tells a wrong order.
"""

import nibabel
import numpy as np
import pytest
from PIL import Image

from cmrbias.cohorts.case import SourceError
from cmrbias.cohorts.readers.alignment import labels_on
from cmrbias.cohorts.readers.imagefile import open_image, open_labels

VOXELS = np.random.default_rng(0).integers(1, 200, (5, 5, 5)).astype(np.uint8)  # x, y, z
LABELS = np.zeros_like(VOXELS)
LABELS[1, 0, 3] = 3
VOXELS[1, 0, 3] = 255  # the label belongs on the brightest voxel
AS_STORED = np.diag([-1.5, -1.5, 8.0, 1.0])
TURNED = np.array([[0.0, 1.5, 0, 9], [-1.5, 0, 0, 7], [0, 0, -8, 5], [0, 0, 0, 1]])


def nifti(path, voxels, affine):
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)
    return path


def array(path, pixels):
    np.save(path, pixels)
    return path


def png(path, pixels):
    Image.fromarray(pixels).save(path)
    return path


def check_on_brightest(image_path, mask_path):
    image = open_image(image_path)
    labels = labels_on(image, open_labels(mask_path))
    np.testing.assert_array_equal(labels != 0, image.pixels == 255)


def refused(image_path, mask_path):
    with pytest.raises(SourceError) as caught:
        labels_on(open_image(image_path), open_labels(mask_path))
    message = str(caught.value)
    assert message.startswith(f"{mask_path}: ")
    assert str(image_path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("affine", [AS_STORED, TURNED])
def test_nifti_with_the_same_header(tmp_path, affine):
    image = nifti(tmp_path / "i.nii", VOXELS, affine)
    check_on_brightest(image, nifti(tmp_path / "m.nii", LABELS, affine))


def test_nifti_of_another_spacing_and_position_lies_on_the_images_voxels(tmp_path):
    image = nifti(tmp_path / "i.nii", VOXELS, AS_STORED)
    check_on_brightest(image, nifti(tmp_path / "m.nii", LABELS, np.diag([-1.0, -1, 1, 1])))


@pytest.mark.parametrize("affine", [AS_STORED, TURNED])
def test_nifti_without_orientation_lies_on_the_images_voxels(tmp_path, affine):
    oriented = nifti(tmp_path / "i.nii", VOXELS, affine)
    check_on_brightest(oriented, nifti(tmp_path / "m.nii", LABELS, None))
    plain = nifti(tmp_path / "plain.nii", VOXELS, None)
    check_on_brightest(plain, nifti(tmp_path / "m2.nii", LABELS, affine))


def test_nifti_stored_along_other_axes_at_the_same_place(tmp_path):
    image = nifti(tmp_path / "i.nii", VOXELS, TURNED)
    mask = nibabel.as_closest_canonical(nibabel.Nifti1Image(LABELS, TURNED))
    assert not np.array_equal(mask.dataobj, LABELS)
    nibabel.save(mask, tmp_path / "m.nii")
    check_on_brightest(image, tmp_path / "m.nii")


@pytest.mark.parametrize("affine", [AS_STORED, TURNED])
def test_nifti_whose_header_turns_it_and_puts_it_elsewhere_is_refused(tmp_path, affine):
    image = nifti(tmp_path / "i.nii", VOXELS, affine)
    message = refused(image, nifti(tmp_path / "m.nii", LABELS, np.eye(4)))
    assert "its header turns it (row order reversed, column order reversed) otherwise than" in message
    assert "mm from the image's" in message
    assert "save the mask as NIfTI" in message


def test_nifti_whose_slices_alone_run_the_other_way_is_refused(tmp_path):
    image = nifti(tmp_path / "i.nii", VOXELS, AS_STORED)
    mask = nifti(tmp_path / "m.nii", LABELS, np.diag([-1.5, -1.5, -8, 1]))
    assert "as stored, slice order reversed" in refused(image, mask)


@pytest.mark.parametrize("affine", [AS_STORED, TURNED, None])
@pytest.mark.parametrize("labels", [LABELS, LABELS.T])
def test_an_array_beside_nifti_is_refused_since_its_axes_are_unknown(tmp_path, affine, labels):
    image = nifti(tmp_path / "i.nii", VOXELS, affine)
    assert "of equal sides may be (x, y, z) or (z, y, x)" in refused(image, array(tmp_path / "m.npy", labels))
    image = array(tmp_path / "i.npy", VOXELS.T)
    message = refused(image, nifti(tmp_path / "m.nii", labels, affine))
    assert "save the mask as .npy or .png" in message


def test_an_array_of_unequal_sides_beside_nifti_that_nothing_turns(tmp_path):
    image, labels = VOXELS[:, :4, 3], LABELS[:, :4, 3]
    plain = nifti(tmp_path / "i.nii", image, AS_STORED)
    check_on_brightest(plain, array(tmp_path / "m.npy", labels.T))
    turned = nifti(tmp_path / "turned.nii", image, TURNED)
    assert "a header turns one of them" in refused(turned, tmp_path / "m.npy")


def test_a_picture_beside_nifti_that_nothing_turns(tmp_path):
    image, labels = VOXELS[:, :, 3], LABELS[:, :, 3]
    check_on_brightest(nifti(tmp_path / "i.nii", image, AS_STORED), png(tmp_path / "m.png", labels.T))
    check_on_brightest(png(tmp_path / "i.png", image.T), nifti(tmp_path / "m.nii", labels, AS_STORED))


def test_a_picture_beside_nifti_that_is_turned_is_refused(tmp_path):
    image, labels = VOXELS[:, :, 3], LABELS[:, :, 3]
    message = refused(nifti(tmp_path / "i.nii", image, TURNED), png(tmp_path / "m.png", labels.T))
    assert "a header turns one of them" in message
    refused(png(tmp_path / "i.png", image.T), nifti(tmp_path / "m.nii", labels, np.eye(4)))


@pytest.mark.parametrize("orientation", [None, [1, 0, 0, 0, 1, 0], [0, 1, 0, 1, 0, 0], [-1, 0, 0, 0, -1, 0]])
def test_what_has_rows_and_columns_lies_on_a_dicom_images_stored_ones(dicom, tmp_path, orientation):
    rows, labels = VOXELS[:, :, 3].T, LABELS[:, :, 3].T
    said = {"ImageOrientationPatient": orientation}
    image = dicom.write(tmp_path / "i.dcm", rows, **said)
    check_on_brightest(image, array(tmp_path / "m.npy", labels))
    check_on_brightest(image, png(tmp_path / "m.png", labels))
    check_on_brightest(image, dicom.write(tmp_path / "m.dcm", labels, ImageOrientationPatient=None))
    check_on_brightest(png(tmp_path / "i.png", rows), dicom.write(tmp_path / "o.dcm", labels, **said))


def test_nifti_and_dicom_lie_where_both_headers_say(dicom, tmp_path):
    """As dcm2niix writes it: y runs against DICOM's rows."""
    rows, labels = VOXELS[:, :, 3].T, LABELS[:, :, 3]
    said = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1.5, 1.5]}
    image = dicom.write(tmp_path / "i.dcm", rows, **said, ImagePositionPatient=[10, 20, 30])
    affine = np.array([[-1.5, 0, 0, -10], [0, 1.5, 0, -20 - 4 * 1.5], [0, 0, 8, 30], [0, 0, 0, 1]])
    check_on_brightest(image, nifti(tmp_path / "m.nii", labels[:, ::-1], affine))
    assert "up to " in refused(image, nifti(tmp_path / "elsewhere.nii", labels[:, ::-1], np.eye(4)))
    unplaced = dicom.write(tmp_path / "unplaced.dcm", rows, **said, ImagePositionPatient=None)
    assert "not both known" in refused(unplaced, tmp_path / "m.nii")
