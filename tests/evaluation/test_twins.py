"""Reliance on a phantom's cue: predictions of twins compared by hand, and what is no twin."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import roc_auc_score

import cmrbias
from cmrbias.cli.main import make_cli
from cmrbias.cohorts.phantom.cohort import make_phantom, twin
from cmrbias.cohorts.phantom.settings import PhantomOptions
from cmrbias.errors import CmrbiasError
from cmrbias.evaluation.evaluation import Evaluation
from cmrbias.evaluation.twins import total_variation
from cmrbias.plugins import Plugins

KINDS = {"other": None, "permuted": "permuted"}


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A phantom whose markers give the diagnosis away, and its twins."""
    folder = tmp_path_factory.mktemp("twins")
    options = PhantomOptions(patients=40, image_size=48, cue="local-far", cue_strength=1.0)
    make_phantom(folder / "source", options)
    for name, condition in KINDS.items():
        twin(folder / "source", folder / name, condition)
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture(scope="module")
def evaluation(
    train: Callable[..., Path],
    cohorts: dict[str, Path],
    tiny_plugins: Plugins,
    tmp_path_factory: pytest.TempPathFactory,
) -> Evaluation:
    run = train(cohorts["source"], epochs=4)
    return cmrbias.evaluate(
        run,
        inputs=["full", "heart"],
        twins=[cohorts[name] for name in KINDS],
        resamples=50,
        plugins=tiny_plugins,
        out=tmp_path_factory.mktemp("out"),
    )


def test_figures_are_those_of_the_two_predictions(
    evaluation: Evaluation, cohorts: dict[str, Path], tiny_plugins: Plugins, tmp_path: Path
) -> None:
    ours = evaluation.predictions["full"]
    for twinned in (each for each in evaluation.twins if each.input == "full"):
        path = cohorts[twinned.levels]
        direct = cmrbias.evaluate(
            evaluation.subject.run.path,
            path,
            inputs=["full"],
            resamples=2,
            plugins=tiny_plugins,
            out=tmp_path / path.name,
        )
        theirs = direct.predictions["full"]
        apart = np.abs(ours.probabilities - theirs.probabilities).sum(1) / 2
        assert twinned.total_variation.value == pytest.approx(apart.mean())
        assert 0 < twinned.total_variation.value < 1
        assert twinned.flipped.value == pytest.approx((ours.predicted != theirs.predicted).mean())
        aucs = [roc_auc_score(ours.labels, p.probabilities, multi_class="ovr") for p in (ours, theirs)]
        assert twinned.pair.auc.macro.estimate.value == pytest.approx(aucs[0] - aucs[1])
        assert twinned.total_variation.interval.width > 0
        assert twinned.total_variation.n == 12


def test_all_cases_have_another_level_and_permuted_ones_some(evaluation: Evaluation) -> None:
    changed = {each.levels: each.changed for each in evaluation.twins}
    assert changed["other"] == 12
    assert 0 < changed["permuted"] <= 12


def test_what_sees_the_heart_alone_cannot_rely_on_a_cue_on_the_skin(evaluation: Evaluation) -> None:
    for each in (each for each in evaluation.twins if each.input == "heart"):
        assert each.total_variation.value == each.flipped.value == 0
        assert "zero width" in each.flipped.doubts
        assert each.flipped.fallback is not None
        assert each.flipped.fallback.high == pytest.approx(1 / (1 + 12 / 1.959964**2))  # Wilson, 0 of 12
        assert each.pair.auc.macro.estimate.value == 0


def test_files_hold_the_twins(evaluation: Evaluation) -> None:
    stored = json.loads((evaluation.out / "scores.json").read_text())["twins"]
    assert [(each["levels"], each["input"]) for each in stored] == [
        (name, mode) for name in KINDS for mode in ("full", "heart")
    ]
    assert stored[0]["total_variation"]["value"] == evaluation.twins[0].total_variation.value


def test_the_command_prints_reliance(
    evaluation: Evaluation, cohorts: dict[str, Path], tiny_plugins: Plugins, tmp_path: Path
) -> None:
    given = ["evaluate", str(evaluation.subject.run.path), "--twins", str(cohorts["other"])]
    given += ["--resamples", "20", "--input", "full", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(make_cli(lambda: tiny_plugins), given)
    assert result.exit_code == 0, result.output
    assert f"twin {cohorts['other']} (cue levels: other), input full, paired: 12 patients" in result.stdout
    value = evaluation.twins[0].total_variation.value
    assert f"total variation (reliance)  {value:.3f}" in result.stdout
    assert "decisions flipped" in result.stdout


def test_what_is_no_twin_is_refused(
    evaluation: Evaluation, cohorts: dict[str, Path], tiny_plugins: Plugins, tmp_path: Path
) -> None:
    run = evaluation.subject.run.path
    for cohort, other, said in (
        (None, "source", "found no twin: make one by cmrbias cohort phantom OUT --twin-of"),
        (cohorts["other"], "permuted", "found the twin of another cohort"),
    ):
        with pytest.raises(CmrbiasError, match=said):
            cmrbias.evaluate(run, cohort, twins=[cohorts[other]], plugins=tiny_plugins, out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_total_variation_by_hand() -> None:
    first = np.array([[1.0, 0, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5]])
    second = np.array([[0.0, 1, 0], [0.5, 0.25, 0.25], [0.2, 0.3, 0.5]])
    assert total_variation(first, second) == pytest.approx([1, 0.25, 0])
