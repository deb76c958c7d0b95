"""The task ``classify``: its batches, its loss, and that it learns what it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from cmrbias.api import CmrbiasError, Recipe, Setup
from cmrbias.cohorts.format import Cohort
from cmrbias.options import build
from cmrbias.plugins import Plugins
from cmrbias.training.classify import Classify
from cmrbias.training.probe import Probe

RECIPE = Recipe(epochs=1, batch=4, lr=1e-3, image_size=32)


def task(cohort: Cohort, plugins: Plugins, kind: type[Classify] = Classify, **options: Any) -> Classify:
    augmentations = options.pop("augmentations", {})
    recipe = Recipe(**{**vars(RECIPE), "augmentations": augmentations})
    values = {"backbone": "tiny", "validation": 0.0, **options}
    built = build(Classify.Options, values, "task 'classify'")
    return kind(Setup(cohort, plugins, built, recipe, 0, torch.device("cpu"), "fp32"))


def test_batches_hold_the_cases_frames_in_order_and_their_labels(make_cohort, tiny_plugins) -> None:
    made = task(make_cohort("ABAB"), tiny_plugins)
    inputs, labels, masks, metrics = made.load(torch.tensor([2, 1]), 0)
    assert inputs.shape == (2, 2, 1, 32, 32)
    assert inputs[:, :, 0, 0, 0].add(1).mul(255 / 2).round().tolist() == [[11, 12], [6, 7]]
    assert labels.tolist() == [0, 1]
    assert masks is None
    assert metrics == {}


@pytest.mark.parametrize("augmentations", [{"crop": {}}, {"flip": {}}, {"rotate": {}}])
def test_all_frames_of_a_case_get_the_same_draw_and_cases_do_not(
    make_cohort, tiny_plugins, augmentations: dict[str, Any]
) -> None:
    """With the hearts shown alone and alike at ED and ES, so do the augmented frames look alike."""
    made = task(make_cohort("AABB" * 4), tiny_plugins, input="silhouette", augmentations=augmentations)
    masks = made.cases.masks

    def ed_twice(rows: np.ndarray) -> torch.Tensor:
        return masks(rows)[:, [0, 0]]

    made.cases.masks = ed_twice  # type: ignore[method-assign]
    inputs = made.load(torch.arange(16), 3).inputs
    assert torch.equal(inputs[:, 0], inputs[:, 1])
    assert len(torch.unique(inputs[:, 0].flatten(1), dim=0)) > 2
    assert not torch.equal(inputs, made.load(torch.arange(16), 4).inputs)


def test_masked_pixels_are_minus_one_at_the_network(make_cohort, tiny_plugins) -> None:
    cohort = make_cohort("ABAB")
    heart = task(cohort, tiny_plugins, input="heart").load(torch.arange(4), 0).inputs
    rest = task(cohort, tiny_plugins, input="background").load(torch.arange(4), 0).inputs
    assert heart.min() == rest.min() == -1
    assert (heart[:, :, 0, 0, 0] == -1).all()
    assert (rest[:, :, 0, 0, 0] > -1).all()


def test_the_loss_is_weighted_cross_entropy_of_the_logits(make_cohort, tiny_plugins) -> None:
    made = task(make_cohort("AAAABB"), tiny_plugins)
    assert torch.allclose(made.class_weights, torch.tensor([1 / 3, 2 / 3]))  # 1/4 and 1/2, to sum 1
    batch = made.load(torch.arange(6), 0)
    logits = made.module(batch.inputs)
    probabilities = logits.double().softmax(1).detach().numpy()
    weights = made.class_weights.numpy()[batch.labels]
    expected = log_loss(batch.labels, probabilities, sample_weight=weights)
    assert made.step(batch, 0.0)["loss"].item() == pytest.approx(expected, rel=1e-5)
    plain = task(make_cohort("AAAABB"), tiny_plugins, class_weights="none")
    expected = log_loss(batch.labels, probabilities)
    assert plain.step(batch, 0.0)["loss"].item() == pytest.approx(expected, rel=1e-5)


def test_donors_are_other_patients_and_backgrounds_theirs(make_cohort, tiny_plugins) -> None:
    cohort = make_cohort("ABABAB", ["p", "p", "q", "r", "s", "s"])
    made = task(cohort, tiny_plugins, input="swap", label="label")
    inputs, _, _, metrics = made.load(torch.arange(6), 0)
    values = inputs[:, :, 0, 0, 0].add(1).mul(255 / 2).round().long()  # 5 i + 1 and 5 i + 2 of the donor i
    donors = values[:, 0] // 5
    assert torch.equal(values[:, 1] // 5, donors)  # one donor for both frames
    assert (values[:, 1] - values[:, 0] == 1).all()  # the same phase
    patients = np.array(["p", "p", "q", "r", "s", "s"])
    assert (patients[donors] != patients).all()
    assert metrics["swap_unchanged"] == 0
    assert metrics["swap_same_label"] == (donors % 2 == torch.arange(6) % 2).double().mean()
    again = made.load(torch.arange(6), 1).inputs
    assert not torch.equal(again, inputs)  # drawn anew


def test_a_case_without_a_donor_is_counted(make_cohort, tiny_plugins) -> None:
    made = task(make_cohort("AABB"), tiny_plugins, input="swap")
    inputs, _, _, metrics = made.load(torch.tensor([1]), 0)
    assert metrics["swap_unchanged"] == 1
    assert metrics["swap_residual"].isnan()
    assert torch.equal(inputs, task(make_cohort("AABB"), tiny_plugins).load(torch.tensor([1]), 0).inputs)


@pytest.mark.parametrize(("augmentations", "cached"), [({}, True), ({"flip": {}}, False)])
def test_a_probe_computes_features_once_where_nothing_is_drawn_anew(
    make_cohort, tiny_plugins, augmentations: dict[str, Any], cached: bool
) -> None:
    made = task(make_cohort("ABAB"), tiny_plugins, Probe, augmentations=augmentations)
    inputs = made.load(torch.tensor([3, 0]), 0).inputs
    assert (inputs.ndim == 2) == cached
    whole = task(make_cohort("ABAB"), tiny_plugins).load(torch.tensor([3, 0]), 0).inputs
    if cached:
        torch.testing.assert_close(inputs, made.classifier.embed(whole))
    rows = np.array([1, 2])
    expected = made.module.eval()(made.cases.shown(rows, made.classifier.input, 32))
    torch.testing.assert_close(made.logits(rows), expected.detach())


def test_ties_of_the_auc_go_to_the_smaller_loss(make_cohort, tiny_plugins) -> None:
    made = task(make_cohort("ABAB"), tiny_plugins)
    assert made.merit({"val_auc": 0.8, "val_loss": 0.5}) > made.merit({"val_auc": 0.8, "val_loss": 0.6})
    assert made.merit({"val_auc": 0.9, "val_loss": 0.9}) > made.merit({"val_auc": 0.8, "val_loss": 0.1})
    nan = made.merit({"val_auc": float("nan"), "val_loss": 0.5})
    assert nan < made.merit({"val_auc": 0.1, "val_loss": 9.0})
    assert made.merit({"loss": 1.0}) is None


def test_masks_move_with_the_images_of_a_saliency_term(make_cohort, tiny_plugins) -> None:
    cohort = make_cohort("ABABAB", incomplete=[(2, 1)])
    spec = {"crop": {}, "flip": {}}
    made = task(cohort, tiny_plugins, input="silhouette", saliency_weight=1.0, augmentations=spec)
    inputs, _, masks, _ = made.load(torch.arange(3), 0)
    shown = inputs.flatten(0, 1)[:, 0]
    assert masks.shape == shown.shape
    assert (shown[masks] > 0).double().mean() > 0.9  # the edge is smooth in one, not in the other
    assert (shown[~masks] <= 0).double().mean() > 0.9
    full = task(cohort, tiny_plugins, saliency_weight=1.0)
    assert (
        full.notes[-1]
        == "saliency term: uses contours: 1 of 12 frames have an incomplete mask and no part in it"
    )
    assert full.load(torch.arange(4), 0).masks.flatten(1).any(1).tolist() == [True] * 5 + [False] + [True] * 2


def test_a_saliency_term_adds_what_is_missing_of_aks_to_the_loss(make_cohort, tiny_plugins) -> None:
    cohort = make_cohort("ABAB")
    plain, drawn = task(cohort, tiny_plugins), task(cohort, tiny_plugins, saliency_weight=3.0)
    batch = drawn.load(torch.arange(4), 0)
    values = drawn.step(batch, 0.0)
    assert 0 < values["aks"] < 1
    expected = plain.step(batch, 0.0)["loss"] + 3 * (1 - values["aks"])
    torch.testing.assert_close(values["loss"], expected)
    nowhere = batch._replace(masks=torch.zeros_like(batch.masks))
    torch.testing.assert_close(drawn.step(nowhere, 0.0)["loss"], plain.step(batch, 0.0)["loss"])


def test_training_with_a_saliency_term_raises_aks(small_cohort: Path, tiny_plugins) -> None:
    found = {}
    for weight in (0.01, 10.0):
        made = task(Cohort.open(small_cohort), tiny_plugins, saliency_weight=weight)
        optimiser = made.optimisers(RECIPE)["loss"]
        batch = made.load(torch.arange(8), 0)
        for _ in range(40):
            optimiser.zero_grad()
            values = made.step(batch, 0.0)
            values["loss"].backward()
            optimiser.step()
        found[weight] = float(values["aks"].detach())
    assert found[10.0] > found[0.01] + 0.1


def test_a_saliency_term_needs_masks(make_cohort, tiny_plugins) -> None:
    with pytest.raises(CmrbiasError, match="has no heart masks, which --saliency-weight needs"):
        task(make_cohort("ABAB", masks=False), tiny_plugins, saliency_weight=1.0)


def test_coarse_maps_are_warned_of(make_cohort, tiny_plugins) -> None:
    cohort = make_cohort("ABAB")
    assert not any("warning" in note for note in task(cohort, tiny_plugins).notes)  # 8 x 8 cells
    noted = task(cohort, tiny_plugins, backbone="resnet18").notes
    assert "warning: maps of 1 x 1 cells at 32 px and stride 32: " in noted[-1]
    assert "use --stride 16 or a larger --image-size" in noted[-1]


@pytest.mark.slow
def test_hearts_alone_are_told_apart_better_than_by_chance(tmp_path: Path) -> None:
    """A small phantom with textbook hearts, and nothing else shown of it."""
    from click.testing import CliRunner

    from cmrbias.backbones import load_classifier
    from cmrbias.cli.main import make_cli
    from cmrbias.cohorts.phantom.cohort import make_phantom
    from cmrbias.cohorts.phantom.settings import PhantomOptions
    from cmrbias.training.cases import Cases
    from cmrbias.training.monitor import macro_auc

    make_phantom(tmp_path / "c", PhantomOptions(patients=120, image_size=112, anatomy_strength=1.0))
    flags = [
        "--cohort",
        tmp_path / "c",
        "--input",
        "heart",
        "--backbone",
        "resnet18",
        "--batch",
        8,
        "--out",
        tmp_path / "r",
    ]
    result = CliRunner().invoke(make_cli(), ["finetune", *map(str, flags), "--epochs", "8", "--lr", "1e-3"])
    assert result.exit_code == 0, result.output
    cohort, classifier = Cohort.open(tmp_path / "c"), load_classifier(tmp_path / "r")
    cases = Cases(cohort, cohort.cases("test"), classifier.frames)
    rows = np.arange(len(cases))
    with torch.no_grad():
        logits = classifier(cases.shown(rows, classifier.input, classifier.image_size))
    labels = torch.as_tensor(
        [classifier.classes.index(name) for name in cohort.column("label")[cases.case].tolist()]
    )
    assert macro_auc(logits.double().softmax(1), labels) > 0.65  # 36 patients: chance stays below 0.6
