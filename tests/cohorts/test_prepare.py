"""Preparation, step by step, against numbers computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cmrbias.cohorts.case import Case, SourceError
from cmrbias.cohorts.prepare import PrepareOptions, preparation, prepare_case

FRAMES = ("ED", "ES")
AS_IS = PrepareOptions(size=16, pixel_size=1.5)  # of a source with 1.5 mm and 16 x 16 pixels: no geometry


def case_of(z: int = 5, shape=(16, 16), *, frames=FRAMES, seed: int = 0, **changes) -> Case:
    rng = np.random.default_rng(seed)
    stacks = {f: rng.integers(1, 1000, (z, *shape)).astype(np.int16) for f in frames}
    settings = {"case": "k1", "patient": "p1", "frames": stacks, "spacing": (1.5, 1.5)}
    return Case(**(settings | changes))


def masks_of(z: int, contoured: dict[str, dict[int, int]]) -> dict[str, np.ndarray]:
    """``{"ED": {2: 3}}``: label 3 in slice 2 of ED."""
    masks = {frame: np.zeros((z, 16, 16), dtype=np.uint8) for frame in contoured}
    for frame, slices in contoured.items():
        for slice_, label in slices.items():
            masks[frame][slice_, 4:8, 4:8] = label
    return masks


def test_min_max_over_the_whole_stack_then_the_slice() -> None:
    case = case_of()
    prepared = prepare_case(case, FRAMES, AS_IS)
    assert prepared.images.dtype == np.uint8
    for position, frame in enumerate(FRAMES):
        stack = case.frames[frame].astype(np.float64)
        scaled = (stack[2] - stack.min()) / (stack.max() - stack.min())
        np.testing.assert_array_equal(prepared.images[position], np.rint(255 * scaled))
    assert prepared.slice == 2
    assert prepared.masks is None
    assert prepared.pixel_size == 1.5


def test_halves_are_rounded_to_even() -> None:
    """Intensities 0.5, 1.5 and 2.5 of 255 become 0, 2 and 2."""
    image = np.full((1, 16, 16), 256.0)
    image[0, 0, :4] = 1.0, 1.5, 2.5, 3.5
    prepared = prepare_case(Case("k", "p", {"F": image}, spacing=(1.5, 1.5)), ("F",), AS_IS)
    assert prepared.images[0, 0, :4].tolist() == [0, 0, 2, 2]


def test_invalid_pixels_stay_zero_and_do_not_count() -> None:
    """Zeros of the source are no darkest value: the smallest other value is, and becomes 0 too."""
    case = case_of()
    for stack in case.frames.values():
        stack += 500
        stack[:, :3] = 0
        stack[:, :, 12:] = 0
    prepared = prepare_case(case, FRAMES, AS_IS)
    stack = case.frames["ED"].astype(np.float64)
    low, high = stack[stack != 0].min(), stack.max()
    expected = np.where(stack[2] == 0, 0, np.rint(255 * (stack[2] - low) / (high - low)))
    np.testing.assert_array_equal(prepared.images[0], expected)
    assert prepared.area == (3, 0, 13, 12)


def test_the_area_is_valid_in_all_frames() -> None:
    case = case_of()
    case.frames["ED"][:, :2] = 0
    case.frames["ES"][:, 13:] = 0
    assert prepare_case(case, FRAMES, AS_IS).area == (2, 0, 11, 16)


def test_a_smaller_image_is_padded_and_its_area_told() -> None:
    prepared = prepare_case(case_of(shape=(10, 12)), FRAMES, AS_IS)
    assert prepared.images.shape == (2, 16, 16)
    assert prepared.area == (3, 2, 10, 12)
    outside = np.ones((16, 16), dtype=bool)
    outside[3:13, 2:14] = False
    assert not prepared.images[:, outside].any()


def test_overshoot_is_clipped_to_the_source() -> None:
    """A step between 100 and 200: cubic interpolation overshoots, the prepared range does not."""
    image = np.full((1, 16, 16), 100.0)
    image[:, :, 8:] = 200.0
    case = Case("k", "p", {"F": image}, spacing=(2.0, 2.0))
    prepared = prepare_case(case, ("F",), PrepareOptions(size=20, pixel_size=1.5))
    assert prepared.images[0, :, 0].max() == 0
    assert prepared.images[0, :, -1].min() == 255


def test_scalings() -> None:
    case = case_of(seed=1)
    stack = case.frames["ED"].astype(np.float64)

    def image(scaling, dtype="uint8"):
        options = PrepareOptions(size=16, scaling=scaling, dtype=dtype)
        return prepare_case(case, FRAMES, options).images[0]

    def expected(low, high, top=255):
        return np.rint(top * np.clip((stack[2] - low) / (high - low), 0, 1))

    np.testing.assert_array_equal(image("per-slice"), expected(stack[2].min(), stack[2].max()))
    np.testing.assert_array_equal(image("percentile"), expected(*np.percentile(stack, [1, 99])))
    mean, spread = stack.mean(), stack.std()
    np.testing.assert_array_equal(image("z-score"), expected(mean - 3 * spread, mean + 3 * spread))
    wide = image("min-max", "uint16")
    assert wide.dtype == np.uint16
    np.testing.assert_array_equal(wide, expected(stack.min(), stack.max(), 65535))


@pytest.mark.parametrize(
    ("contoured", "recipe", "chosen"),
    [
        ({}, "default", 3),
        ({"ED": {0: 3, 1: 3, 2: 3}, "ES": {1: 3, 2: 3, 4: 3}}, "default", 2),
        ({"ED": {0: 3, 1: 3, 2: 3}, "ES": {1: 3, 2: 3, 4: 3}}, "paper", 3),
        ({"ED": {0: 3, 1: 3}, "ES": {5: 3}}, "default", 1),
        ({"ED": {1: 3}}, "default", 1),
    ],
)
def test_which_slice_is_taken(contoured, recipe, chosen) -> None:
    case = case_of(z=6, masks=masks_of(6, contoured))
    prepared = prepare_case(case, FRAMES, PrepareOptions(size=16, recipe=recipe))
    assert prepared.slice == chosen


def test_no_slice_contoured_in_all_frames_is_said() -> None:
    case = case_of(z=6, masks=masks_of(6, {"ED": {1: 3}, "ES": {4: 3}}))
    assert prepare_case(case, FRAMES, AS_IS).notes == (
        "no slice is contoured in all frames: taken the middle contoured one",
    )


def test_structures_are_those_declared_or_those_seen() -> None:
    masks = masks_of(5, {"ED": {2: 3}, "ES": {2: 3}})
    masks["ED"][2, 9:12, 9:12] = 2
    assert prepare_case(case_of(masks=masks), FRAMES, AS_IS).structures == (("MYO", "LV"), ("LV",))
    declared = {"ES": ((), (), ("RV", "LV"), (), ())}  # the RV was looked for and is not in this slice
    prepared = prepare_case(case_of(masks=masks, structures=declared), FRAMES, AS_IS)
    assert prepared.structures == (("MYO", "LV"), ("RV", "LV"))


def test_restricted_masks() -> None:
    """``--mask-structures LV``: other labels vanish in all frames, and no longer choose the slice."""
    masks = masks_of(5, {"ED": {0: 3, 4: 2}, "ES": {0: 3, 4: 2}})
    masks["ED"][0, 9:12, 9:12] = 1
    declared = dict.fromkeys(FRAMES, (("RV", "LV"), (), (), (), ("MYO",)))
    case = case_of(masks=masks, structures=declared)
    prepared = prepare_case(case, FRAMES, PrepareOptions(size=16, mask_structures=("LV",)))
    assert prepared.slice == 0
    assert prepared.structures == (("LV",), ("LV",))
    assert prepared.masks is not None
    assert set(np.unique(prepared.masks)) == {0, 3}


def test_masks_move_with_the_image() -> None:
    """A bright square and its mask, resampled from 2 x 1 mm pixels, stay on each other."""
    image = np.full((1, 40, 80), 10.0)
    image[:, 10:20, 50:70] = 200.0
    mask = np.where(image > 100, 3, 0)
    case = Case("k", "p", {"F": image}, masks={"F": mask}, spacing=(2.0, 1.0))
    prepared = prepare_case(case, ("F",), PrepareOptions(size=64, pixel_size=1.0))
    assert prepared.masks is not None
    inside = prepared.masks[0] == 3
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    assert rows.tolist() == list(range(20 - 8, 40 - 8))  # 80 rows of 1 mm, cropped to 64
    assert columns.tolist() == list(range(50 - 8, 70 - 8))
    assert prepared.images[0][inside].min() > 127 > prepared.images[0][~inside].max()


def test_without_spacing_the_longer_side_is_fitted() -> None:
    case = case_of(z=1, shape=(40, 80), frames=("F",), spacing=None)
    prepared = prepare_case(case, ("F",), PrepareOptions(size=32))
    assert prepared.pixel_size is None
    assert prepared.area == (8, 0, 16, 32)


def changed(frame: str, change) -> Case:
    case = case_of()
    case.frames[frame] = change(case.frames[frame].astype(np.float64))
    return case


def _put(array, value, where=(0, 0, 0)):
    array[where] = value
    return array


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (changed("ES", lambda a: _put(a, np.nan)), "frame ES: the image holds NaN"),
        (changed("ES", lambda a: _put(a, np.inf)), "frame ES: the image holds NaN or infinite"),
        (changed("ED", lambda a: a * 0), "frame ED: the image is empty"),
        (changed("ED", lambda a: a * 0 + 7), "frame ED: the image is constant.* are 7"),
        (changed("ED", lambda a: _put(a, 7, 2)), "frame ED: slice 2 is empty or constant"),
        (changed("ED", lambda a: a[0]), "got shape"),
        (changed("ED", lambda a: a[:3]), r"same number of slices, got \[3, 5\]"),
        (case_of(frames=("ED",)), "expected the frames ED, ES, got ED"),
        (case_of(spacing=(0.0, 1.5)), "expected a spacing of 0.01 to 100 mm"),
        (case_of(spacing=(float("nan"), 1.5)), "expected a spacing"),
        (case_of(masks={"ED": np.zeros((5, 16, 15), int)}), r"mask's shape \(5, 16, 15\) is not the image's"),
        (case_of(masks={"ED": np.full((5, 16, 16), 7)}), "expected the labels 0 background, 1 RV.*got 7"),
        (case_of(masks={"ED": np.full((5, 16, 16), 0.5)}), "got 0.5"),
        (case_of(masks={"MID": np.zeros((5, 16, 16), int)}), "the mask of frame MID has no image"),
    ],
)
def test_what_cannot_be_prepared_names_the_case(case, message) -> None:
    with pytest.raises(SourceError, match=rf"case 'k1': .*{message}|case 'k1': {message}"):
        prepare_case(case, FRAMES, AS_IS)


def test_the_record_says_how() -> None:
    record = preparation(PrepareOptions(scaling="z-score"))
    assert record["scaling"] == "z-score"
    assert record["rounding"] == "scaled x largest integer, halves to even"
