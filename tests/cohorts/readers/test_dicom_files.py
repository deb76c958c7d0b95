"""Pixels of DICOM files: rescale, inversion, padding, enhanced multi-frame, transfer syntaxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, JPEGLosslessSV1

US_MULTIFRAME = "1.2.840.10008.5.1.4.1.1.3.1"


def single(dicom, tmp_path: Path, pixels, **fields) -> np.ndarray:
    dicom.write(tmp_path / "one.dcm", np.asarray(pixels), **fields)
    return dicom.only(tmp_path).frames["single"][0]


def test_rescale_slope_and_intercept_are_applied(dicom, tmp_path):
    pixels = np.arange(6).reshape(2, 3)
    np.testing.assert_allclose(
        single(dicom, tmp_path, pixels, RescaleSlope=2.5, RescaleIntercept=-3), pixels * 2.5 - 3
    )


def test_a_modality_lut_is_applied(dicom, tmp_path):
    lut = Dataset()
    lut.LUTDescriptor, lut.ModalityLUTType, lut.LUTData = [4, 0, 16], "US", [7, 50, 20, 9]
    lut["LUTDescriptor"].VR = lut["LUTData"].VR = "US"
    result = single(dicom, tmp_path, [[0, 1], [2, 3]], ModalityLUTSequence=Sequence([lut]))
    np.testing.assert_array_equal(result, [[7, 50], [20, 9]])


@pytest.mark.parametrize(("bits", "signed"), [(12, 0), (16, 0), (12, 1)])
def test_monochrome1_is_inverted_within_the_stored_range(dicom, tmp_path, bits, signed):
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    pixels = np.array([[low, high], [10, 20]])
    fields = {
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": signed,
        "RescaleSlope": 2,
        "RescaleIntercept": 1,
    }
    result = single(dicom, tmp_path, pixels, PhotometricInterpretation="MONOCHROME1", **fields)
    np.testing.assert_array_equal(result, 2 * (low + high - pixels) + 1)


def test_padding_is_zero_before_and_after_inversion(dicom, tmp_path):
    pixels = np.array([[4000, 3000], [2000, 1000]])
    fields = {"BitsStored": 12, "HighBit": 11, "RescaleIntercept": 5, "RescaleSlope": 1}
    result = single(dicom, tmp_path, pixels, PixelPaddingValue=4000, **fields)
    np.testing.assert_array_equal(result, [[0, 3005], [2005, 1005]])
    result = single(
        dicom, tmp_path, pixels, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=3000,
        PixelPaddingRangeLimit=4095, **fields,
    )  # fmt: skip
    np.testing.assert_array_equal(result, [[0, 0], [2100, 3100]])


def enhanced(
    dicom, path: Path, slices: int = 2, phases: int = 3, parts: tuple[str, ...] = ("MAGNITUDE",)
) -> np.ndarray:
    """Writes an enhanced MR file, frames in scrambled order; returns its pixels (slice, phase, H, W).

    Those of each part lie behind those of the one before it; all but magnitudes are 7.
    """
    pixels = np.random.default_rng(5).integers(1, 2000, (slices, phases, 6, 8))
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, plane.ImageOrientationPatient = [1.25, 1.5], dicom.SHORT_AXIS
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([plane])
    own, order = [], [(p, z, t) for p in parts for t in reversed(range(phases)) for z in range(slices)]
    for part, z, t in order:
        groups, position, cardiac, values, kind = (Dataset() for _ in range(5))
        position.ImagePositionPatient = [float(v) for v in 8.0 * z * dicom.NORMAL]
        cardiac.NominalCardiacTriggerDelayTime = 40.0 * t
        values.RescaleSlope, values.RescaleIntercept = 1 + z, t
        kind.FrameType = ["ORIGINAL", "PRIMARY", "VELOCITY" if part == "PHASE" else "NONE", "NONE"]
        kind.ComplexImageComponent = part
        groups.MRImageFrameTypeSequence = Sequence([kind])
        groups.PlanePositionSequence = Sequence([position])
        groups.CardiacSynchronizationSequence = Sequence([cardiac])
        groups.PixelValueTransformationSequence = Sequence([values])
        own.append(groups)
    frames = [pixels[z, t] if part == "MAGNITUDE" else np.full((6, 8), 7) for part, z, t in order]
    dicom.write(
        path, np.stack(frames), SOPClassUID=EnhancedMRImageStorage, ComplexImageComponent="MIXED",
        ImageType=["ORIGINAL", "PRIMARY", "MIXED", "NONE"],
        NumberOfFrames=len(order), SharedFunctionalGroupsSequence=Sequence([shared]),
        PerFrameFunctionalGroupsSequence=Sequence(own), ImagePositionPatient=None,
        ImageOrientationPatient=None, PixelSpacing=None,
    )  # fmt: skip
    z, t = np.arange(slices)[:, None, None, None], np.arange(phases)[:, None, None]
    return pixels * (1 + z) + t


def test_an_enhanced_multi_frame_file_is_read_like_single_frames(dicom, tmp_path):
    pixels = enhanced(dicom, tmp_path / "enhanced.dcm")
    case = dicom.only(tmp_path)
    np.testing.assert_array_equal(case.frames["ED"], pixels[:, 0])
    np.testing.assert_array_equal(case.frames["ES"], pixels[:, 1])
    assert case.spacing == (1.25, 1.5)
    assert case.sources == [tmp_path / "enhanced.dcm"]
    assert "phases ordered by TriggerTime" in case.notes


@pytest.mark.parametrize("other", ["PHASE", "REAL", "IMAGINARY"])
@pytest.mark.parametrize("magnitude_first", [True, False])
def test_of_an_enhanced_file_magnitudes_are_taken(dicom, tmp_path, other, magnitude_first):
    """Each frame says what it is; the file's own type is MIXED."""
    parts = ("MAGNITUDE", other) if magnitude_first else (other, "MAGNITUDE")
    pixels = enhanced(dicom, tmp_path / "enhanced.dcm", parts=parts)
    case = dicom.only(tmp_path)
    np.testing.assert_array_equal(case.frames["ED"], pixels[:, 0])
    np.testing.assert_array_equal(case.frames["ES"], pixels[:, 1])
    assert "ignored: 6 images that are no magnitudes (phase, velocity, real, imaginary)" in case.notes


def test_an_enhanced_file_of_one_frame_is_an_image(dicom, tmp_path):
    pixels = enhanced(dicom, tmp_path / "enhanced.dcm", slices=1, phases=1)
    case = dicom.only(tmp_path)
    np.testing.assert_array_equal(case.frames["single"], pixels[0])
    assert case.columns["plane"] == "oblique"


def test_another_multi_frame_file_is_refused_by_its_class(dicom, tmp_path):
    dicom.write(tmp_path / "us.dcm", np.ones((3, 6, 8)), NumberOfFrames=3, SOPClassUID=US_MULTIFRAME)
    (error,) = dicom.read(tmp_path)
    assert "multi-frame files of class 'Ultrasound Multi-frame Image Storage' are not supported" in str(error)


def test_an_undecodable_transfer_syntax_names_packages(dicom, tmp_path):
    if get_decoder(JPEGLosslessSV1).is_available:
        pytest.skip("a package that decodes JPEG Lossless is installed here")
    file = dicom.write(tmp_path / "jpeg.dcm", np.ones((6, 8)))
    header = dcmread(file)
    header.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    header.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    header["PixelData"].VR, header["PixelData"].is_undefined_length = "OB", True
    header.save_as(file)
    (error,) = dicom.read(tmp_path)
    assert str(error).startswith(f"{file}: transfer syntax 'JPEG Lossless")
    assert "pip install gdcm>=3" in str(error)
    assert ", or pylibjpeg>=2.0 and pylibjpeg-libjpeg>=2.1" in str(error)
