"""The background swap: who gives, what is shown, what stays."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cmrbias.api import CmrbiasError, draws
from cmrbias.augmentations.background_swap import BackgroundSwap
from cmrbias.options import build


def swap(**options):
    return BackgroundSwap(build(BackgroundSwap.Options, options, "augmentation 'background-swap'"), 8)


def keys(count, seed=0):
    return draws.keys(seed, 0, torch.arange(count), 0)


def batch(count, side=8):
    """Image i holds (i + 1) / 1000 in its background, and the negative of that in its heart."""
    images = (torch.arange(float(count)) + 1)[:, None, None, None].expand(count, 1, side, side) / 1000
    masks = torch.zeros(count, 1, side, side)
    for row in range(count):
        masks[row, 0, 1 + row % 3 : 4 + row % 3, 2 + row % 4 : 4 + row % 4] = 1
    return torch.where(masks > 0, -images, images), masks


def apply(augmentation, keys_, patient, frame, masks=None):
    images, own = batch(len(keys_))
    params = augmentation.draw(keys_) | {"patient": torch.as_tensor(patient), "frame": torch.as_tensor(frame)}
    return augmentation.apply(images, own if masks is None else masks, params)


def givers(views, masks):
    """Each view's donor, read off its background with the hearts of all images cut out."""
    background = torch.where(masks.amax(0, keepdim=True) > 0, 0, views).flatten(1)
    return (background.amax(1) * 1000 - 1).round().long()


@given(
    st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 1)), min_size=1, max_size=12),
    st.sampled_from(["donor", "mean", "inpaint"]),
    st.integers(0, 99),
)
def test_donors_are_of_another_patient_and_of_the_same_frame(rows, fill, seed):
    patient, frame = torch.tensor(rows).T
    views, moved = apply(swap(fill=fill), keys(len(rows), seed), patient, frame)
    images, masks = batch(len(rows))
    donors = givers(views, masks)
    for row, donor in enumerate(donors.tolist()):
        eligible = [
            other
            for other, (who, phase) in enumerate(rows)
            if who not in (-1, rows[row][0]) and rows[row][0] != -1 and phase == rows[row][1]
        ]
        assert donor in (eligible or [row])
    assert torch.equal(moved, masks)  # the recipient's
    assert torch.equal(views[masks > 0], images[masks > 0])


def test_each_fill_shows_what_it_says_where_the_donors_heart_was():
    masks = torch.zeros(2, 1, 8, 8)
    masks[0, 0, 1:3, 1:3] = masks[1, 0, 4:7, 4:7] = 1
    images = torch.full((2, 1, 8, 8), 0.25)
    images[1] = 0.5
    images[1, 0, 4:7, 4:7] = 0.9
    params = {"patient": torch.tensor([0, 1]), "frame": torch.tensor([0, 0])}
    for fill, shows in (("donor", 0.9), ("mean", 0.5), ("inpaint", 0.5)):
        augmentation = swap(fill=fill)
        views, _ = augmentation.apply(images, masks, augmentation.draw(keys(2)) | params)
        assert views[0, 0, 1:3, 1:3].unique() == 0.25
        assert views[0, 0, 4:7, 4:7].unique() == torch.tensor(shows)
        assert views[0, 0, 0].unique() == 0.5
        # donor hearts of 9 and 4 pixels lie wholly outside the own one, of 64
        assert augmentation.metrics["swap_residual"].tolist() == pytest.approx([9 / 64, 4 / 64])
        assert augmentation.metrics["swap_unchanged"].tolist() == [0, 0]


def test_centroid_moves_the_donor_and_the_residual_is_that_of_the_moved_heart():
    images = torch.zeros(2, 1, 8, 8)
    masks = torch.zeros_like(images)
    masks[0, 0, 1:3, 1:3] = masks[1, 0, 3:6, 4:7] = 1
    images[1, 0, 6, 7] = 0.7  # a landmark of the donor, 2 down and 2 to the right of its heart's centre
    params = {"patient": torch.tensor([0, 1]), "frame": torch.tensor([0, 0])}
    augmentation = swap(fill="donor", align="centroid")
    views, moved = augmentation.apply(images, masks, augmentation.draw(keys(2)) | params)
    # centres (1 1/2, 1 1/2) and (4, 5): moved by floor(-2 1/2 + 1/2) = -2 and by floor(-3 1/2 + 1/2) = -3
    assert views[0, 0].nonzero().tolist() == [[4, 4]]
    assert torch.equal(moved, masks)
    assert augmentation.metrics["swap_residual"].tolist() == pytest.approx([5 / 64, 0])


@pytest.mark.parametrize("fill", ["donor", "mean", "inpaint"])
@pytest.mark.parametrize("align", ["none", "centroid"])
def test_with_its_own_background_an_image_stays_as_it_is_and_counts_as_swapped(fill, align):
    augmentation = swap(donors="self", fill=fill, align=align)
    views, masks = apply(augmentation, keys(4), [0, 1, 1, -1], [0, 0, 0, 0])
    assert torch.equal(views, batch(4)[0])
    assert torch.equal(masks, batch(4)[1])
    assert augmentation.metrics["swap_unchanged"].tolist() == [0, 0, 0, 1]  # as with other donors
    assert augmentation.metrics["swap_residual"][:3].tolist() == [0, 0, 0]
    assert augmentation.metrics["swap_residual"][3].isnan()


def test_the_share_of_donors_with_the_same_label_is_reported_and_changes_no_draw():
    patient, frame = torch.tensor([0, 1, 2, 3, 4, -1]), torch.zeros(6)
    label = torch.tensor([0, 1, 0, 1, -1, 0])
    views = {}
    for name, known in (("without", {}), ("with", {"label": label})):
        augmentation = swap(fill="donor")
        params = augmentation.draw(keys(6)) | {"patient": patient, "frame": frame} | known
        views[name], _ = augmentation.apply(*batch(6), params)
        assert ("swap_same_label" in augmentation.metrics) == bool(known)
    assert torch.equal(views["with"], views["without"])
    donors = givers(views["with"], batch(6)[1])
    for row, same in enumerate(augmentation.metrics["swap_same_label"].tolist()):
        if row < 4 and label[donors[row]] >= 0:
            assert same == (label[row] == label[donors[row]])
        else:  # the own label, the donor's or the patient is unknown
            assert same != same


def test_an_empty_mask_neither_gives_nor_takes():
    images, masks = batch(4)
    masks[1] = 0
    augmentation = swap(fill="donor")
    views, _ = apply(augmentation, keys(4), [0, 1, 2, 2], [0, 0, 0, 0], masks)
    assert torch.equal(views[1], images[1])
    assert givers(views, masks)[2:].tolist() == [0, 0]
    assert augmentation.metrics["swap_unchanged"].tolist() == [0, 1, 0, 0]
    assert augmentation.metrics["swap_residual"].isnan().tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("patient", "frame"), [([3, 3, 3], [0, 0, 0]), ([0, 1, 2], [0, 1, 2]), ([-1, -1, -1], [0, 0, 0])]
)
def test_without_an_eligible_donor_images_stay_bit_for_bit(patient, frame):
    augmentation = swap()
    views, _ = apply(augmentation, keys(3), patient, frame)
    assert torch.equal(views, batch(3)[0])
    assert augmentation.metrics["swap_unchanged"].tolist() == [1, 1, 1]


def test_donors_do_not_depend_on_the_order_of_the_batch():
    augmentation, patient = swap(), torch.arange(20) // 2
    images, masks = batch(20)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))

    def views(rows):
        params = augmentation.draw(keys(20)[rows]) | {"patient": patient[rows], "frame": patient[rows] * 0}
        return augmentation.apply(images[rows], masks[rows], params)[0]

    assert torch.equal(views(order), views(torch.arange(20))[order])


def test_every_eligible_donor_is_drawn_equally_often_and_anew_by_key():
    counts = torch.zeros(6)
    augmentation = swap(fill="donor")
    masks = batch(6)[1]
    for seed in range(1000):
        views, _ = apply(augmentation, keys(6, seed), torch.tensor([0, 0, 1, 2, 3, 4]), torch.zeros(6))
        counts[givers(views, masks)[0]] += 1
    assert counts[:2].sum() == 0
    # 1000 draws from four: standard deviation 14
    assert (counts[2:] - 250).abs().max() < 60


def test_the_probability_is_the_share_of_swapped_images():
    augmentation = swap(probability=0.3)
    apply(augmentation, keys(600), torch.arange(600), torch.zeros(600))
    assert augmentation.metrics["swap_unchanged"].mean() == pytest.approx(0.7, abs=0.07)


def test_an_empty_batch_stays_empty():
    views, masks = apply(swap(), keys(0), torch.zeros(0).long(), torch.zeros(0).long())
    assert views.shape == masks.shape == (0, 1, 8, 8)


def test_a_wrong_fill_is_refused():
    with pytest.raises(CmrbiasError, match=r"fill.*donor\|mean\|inpaint"):
        swap(fill="blur")
