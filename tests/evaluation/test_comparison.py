"""Other cohorts, label maps, other runs, patients that were seen, and where results go."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import cmrbias
from cmrbias import CmrbiasError
from cmrbias.evaluation.evaluation import Evaluation
from cmrbias.evaluation.text import tables
from cmrbias.plugins import Plugins
from cmrbias.statistics import auc_contrast, auc_differences, holm

Evaluate = Callable[..., Evaluation]


@pytest.fixture
def evaluate(tiny_plugins: Plugins) -> Evaluate:
    """Evaluates with few resamples, where the results go by default."""

    def evaluate(run: Path, *arguments: Any, **options: Any) -> Evaluation:
        return cmrbias.evaluate(run, *arguments, **{"resamples": 50, "plugins": tiny_plugins, **options})

    return evaluate


def stored(evaluation: Evaluation) -> dict[str, Any]:
    return json.loads((evaluation.out / "scores.json").read_text())


@pytest.fixture(scope="session")
def other(make_cohort: Callable[..., Path]) -> Path:
    """Another hospital: labels X, Y, Z, none of the three classes' names."""
    return make_cohort("XYZY" * 6, name="other", listed=["Y", "X", "Z"], seed=7)


def test_a_label_map_compares_shared_diagnoses(three: Path, other: Path, evaluate, tiny_plugins) -> None:
    evaluation = evaluate(three, other, label_map={"A": "X", "C": "Y"})
    found = evaluation.predictions["full"]
    assert found.classes == ("Y", "X")  # the cohort's order
    assert found.case.tolist() == [i for i in range(24) if i % 4 != 2]
    assert found.labels.tolist() == [1, 0, 0] * 6
    classifier = cmrbias.load_classifier(three, tiny_plugins)
    images = torch.as_tensor(cmrbias.Cohort.open(other).images(found.case) / 255, dtype=torch.float32)
    small = torch.nn.functional.interpolate(images, (32, 32), mode="bilinear", antialias=True)
    with torch.no_grad():
        expected = classifier(small * 2 - 1)[:, [2, 0]].double().softmax(1)  # C is Y, A is X
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-6)
    said = "\n".join(tables(evaluation))
    assert "label map: A as X, C as Y; the softmax is over these classes alone" in said
    assert "classes of the run that are not compared: B" in said
    assert "cases left out, since their label is not compared: Z 6" in said
    kept = stored(evaluation)
    assert kept["tested"]["label map"] == {"A": "X", "C": "Y"}
    assert kept["left_out_labels"] == {"Z": 6}
    assert evaluation.out == three / "evaluations" / "other-mapped"


@pytest.mark.parametrize(
    ("label_map", "message"),
    [
        (None, r"'X' \(6 cases\), 'Y' \(12 cases\).*--label-map RUNCLASS=LABEL,..., or train a new head"),
        ({"A": "X", "D": "Y"}, "--label-map: unknown class of .* 'D'"),
        ({"A": "X", "B": "W"}, "--label-map: unknown label of .* 'W'"),
        ({"A": "X", "B": "X"}, "each label once, found 'X' twice"),
        ({"A": "X"}, "two pairs or more, each label once, found 1"),
    ],
)
def test_classes_that_do_not_fit(
    label_map: dict[str, str] | None, message: str, three: Path, other: Path, evaluate: Evaluate
) -> None:
    with pytest.raises(CmrbiasError, match=message):
        evaluate(three, other, label_map=label_map)


def test_a_class_without_a_test_case_is_named(three: Path, make_cohort: Any, evaluate: Evaluate) -> None:
    cohort = make_cohort("AB" * 5)
    with pytest.raises(CmrbiasError, match=r"no case has class 'C'.*--label-map A=A,B=B"):
        evaluate(three, cohort)
    assert evaluate(three, cohort, label_map={"A": "A", "B": "B"}).scores["full"].cases == 10


def test_missing_labels_are_named(three: Path, make_cohort: Any, evaluate: Evaluate) -> None:
    cohort = make_cohort(["A", "B", "", "C", ""])
    with pytest.raises(CmrbiasError, match=r"'label' is empty in 2 of 5 test rows \(case c2, c4\)"):
        evaluate(three, cohort)


def test_columns_and_frames_that_differ(three: Path, make_cohort: Any, evaluate: Evaluate) -> None:
    cohort = make_cohort("ABC" * 4, target="diagnosis")
    with pytest.raises(CmrbiasError, match=r"--label: unknown label column 'label'.*\(known: diagnosis"):
        evaluate(three, cohort)
    assert evaluate(three, cohort, label="diagnosis").subject.target == "diagnosis"
    cohort = make_cohort("ABC" * 4, frames=("ED", "mid"), name="mid")
    with pytest.raises(CmrbiasError, match=r"expected the frames ED, ES, .*, found ED, mid"):
        evaluate(three, cohort)
    more = make_cohort("ABC" * 4, frames=("ES", "mid", "ED"), name="more")
    evaluation = evaluate(three, more)
    assert evaluation.scores["full"].cases == 12
    assert evaluation.notes == [
        f"{more}: cases have the frames ES, mid, ED, those that {three} was trained on ED, ES: shown are "
        "ED, ES"
    ]


def test_an_empty_split_and_an_unknown_input(three: Path, evaluate: Evaluate) -> None:
    with pytest.raises(CmrbiasError, match=r"unknown split 'validation'.*known: test, train"):
        evaluate(three, split="validation")
    with pytest.raises(CmrbiasError, match="unknown test input 'hart': did you mean 'heart'"):
        evaluate(three, inputs=["hart"])


def test_what_is_no_run_or_has_no_classifier(three: Path, tmp_path: Path, evaluate: Evaluate) -> None:
    with pytest.raises(CmrbiasError, match=r"not a run: expected a directory with a run.json"):
        evaluate(tmp_path)
    bare = tmp_path / "bare"
    shutil.copytree(three, bare)
    content = torch.load(three / "last.pt", weights_only=True)
    del content["classifier"]
    torch.save(content, bare / "last.pt")
    with pytest.raises(CmrbiasError, match="holds no classifier: expected a run of 'cmrbias finetune'"):
        evaluate(bare)


def test_patients_that_training_saw_are_refused(three: Path, three_classes: Path, evaluate: Evaluate) -> None:
    message = r"has seen 12 of 12 test patients in training \(p0, p1, p10, ...\).*add --allow-seen"
    with pytest.raises(CmrbiasError, match=message):
        evaluate(three, split="train")
    evaluation = evaluate(three, split="train", allow_seen=True, inputs=["all"])
    assert evaluation.out == three / "evaluations" / f"{three_classes.name}-train"
    titles = [line for line in tables(evaluation) if line and not line.startswith(" ")][1:]
    assert len(titles) == 7  # five inputs, all of them together, BG-gap
    for title in titles:
        assert title.endswith("12 of 12 patients were SEEN in training (--allow-seen)")
    kept = stored(evaluation)
    assert (kept["allow_seen"], kept["seen_patients"]) == (True, {str(three): 12})


def test_patients_that_inherited_weights_saw_are_refused(
    three: Path, three_classes: Path, make_cohort: Any, train: Callable[..., Path], evaluate: Evaluate
) -> None:
    fresh = make_cohort("ABC" * 4, splits=["train"] * 12, name="fresh")
    heir = train(fresh, weights=str(three))
    with pytest.raises(CmrbiasError, match="has seen 12 of 12 test patients"):
        evaluate(heir, three_classes, split="train")
    assert evaluate(heir, three_classes).scores["full"].cases == 33


def test_against_other_runs(
    three: Path, three_classes: Path, train: Callable[..., Path], evaluate: Evaluate
) -> None:
    others = [train(three_classes, seed=1), train(three_classes, input="heart")]
    evaluation = evaluate(three, inputs=["full", "heart"], against=others)
    found = [(each.run, each.input) for each in evaluation.comparisons]
    assert found == [(str(run), name) for run in others for name in ("full", "heart")]
    first = evaluation.predictions["heart"]
    second = evaluate(others[1], inputs=["heart"]).predictions["heart"]
    arguments = (first.probabilities, second.probabilities, first.labels, first.patients)
    expected = auc_differences(*arguments, classes=["A", "B", "C"], resamples=50)
    last = evaluation.comparisons[-1]
    assert repr(last.pair.auc) == repr(expected)  # as NaN is not itself
    accuracies = [np.mean(each.probabilities.argmax(1) == each.labels) for each in (first, second)]
    assert last.pair.accuracy.value == pytest.approx(accuracies[0] - accuracies[1])
    for names in (["micro"], ["macro"], "ABC"):
        pairs = [(each, name) for each in evaluation.comparisons for name in names]
        found = [getattr(each.pair.auc, name, each.pair.auc.per_class.get(name)) for each, name in pairs]
        p = np.array([difference.p for difference in found])
        tested = np.array([difference.fewest >= 10 for difference in found])
        assert 0 < tested.sum() < len(tested)  # under input heart class A has nine patients
        assert np.isnan(p[~tested]).all()
        adjusted = np.array([each.holm[name] for each, name in pairs])
        np.testing.assert_array_equal(adjusted[tested], holm(p[tested]))
        assert np.isnan(adjusted[~tested]).all()
        assert {each.tests[name] for each, name in pairs} == {tested.sum()}
    lines = list(tables(evaluation))
    said = "\n".join(lines)
    start = next(i for i, line in enumerate(lines) if line.startswith(f"less {others[1]}, input heart"))
    (row,) = [line for line in lines[start:] if line.startswith("  AUC A  ")]
    assert row.split()[6:8] == ["30", "-"]
    assert "over 2 tests each of micro and macro (runs and test inputs) and over 10 of classes" in said
    assert f"less {others[1]}, input heart, paired: 30 patients, 32 cases" in said
    assert "p (DeLong, Holm)" in said
    assert stored(evaluation)["against"][2]["pair"]["auc"]["macro"]["p"] > 0
    assert stored(evaluation)["against"][3]["pair"]["auc"]["macro"]["p"] is None


def test_two_classes_count_as_one_comparison(
    run: Path, small_cohort: Path, train: Callable[..., Path], evaluate: Evaluate, make_cohort: Any
) -> None:
    others = [train(small_cohort, seed=1), train(small_cohort, seed=2)]
    found = evaluate(run, make_cohort("AB" * 12, name="many"), inputs=["full"], against=others)
    macro = [each.pair.auc.macro.p for each in found.comparisons]
    assert len(set(macro)) == 2
    for each, p in zip(found.comparisons, holm(np.array(macro)), strict=True):
        assert list(each.holm.values())[1:] == pytest.approx([p, p, p])  # macro and both classes
        assert each.tests == dict.fromkeys(["micro", "macro", "A", "B"], 2)
    said = "\n".join(tables(found))
    assert "and over 2 of classes (two classes have the same AUC and count as one)" in said


def test_bg_gaps_of_runs_are_compared(
    three: Path, three_classes: Path, train: Callable[..., Path], evaluate: Evaluate
) -> None:
    others = [train(three_classes, seed=1), train(three_classes, input="heart")]
    inputs = ["swap-same-class", "swap-other-class"]
    evaluation = evaluate(three, inputs=inputs, against=others)
    assert [each["input"] for each in stored(evaluation)["against"]] == [*inputs, *inputs, "BG-gap", "BG-gap"]
    gaps = [each for each in evaluation.comparisons if each.input == "BG-gap"]
    assert [each.run for each in gaps] == [str(run) for run in others]
    alone = [evaluate(run, inputs=inputs) for run in (three, *others)]
    for gap, other in zip(gaps, alone[1:], strict=True):
        four = [each.predictions[name] for each in (alone[0], other) for name in inputs]
        right = [np.mean(each.probabilities.argmax(1) == each.labels) for each in four]
        assert gap.pair.accuracy.value == pytest.approx((right[0] - right[1]) - (right[2] - right[3]))
        macro = alone[0].bg_gap.auc.macro.estimate.value - other.bg_gap.auc.macro.estimate.value
        assert gap.pair.auc.macro.estimate.value == pytest.approx(macro)
        found = [each.probabilities for each in four]
        arguments = (four[0].labels, four[0].patients, ["A", "B", "C"])
        expected = auc_contrast(found, (1, -1, -1, 1), *arguments, resamples=50)
        assert repr(gap.pair.auc) == repr(expected)
        of_macro = expected.macro.estimate.intervals[-1]
        assert -2 <= of_macro.low < of_macro.high <= 2
    p = holm(np.array([each.pair.auc.per_class[name].p for each in gaps for name in "BC"]))
    assert [each.holm[name] for each in gaps for name in "BC"] == p.tolist()
    assert all(np.isnan(each.holm["macro"]) for each in gaps)  # class A has nine patients with donors
    said = "\n".join(tables(evaluation))
    assert f"BG-gap less that of {others[1]}, paired: 30 patients, 32 cases" in said
    (plain,) = evaluate(three, inputs=["full"], against=others[:1]).comparisons
    assert plain.input == "full"


def test_images_of_another_size_are_resampled_and_that_is_said(
    three: Path, make_cohort: Any, train: Callable[..., Path], evaluate: Evaluate
) -> None:
    cohort = make_cohort("ABC" * 4, name="large", size=64)
    evaluation = evaluate(three, cohort)
    expected = (
        f"warning: {cohort}: images have 64 x 64 px of unknown size, those that {three} was trained on 48 x "
        "48 px of unknown size: resampled to 32 x 32 px of unknown size, as in training"
    )
    assert stored(evaluation)["notes"] == [expected]
    assert list(tables(evaluation))[1] == expected
    assert evaluate(three, make_cohort("ABC" * 4, name="alike")).notes == []
    fine = train(make_cohort("ABC" * 4, splits=["train"] * 12, name="fine", pixel_size=1.5))
    coarse = make_cohort("ABC" * 4, name="coarse", pixel_size=2.0)
    assert evaluate(fine, coarse, against=[three]).notes == [
        f"warning: {coarse}: images have 48 x 48 px of 2 mm, those that {fine} was trained on 48 x 48 px of "
        "1.5 mm: resampled to 32 x 32 px of 3 mm, in training 32 x 32 px of 2.25 mm"
    ]


def test_a_run_that_does_not_tell_of_its_images_is_tested_as_ever(
    three: Path, make_cohort: Any, evaluate: Evaluate, tmp_path: Path
) -> None:
    older = tmp_path / "older"
    shutil.copytree(three, older)
    info = json.loads((older / "run.json").read_text())
    del info["cohort"]["images"]
    (older / "run.json").write_text(json.dumps(info))
    evaluation = evaluate(older, make_cohort("ABC" * 4, name="larger", size=64))
    assert (evaluation.notes, evaluation.scores["full"].cases) == ([], 12)


def test_a_run_is_no_better_than_itself(three: Path, evaluate: Evaluate) -> None:
    (same,) = evaluate(three, against=[three]).comparisons
    assert same.pair.auc.macro.estimate.value == 0
    assert same.pair.label_probability.value == 0
    assert set(same.holm.values()) == {1.0}


def test_runs_with_other_classes_or_seen_patients_are_no_partners(
    three: Path, three_classes: Path, make_cohort: Any, train: Callable[..., Path], evaluate: Evaluate
) -> None:
    pair = make_cohort("AB" * 6, splits=["train"] * 12, name="pair")
    two = train(pair)
    cohort = make_cohort("AB" * 6, name="both")
    with pytest.raises(CmrbiasError, match=r"--against .*expected the classes A, B of .*, found A, B, C"):
        evaluate(two, cohort, against=[three])
    mapped = {"A": "A", "B": "B"}
    assert len(evaluate(two, cohort, against=[three], label_map=mapped).comparisons) == 1
    tested = make_cohort("ABC" * 4, patients=[f"p{i + 3}" for i in range(12)], name="overlapping")
    unseen = train(make_cohort("ABC" * 4, splits=["train"] * 12, name="strangers"))
    with pytest.raises(CmrbiasError, match=rf"{three}: has seen 9 of 12 test patients"):
        evaluate(unseen, tested, against=[three])


def test_frames_decide_which_cases_two_runs_share(
    three: Path, three_classes: Path, train: Callable[..., Path], evaluate: Evaluate
) -> None:
    """One test case has an incomplete mask at ES alone: a classifier of ED can be shown it."""
    early = train(three_classes, frames=["ED"])
    evaluation = evaluate(three, inputs=["heart"], against=[early])
    (comparison,) = evaluation.comparisons
    assert (comparison.pair.cases, comparison.pair.unpaired) == (32, 1)
    assert "1 cases have no partner" in "\n".join(tables(evaluation))


def test_scores_of_another_cohort_are_never_overwritten(
    run: Path, small_cohort: Path, make_cohort: Any, evaluate: Evaluate, tmp_path: Path
) -> None:
    assert evaluate(run).out == run
    before = (run / "scores.json").read_bytes()
    assert evaluate(run, inputs=["heart"]).out == run  # of the same cases: replaced
    assert (run / "scores.json").read_bytes() != before
    cohort = make_cohort("AB" * 4, name="elsewhere")
    assert evaluate(run, cohort).out == run / "evaluations" / "elsewhere"
    before = (run / "scores.json").read_bytes()
    with pytest.raises(
        CmrbiasError, match=r"holds the scores of another cohort digest.*choose another --out"
    ):
        evaluate(run, cohort, out=run)
    namesake = make_cohort("AB" * 5, name="elsewhere", seed=1)
    with pytest.raises(CmrbiasError, match="holds the scores of another cohort digest"):
        evaluate(run, namesake)
    assert evaluate(run, namesake, out=tmp_path / "a" / "b").out == tmp_path / "a" / "b"
    with pytest.raises(CmrbiasError, match="another split: expected 'train', found 'test'"):
        evaluate(run, cohort=small_cohort, split="train", allow_seen=True, out=run)
    assert (run / "scores.json").read_bytes() == before
    (tmp_path / "scores.json").write_text("[]")
    with pytest.raises(CmrbiasError, match="is no file of 'cmrbias evaluate' and is left alone"):
        evaluate(run, out=tmp_path)


def test_an_edited_copy_of_the_run_s_cohort_is_another_cohort(
    run: Path, small_cohort: Path, evaluate: Evaluate, tmp_path: Path
) -> None:
    """Labels that were edited must not replace the run's own scores under the digest of the originals."""
    evaluate(run)
    before = (run / "scores.json").read_bytes()
    copy = tmp_path / "edited"
    shutil.copytree(small_cohort, copy)
    swap = str.maketrans("AB", "BA")
    head, *lines = (copy / "cases.csv").read_text().splitlines()
    column = head.split(",").index("label")
    rows = [line.split(",") for line in lines]
    table = [head, *(",".join([*r[:column], r[column].translate(swap), *r[column + 1 :]]) for r in rows)]
    (copy / "cases.csv").write_text("\n".join(table) + "\n")
    evaluation = evaluate(run, copy)
    assert evaluation.out == run / "evaluations" / "edited"
    assert (run / "scores.json").read_bytes() == before
    assert f"warning: {copy / 'cases.csv'}: was edited after the cohort was made" in evaluation.notes[0]
    assert evaluation.notes[0] in tables(evaluation)
    assert stored(evaluation)["tested"]["cohort digest"] != json.loads(before)["tested"]["cohort digest"]
    with pytest.raises(CmrbiasError, match="holds the scores of another cohort digest"):
        evaluate(run, copy, out=run)


def test_results_that_a_later_call_was_not_asked_for_are_named_when_replaced(
    run: Path, train: Callable[..., Path], small_cohort: Path, evaluate: Evaluate, tmp_path: Path
) -> None:
    other, out = train(small_cohort, seed=1), tmp_path / "out"
    assert evaluate(run, inputs=["full", "heart"], against=[other], out=out).replaced == ""
    assert evaluate(run, inputs=["heart", "full", "silhouette"], against=[other], out=out).replaced == ""
    assert evaluate(run, inputs=["heart"], out=out).replaced == (
        f"{out / 'scores.json'}: results of an earlier call were replaced by this one's: input full, "
        f"silhouette; --against {other} (--out keeps both)"
    )
    assert evaluate(run, inputs=["heart"], out=out).replaced == ""


def test_weights_that_are_not_those_of_the_best_or_last_epoch_are_told(
    three_classes: Path, train: Callable[..., Path], evaluate: Evaluate, tiny_plugins: Plugins
) -> None:
    run = train(three_classes, epochs=2, validation=0.34)
    assert evaluate(run, inputs=["full"]).notes == []
    (run / "best.pt").unlink()
    (gone,) = evaluate(run, inputs=["full"]).notes
    assert gone.startswith(f"warning: {run / 'best.pt'}: is gone")
    assert "the weights are those of last.pt" in gone
    log = run / "log.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]))
    evaluation = evaluate(run, inputs=["full"])
    assert evaluation.notes[0] == gone
    assert f"{run}: trained 1 of 2 epochs" in evaluation.notes[1]
    assert stored(evaluation)["notes"] == evaluation.notes
    notes = cmrbias.explain(run, plugins=tiny_plugins, resamples=20).notes
    assert set(evaluation.notes) <= set(notes)


def test_a_cohort_that_has_changed_since_training_is_asked_for_by_name(
    make_cohort: Any, train: Callable[..., Path], evaluate: Evaluate
) -> None:
    cohort = make_cohort("AB" * 10, splits=["train"] * 10 + ["test"] * 10, name="changing")
    trained = train(cohort)
    shutil.rmtree(cohort)
    shutil.copytree(make_cohort("AB" * 10, name="changing", seed=5), cohort)
    with pytest.raises(CmrbiasError, match=r"has changed since .* was trained on it.*add --cohort"):
        evaluate(trained)
    with pytest.raises(CmrbiasError, match="has seen 10 of 20"):
        evaluate(trained, cohort)
