"""``evaluate``: its figures against scikit-learn and by hand, its inputs, what it keeps in memory."""

from __future__ import annotations

import csv
import gc
import json
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score, roc_auc_score

import cmrbias
from cmrbias.backbones import Classifier
from cmrbias.evaluation.evaluation import Evaluation
from cmrbias.inputs import InputMode, fixed_donors
from cmrbias.plugins import Plugins
from cmrbias.training.cases import Cases

Evaluate = Callable[..., Evaluation]


@pytest.fixture
def evaluate(tiny_plugins: Plugins, tmp_path: Path) -> Evaluate:
    """Evaluates with few resamples, each time into an empty directory unless ``out`` is given."""

    def evaluate(run: Path, *arguments: Any, **options: Any) -> Evaluation:
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        defaults = {"resamples": 50, "plugins": tiny_plugins, "out": out}
        return cmrbias.evaluate(run, *arguments, **{**defaults, **options})

    return evaluate


def logits(run: Path, cohort: Path, plugins: Plugins, cases: np.ndarray) -> torch.Tensor:
    """Of the full images, at once and without the package's batches."""
    classifier = cmrbias.load_classifier(run, plugins)
    opened = cmrbias.Cohort.open(cohort)
    images = torch.as_tensor(opened.images(cases) / opened.maximum, dtype=torch.float32).flatten(0, 1)
    size = (classifier.image_size, classifier.image_size)
    small = torch.nn.functional.interpolate(images[:, None], size, mode="bilinear", antialias=True)
    with torch.no_grad():
        return classifier(small.view(len(cases), 2, *size) * 2 - 1)


def test_figures_are_scikit_learn_s(three: Path, evaluate: Evaluate) -> None:
    evaluation = evaluate(three)
    found, scores = evaluation.predictions["full"], evaluation.scores["full"]
    labels, probabilities, predicted = found.labels, found.probabilities, found.probabilities.argmax(1)
    had = np.eye(3)[labels]
    assert 0.1 < scores.auc.macro.value < 1
    assert scores.auc.macro.value == pytest.approx(roc_auc_score(labels, probabilities, multi_class="ovr"))
    assert scores.auc.micro.value == pytest.approx(roc_auc_score(had.ravel(), probabilities.ravel()))
    for k, name in enumerate("ABC"):
        assert scores.auc.per_class[name].value == pytest.approx(
            roc_auc_score(had[:, k], probabilities[:, k])
        )
    overall, per_class = scores.decisions.overall, scores.decisions.per_class
    assert overall["accuracy"].value == pytest.approx(accuracy_score(labels, predicted))
    assert overall["macro F1"].value == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert overall["Brier"].value == pytest.approx(((probabilities - had) ** 2).sum(1).mean())
    recalls = recall_score(labels, predicted, average=None)
    assert [per_class["sensitivity"][name].value for name in "ABC"] == pytest.approx(recalls)
    assert (scores.decisions.confusion == confusion_matrix(labels, predicted)).all()
    assert (scores.patients, scores.cases) == (31, 33)
    assert scores.auc.macro.interval.width > 0


def test_probabilities_are_the_softmax_of_the_run_s_logits(
    three: Path, three_classes: Path, evaluate: Evaluate, tiny_plugins: Plugins
) -> None:
    found = evaluate(three).predictions["full"]
    assert found.case.tolist() == list(range(12, 45))
    assert found.probabilities.dtype == np.float64
    expected = logits(three, three_classes, tiny_plugins, found.case).double().softmax(1)
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-6)
    np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-12)
    assert found.labels.tolist() == [0, 1, 2] * 11


def test_files_hold_what_was_found(three: Path, three_classes: Path, evaluate: Evaluate) -> None:
    evaluation = evaluate(three, inputs=["full", "heart"])
    with (evaluation.out / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 33 + 32  # one has an incomplete mask
    assert [row["input"] for row in rows] == ["full"] * 33 + ["heart"] * 32
    first = evaluation.predictions["full"]
    assert (rows[3]["case"], rows[3]["patient"], rows[3]["label"]) == ("c15", "p15", "A")
    assert [float(rows[3][f"p_{name}"]) for name in "ABC"] == first.probabilities[3].tolist()
    assert rows[3]["predicted"] == "ABC"[first.predicted[3]]
    stored = json.loads((evaluation.out / "scores.json").read_text())
    assert stored["tested"]["cohort digest"] == cmrbias.Cohort.open(three_classes).digest
    assert stored["classes"] == ["A", "B", "C"]
    assert stored["bootstrap"] == {"resamples": 50, "seed": 0}
    heart = stored["inputs"]["heart"]
    assert (heart["cases"], heart["left_out"]) == (32, {"incomplete heart mask": 1})
    macro, expected = heart["auc"]["macro"], evaluation.scores["heart"].auc.macro
    assert macro["value"] == expected.value
    assert macro["n"] == 30
    assert macro["intervals"][0]["low"] == expected.interval.low
    assert "50 resamples of patients" in macro["intervals"][0]["how"]
    assert macro["unreliable"] == expected.unreliable


def test_few_patients_are_flagged(run: Path, evaluate: Evaluate) -> None:
    """The small cohort has two patients a class in its test split."""
    evaluation = evaluate(run)
    assert evaluation.scores["full"].auc.macro.unreliable
    stored = json.loads((evaluation.out / "scores.json").read_text())["inputs"]["full"]["auc"]["macro"]
    assert stored["unreliable"] is True
    assert stored["doubts"][0] == "2 patients in a class, under 10"
    assert stored["fallback"]["high"] > stored["fallback"]["low"]


@pytest.mark.parametrize(
    ("trained", "asked", "expected"),
    [
        ("full", (), ["full"]),
        ("heart", (), ["heart", "full"]),
        ("swap", (), ["full"]),
        ("background", (), ["background", "silhouette", "full"]),
        ("full", ("all",), ["full", "heart", "background-box", "swap-same-class", "swap-other-class"]),
        ("full", ("swap-self", "background-fill", "swap-self"), ["swap-self", "background-fill"]),
    ],
)
def test_inputs(
    trained: str,
    asked: tuple[str, ...],
    expected: list[str],
    train: Callable[..., Path],
    small_cohort: Path,
    evaluate: Evaluate,
) -> None:
    evaluation = evaluate(train(small_cohort, input=trained), inputs=asked)
    assert list(evaluation.scores) == list(evaluation.predictions) == expected


def test_each_input_is_what_it_says(three: Path, three_classes: Path, evaluate, tiny_plugins) -> None:
    """Against the classifier on the input mode's own images."""
    evaluation = evaluate(three, inputs=["heart", "silhouette"])
    cohort = cmrbias.Cohort.open(three_classes)
    classifier = cmrbias.load_classifier(three, tiny_plugins)
    for name, found in evaluation.predictions.items():
        cases = Cases(cohort, found.case, ("ED", "ES"))
        with torch.no_grad():
            images = cases.shown(np.arange(len(cases)), InputMode(name), 32)
            expected = classifier(images).double().softmax(1)
        np.testing.assert_allclose(found.probabilities, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["swap-same-class", "swap-other-class"])
def test_swaps_average_five_fixed_donors(
    name: str, three: Path, three_classes: Path, evaluate: Evaluate, tiny_plugins: Plugins
) -> None:
    evaluation = evaluate(three, inputs=[name], seed=3)
    found = evaluation.predictions[name]
    cases = Cases(cmrbias.Cohort.open(three_classes), found.case, ("ED", "ES"))
    classifier = cmrbias.load_classifier(three, tiny_plugins)
    labels, patients = torch.as_tensor(found.labels), torch.as_tensor(found.patients)
    donors = fixed_donors(labels, patients, name == "swap-same-class", seed=3)
    total = torch.zeros(len(cases), 3, dtype=torch.float64)
    for drawn in donors:
        assert ((labels[drawn] == labels) == (name == "swap-same-class")).all()
        with torch.no_grad():
            images = cases.shown(np.arange(len(cases)), InputMode(name), 32, drawn.numpy())
            total += classifier(images).double().softmax(1)
    np.testing.assert_allclose(found.probabilities, total / 5, atol=1e-6)
    assert evaluation.scores[name].donors == 5


def test_bg_gap_is_what_other_backgrounds_cost(three: Path, evaluate: Evaluate) -> None:
    evaluation = evaluate(three, inputs=["all"])
    same, other = (evaluation.predictions[f"swap-{which}-class"] for which in ("same", "other"))
    gap = evaluation.bg_gap
    assert gap is not None
    assert same.case.tolist() == other.case.tolist()
    of_label = [each.probabilities[np.arange(32), each.labels].mean() for each in (same, other)]
    assert gap.label_probability.value == pytest.approx(of_label[0] - of_label[1])
    assert (gap.patients, gap.cases, gap.unpaired) == (30, 32, 0)
    scores = evaluation.scores
    expected = scores["swap-same-class"].auc.macro.value - scores["swap-other-class"].auc.macro.value
    assert gap.auc.macro.estimate.value == pytest.approx(expected)
    right = [scores[f"swap-{which}-class"].decisions.overall["accuracy"].value for which in ("same", "other")]
    assert gap.accuracy.value == pytest.approx(right[0] - right[1])
    assert evaluate(three, inputs=["swap-same-class"]).bg_gap is None


def test_a_case_without_a_donor_is_left_out_but_may_be_one(
    three: Path, make_cohort: Callable[..., Path], evaluate: Evaluate
) -> None:
    """p has the only A and C and a B, so that its B finds no donor of another class."""
    cohort = make_cohort("ABCB", patients=["p", "p", "p", "q"])
    evaluation = evaluate(three, cohort, inputs=["swap-other-class"])
    assert evaluation.scores["swap-other-class"].left_out == {"no donor": 1}
    assert evaluation.predictions["swap-other-class"].case.tolist() == [0, 2, 3]


def test_the_square_is_the_training_s_or_the_largest_heart_of_the_training_split(
    train: Callable[..., Path], three: Path, three_classes: Path, make_cohort: Any, evaluate: Evaluate
) -> None:
    def side(run: Path, *arguments: Any) -> int | None:
        return evaluate(run, *arguments, inputs=["background-box"]).scores["background-box"].box

    own = train(three_classes, input="background-box")
    assert side(own) == side(three) == 15  # a radius of 0.15 of 48 px
    large = make_cohort("ABC" * 4, size=96)  # without a training split
    assert side(three, large) == 29
    assert side(own, large) == 30  # as large a share of the image: what the network was trained to miss
    assert side(own, make_cohort("ABC" * 4, size=50)) == 16  # rounded up


def test_a_cohort_without_or_with_few_masks(three: Path, make_cohort: Any, evaluate: Evaluate) -> None:
    cohort = make_cohort("ABC" * 4, masks=False)
    assert list(evaluate(three, cohort).scores) == ["full"]
    with pytest.raises(cmrbias.CmrbiasError, match="has no heart masks, which the input mode needs"):
        evaluate(three, cohort, inputs=["heart"])
    cohort = make_cohort("ABC" * 4, incomplete=[(i, 0) for i in range(12)])
    with pytest.raises(cmrbias.CmrbiasError, match="no test case has complete heart masks"):
        evaluate(three, cohort, inputs=["heart"])
    cohort = make_cohort("ABC" * 4, incomplete=[(0, 0), (3, 1), (6, 0), (9, 0)])
    message = r"split test, input heart: no case has class 'A'.*--label-map B=B,C=C"
    with pytest.raises(cmrbias.CmrbiasError, match=message):
        evaluate(three, cohort, inputs=["full", "heart"])


def test_images_of_another_size_are_resampled(three: Path, make_cohort: Any, evaluate, tiny_plugins) -> None:
    cohort = make_cohort("ABC" * 4, size=80)
    found = evaluate(three, cohort).predictions["full"]
    expected = logits(three, cohort, tiny_plugins, found.case).double().softmax(1)
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-6)


def test_the_same_seed_gives_the_same_bytes(three: Path, evaluate: Evaluate) -> None:
    inputs = ["full", "swap-other-class"]
    a, b, c = (evaluate(three, inputs=inputs, seed=seed).out for seed in (0, 0, 1))
    for name in ("predictions.csv", "scores.json"):
        assert (a / name).read_bytes() == (b / name).read_bytes()
        assert (a / name).read_bytes() != (c / name).read_bytes()


def test_one_batch_of_images_is_alive_at_a_time(three: Path, make_cohort: Any, evaluate: Evaluate) -> None:
    """However many cases there are: 400 of them, of which the network sees 32 at once."""
    cohort = make_cohort("ABC" * 134, size=32)
    alive: list[weakref.ref[torch.Tensor]] = []
    seen: list[int] = []

    def watch(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if isinstance(module, Classifier):
            gc.collect()
            alive[:] = [reference for reference in alive if reference() is not None]
            assert len(alive) == 0
            alive.append(weakref.ref(inputs[0]))
            seen.append(len(inputs[0]))

    handle = torch.nn.modules.module.register_module_forward_pre_hook(watch)
    try:
        evaluate(three, cohort, inputs=["full", "swap-same-class"])
    finally:
        handle.remove()
    assert max(seen) == 32
    assert sum(seen) == 402 * 6
