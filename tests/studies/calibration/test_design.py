"""What a calibration computes: cues, replicates, cells and what they need, time."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmrbias.errors import CmrbiasError
from cmrbias.studies.calibration.design import (
    MODELS,
    PRESETS,
    Bias,
    Preset,
    by_replicate,
    cells_of,
    seconds_left,
    trials,
)
from cmrbias.studies.calibration.rates import ENOUGH
from cmrbias.studies.calibration.weights import drop_weights, renew_trainings
from cmrbias.studies.cells import TRAINING, Cell, command, folder, ordered
from cmrbias.studies.execute import DONE, finished

FAR = Bias("local-far")
TWO = Preset({0.0: 1, 0.95: 1})


def test_cues_by_name() -> None:
    assert Bias.parse("global") == Bias("global")
    assert Bias.parse("local-near:wire:20") == Bias("local-near", "wire", 20.0)
    assert Bias.parse("local-near::20").words == ("--cue", "local-near", "--cue-distance", "20.0")
    assert Bias("local-near", "wire", 20).name == "local-near (wire), 20 mm"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("local", "unknown cue 'local'"),
        ("none", "unknown cue 'none'"),
        ("global:wire", "unknown form of a global cue 'wire'"),
        ("local-near:wire:far", "found 'far' for mm"),
        ("local-far:wire:3", "--cue-distance: expected --cue local-near"),
        ("local-near:wire:3:4", "unknown cue"),
    ],
)
def test_wrong_cues(text: str, said: str) -> None:
    with pytest.raises(CmrbiasError, match=said):
        Bias.parse(text)


def test_a_replicate_has_a_phantom_and_a_seed_of_its_own() -> None:
    found = list(trials([FAR], PRESETS["default"]))
    groups = by_replicate(found)
    assert len(found) == len(groups) * len(MODELS) == 24 * 5
    seeds = [{cell.seed for cell in ordered(cells_of(g)) if cell.kind in TRAINING} for g in groups]
    assert all(len(each) == 1 for each in seeds)
    assert len(set.union(*seeds)) == 24  # type: ignore[arg-type]
    phantoms = [next(c for c in ordered(cells_of(g)) if c.kind == "cohort") for g in groups]
    assert len({cell.digest for cell in phantoms}) == 24
    assert all(str(cell.options[-1]) == str(*each) for cell, each in zip(phantoms, seeds, strict=True))


def test_reliance_comes_from_twins_of_the_training_s_own_phantom() -> None:
    for trial in trials([FAR], TWO):
        assert (
            set(trial.behaviour) == set(trial.saliency) == {"full", *(["heart"] * (trial.model == "heart"))}
        )
        for cell in trial.behaviour.values():
            assert cell.run is not None
            assert cell.cohort == cell.run.cohort
            assert [twin.cohort for twin in cell.twins] == [cell.cohort] * 2
            words = command(cell, Path("s"))
            assert words.count("--twins") == 2
            assert all(twin in cell.after for twin in cell.twins)
    digests = {Cell("evaluate", "", run=cell.run, twins=twins).digest for twins in ((), cell.twins)}
    assert len(digests) == 2


def test_there_are_enough_null_replicates_and_presets_keep_their_time(tmp_path: Path) -> None:
    assert all(PRESETS[name].replicates[0.0] >= ENOUGH for name in ("default", "full"))
    minutes = {
        name: seconds_left(cells_of(trials([FAR], preset)), preset, tmp_path) / 60
        for name, preset in PRESETS.items()
    }
    assert minutes["smoke"] < 2
    assert minutes["quick"] <= 12
    assert minutes["default"] <= 45
    assert minutes["full"] > 60


def finish(cell: Cell, study: Path) -> None:
    place = folder(cell, study)
    (place / "out").mkdir(parents=True)
    (place / DONE).write_text("{}")
    if cell.kind in TRAINING:
        (place / "out" / "last.pt").write_text("weights")


def test_time_left_falls_as_cells_are_finished(tmp_path: Path) -> None:
    cells = ordered(cells_of(trials([FAR], TWO)))
    before = seconds_left(cells, TWO, tmp_path)
    finish(cells[0], tmp_path)
    assert 0 < seconds_left(cells, TWO, tmp_path) < before
    for cell in cells[1:]:
        finish(cell, tmp_path)
    assert seconds_left(cells, TWO, tmp_path) == 0


def test_weights_go_when_all_is_measured_and_come_back_when_needed(tmp_path: Path) -> None:
    cells = ordered(cells_of(trials([FAR], Preset({0.5: 1}))))
    for cell in cells:
        finish(cell, tmp_path)
    drop_weights(cells, tmp_path)
    assert not list(tmp_path.rglob("*.pt"))
    renew_trainings(cells, tmp_path)
    assert all(finished(folder(cell, tmp_path)) for cell in cells)  # nothing needs them

    probed = next(c for c in cells if c.kind == "saliency" and c.run and c.run.kind == "probe")
    (folder(probed, tmp_path) / DONE).unlink()
    renew_trainings(cells, tmp_path)
    again = {cell.kind for cell in cells if not finished(folder(cell, tmp_path))}
    assert again == {"saliency", "probe", "pretrain"}
    assert sum(not finished(folder(cell, tmp_path)) for cell in cells) == 3
