"""Input modes by name: their options, what they show, what is stored of them."""

import dataclasses

import pytest
import torch

from cmrbias.api import CmrbiasError
from cmrbias.inputs import TESTING, TRAINING, Donors, InputMode
from cmrbias.inputs.swap import residual

IMAGES = torch.arange(1.0, 17).view(1, 1, 4, 4) / 32
MASKS = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
MASKS[0, 0, 1, 1] = True
DONORS = Donors(IMAGES + 0.5, MASKS.roll(1, 3))


def test_full_is_the_image_and_needs_no_masks():
    assert torch.equal(InputMode().show(IMAGES, None), IMAGES)
    assert not InputMode().needs_masks
    assert all(InputMode(name).needs_masks for name in (*TRAINING, *TESTING) if name != "full")


@pytest.mark.parametrize("name", ["swap", "swap-same-class", "swap-other-class"])
def test_a_swap_keeps_the_heart_and_takes_the_rest_from_the_donor(name):
    shown = InputMode.named(name, {"fill": "donor"}, (name,)).show(IMAGES, MASKS, DONORS)
    assert torch.equal(shown[MASKS], IMAGES[MASKS])
    assert torch.equal(shown[~MASKS], DONORS.images[~MASKS])
    mean = InputMode.named(name, {"fill": "mean"}, (name,)).show(IMAGES, MASKS, DONORS)
    assert mean[0, 0, 1, 2] == pytest.approx(float(DONORS.images[~DONORS.masks].mean()), rel=1e-6)
    keeps = ~MASKS & ~DONORS.masks
    inpainted = InputMode.named(name, {}, (name,)).show(IMAGES, MASKS, DONORS)
    assert torch.equal(inpainted[keeps], DONORS.images[keeps])
    assert inpainted[0, 0, 1, 2] not in (DONORS.images[0, 0, 1, 2], mean[0, 0, 1, 2])


def test_every_phase_gets_the_same_phase_of_the_donor():
    images = torch.stack([IMAGES[0, 0], IMAGES[0, 0] + 0.1])[None]
    masks = torch.stack([MASKS[0, 0], MASKS[0, 0].roll(1, 0)])[None]
    donors = Donors(images + 0.5, torch.zeros_like(masks))
    shown = InputMode("swap").show(images, masks, donors)
    assert torch.equal(shown, torch.where(masks, images, donors.images))


def test_swap_with_its_own_background_is_the_image():
    assert torch.equal(InputMode("swap-self").show(IMAGES, MASKS), IMAGES)


def test_an_aligned_donor_is_moved_onto_the_heart():
    """The donor's heart lies one column to the right: its background moves left, with 0 behind its border."""
    shown = InputMode.named("swap", {"fill": "donor", "align": "centroid"}, TRAINING).show(
        IMAGES, MASKS, DONORS
    )
    moved = torch.cat([DONORS.images[..., 1:], torch.zeros(1, 1, 4, 1)], -1)
    assert torch.equal(shown, torch.where(MASKS, IMAGES, moved))
    assert residual(MASKS, DONORS, "centroid").tolist() == [[0]]


def test_the_residual_is_where_a_donor_s_heart_lies_outside_the_own_one():
    assert residual(MASKS, DONORS).tolist() == [[1 / 16]]
    assert residual(MASKS, Donors(IMAGES, MASKS)).tolist() == [[0]]


def test_a_swap_is_tested_on_full_images_and_the_others_on_themselves():
    assert {InputMode(name).tested().name for name in ("swap", "swap-self", "full")} == {"full"}
    boxed = InputMode("background-box", box=3)
    assert boxed.tested() == boxed


@pytest.mark.parametrize("name", [*TRAINING, *TESTING])
def test_a_mode_comes_back_from_what_is_stored_of_it(name):
    mode = InputMode.named(name, {}, (*TRAINING, *TESTING), box=5)
    assert InputMode(**dataclasses.asdict(mode)) == mode
    assert (mode.box == 5) == (name == "background-box")
    shown = mode.show(IMAGES, MASKS, DONORS)
    assert shown.shape == IMAGES.shape
    assert shown.dtype == IMAGES.dtype


def test_wrong_names_and_options_are_told():
    with pytest.raises(CmrbiasError, match="unknown input mode 'heat': did you mean 'heart'"):
        InputMode.named("heat", {}, TRAINING)
    with pytest.raises(CmrbiasError, match="input mode 'heart': takes no options, got 'fill'"):
        InputMode.named("heart", {"fill": "mean"}, TRAINING)
    with pytest.raises(CmrbiasError, match=r"option 'fill': expected donor\|mean\|inpaint, got 'none'"):
        InputMode.named("swap", {"fill": "none"}, TRAINING)
    with pytest.raises(CmrbiasError, match="unknown input mode 'swap-same-class'"):
        InputMode.named("swap-same-class", {}, TRAINING)  # there are no labels to go by in training
