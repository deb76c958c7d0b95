"""``cmrbias finetune`` and ``probe``: runs, resume to the byte, what is said, wrong input."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

import cmrbias
from cmrbias.cli.main import make_cli
from cmrbias.inputs import TRAINING
from cmrbias.plugins import Plugins
from cmrbias.training.classify import Classify

FAST = ["--backbone", "tiny", "--image-size", "32", "--batch", "2", "--threads", "1", "--epochs", "2"]


@pytest.fixture
def cli(tiny_plugins: Plugins, small_cohort: Path) -> Callable[..., Result]:
    """Runs a command in this process; without --resume on the small cohort and with fast settings."""

    def run(command: str, *arguments: object) -> Result:
        given = [str(a) for a in arguments]
        if "--resume" not in given:
            cohort = [] if "--cohort" in given else ["--cohort", str(small_cohort)]
            given = [*FAST, *cohort, *given]
        return CliRunner().invoke(make_cli(lambda: tiny_plugins), [command, *given])

    return run


def ok(result: Result) -> Result:
    assert result.exit_code == 0, result.output + str(result.exception)
    return result


def log(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def info(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text())


@pytest.mark.parametrize("command", ["finetune", "probe"])
def test_a_run_holds_what_is_promised_and_says_it(
    command: str, cli: Callable[..., Result], tmp_path: Path, tiny_plugins: Plugins
) -> None:
    run = tmp_path / "run"
    said = ok(cli(command, "--out", run)).output
    assert "initialisation: random init, seed 0" in said
    assert "training cases: A 3, B 3" in said
    assert "validation cases: A 1, B 1" in said
    assert f"next: cmrbias evaluate {run}" in said
    lines = log(run)
    assert [line["epoch"] for line in lines] == [0, 1, 2]
    assert {"loss", "val_loss", "val_auc", "val_accuracy"} <= set(lines[1])
    assert "train_auc" in lines[2]
    best = max(lines[1:], key=lambda line: (line["val_auc"], -line["val_loss"]))
    assert f"in epoch {best['epoch']}, the best, which best.pt holds" in said
    assert torch.load(run / "best.pt", weights_only=True)["epoch"] == best["epoch"]
    found = info(run)
    assert len(found["patients_seen"]) == 8
    assert found["record"]["training_counts"] == [3, 3]
    assert len(found["record"]["validation_patients"]) == 2
    assert set(found["record"]["validation_patients"]) <= set(found["patients_seen"])
    classifier = cmrbias.load_classifier(run, tiny_plugins)
    assert (classifier.classes, classifier.frames, classifier.image_size) == (("A", "B"), ("ED", "ES"), 32)


@pytest.mark.parametrize("mode", TRAINING)
def test_every_input_mode_trains_and_is_stored(
    mode: str, cli: Callable[..., Result], tmp_path: Path, tiny_plugins: Plugins
) -> None:
    run = tmp_path / "run"
    ok(cli("finetune", "--input", mode, "--out", run, "--epochs", "1"))
    stored = cmrbias.load_classifier(run, tiny_plugins).input
    assert stored.name == mode
    assert stored.box == (19 if mode == "background-box" else None)  # discs with radius under 10
    swap = {"swap_residual", "swap_same_label", "swap_unchanged"}
    assert (swap <= set(log(run)[1])) == (mode == "swap")


def test_swap_options_are_stored_and_its_donors_measured(
    cli: Callable[..., Result], tmp_path: Path, tiny_plugins: Plugins
) -> None:
    run = tmp_path / "run"
    arguments = ["--input", "swap", "--input-option", "fill=donor", "--validation", "0", "--batch", "8"]
    ok(cli("finetune", *arguments, "--out", run))
    assert cmrbias.load_classifier(run, tiny_plugins).input.fill == "donor"
    for line in log(run)[1:]:
        assert line["swap_unchanged"] == 0  # 8 patients in the batch: each finds another
        assert 0 < line["swap_residual"] < 0.2
        assert line["swap_same_label"] * 8 == round(line["swap_same_label"] * 8)


@pytest.mark.parametrize(
    "arguments", [["finetune", "--input", "swap"], ["finetune", "--saliency-weight", "1"], ["probe"]]
)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_resume_continues_bit_for_bit(
    arguments: list[str],
    precision: str,
    cli: Callable[..., Result],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that fails in its second epoch and is resumed ends in the bytes of one that never failed."""
    arguments = [*arguments, "--precision", precision]
    ok(cli(*arguments, "--out", tmp_path / "whole"))
    step, calls = Classify.step, []

    def failing(self: Classify, batch: Any, progress: float) -> Any:
        calls.append(progress)
        if len(calls) == 5:
            raise MemoryError("in mid-epoch")
        return step(self, batch, progress)

    monkeypatch.setattr(Classify, "step", failing)
    assert isinstance(cli(*arguments, "--out", tmp_path / "broken").exception, MemoryError)
    monkeypatch.setattr(Classify, "step", step)
    ok(cli(arguments[0], "--resume", tmp_path / "broken", "--threads", "1"))
    for name in ("best.pt", "last.pt", "log.jsonl"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_ctrl_c_saves_at_the_step_s_boundary_and_resume_goes_on(
    cli: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ok(cli("finetune", "--out", tmp_path / "whole"))
    step, calls = Classify.step, []

    def interrupting(self: Classify, batch: Any, progress: float) -> Any:
        calls.append(progress)
        if len(calls) == 4:
            signal.raise_signal(signal.SIGINT)
        return step(self, batch, progress)

    monkeypatch.setattr(Classify, "step", interrupting)
    result = cli("finetune", "--out", tmp_path / "cut")
    assert result.exit_code == 130  # a script's "&& cmrbias evaluate" does not begin
    assert f"go on: cmrbias finetune --resume {tmp_path / 'cut'}" in result.output
    state = torch.load(tmp_path / "cut" / "last.pt", weights_only=True)
    assert (state["epoch"], state["step"]) == (1, 1)
    ok(cli("finetune", "--resume", tmp_path / "cut", "--threads", "1"))
    for name in ("best.pt", "last.pt", "log.jsonl"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_best_checkpoint_that_was_never_written_is_made_up_for(
    cli: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between last.pt and best.pt, a run has both after it is resumed."""
    monkeypatch.setattr(
        Classify, "merit", lambda self, metrics: (len(metrics),)
    )  # the last: it has train_auc
    ok(cli("finetune", "--out", tmp_path / "run"))
    best = (tmp_path / "run" / "best.pt").read_bytes()
    (tmp_path / "run" / "best.pt").unlink()
    ok(cli("finetune", "--resume", tmp_path / "run", "--threads", "1"))
    assert (tmp_path / "run" / "best.pt").read_bytes() == best


def test_the_same_seed_gives_the_same_bytes_and_seeds_share_the_validation_part(
    cli: Callable[..., Result], tmp_path: Path
) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        ok(cli("finetune", "--out", tmp_path / name, "--seed", seed, "--epochs", "1"))
    a, b, c = ((tmp_path / name / "last.pt").read_bytes() for name in "abc")
    assert a == b
    assert a != c
    parts = [info(tmp_path / name)["record"]["validation_patients"] for name in "ac"]
    assert parts[0] == parts[1]


def test_the_paper_s_recipe_keeps_the_last_weights_and_has_no_validation_part(
    cli: Callable[..., Result], tmp_path: Path
) -> None:
    said = ok(cli("finetune", "--recipe", "paper", "--out", tmp_path / "run")).output
    assert "training cases: A 4, B 4" in said
    assert "no validation part: last.pt holds epoch 2" in said
    assert not (tmp_path / "run" / "best.pt").exists()
    assert "val_loss" not in log(tmp_path / "run")[1]
    groups = torch.load(tmp_path / "run" / "last.pt", weights_only=True)["optimisers"]["loss"]["param_groups"]
    assert [(g["lr"], g["weight_decay"], len(g["params"])) for g in groups] == [(1e-4, 1e-4, 5)]


def test_a_probe_leaves_the_backbone_and_its_statistics_as_they_were(
    cli: Callable[..., Result], tmp_path: Path
) -> None:
    ok(cli("finetune", "--out", tmp_path / "a"))
    for name, more in (("cached", []), ("augmented", ["--augment", "crop,flip"])):
        ok(cli("probe", "--weights", tmp_path / "a", "--out", tmp_path / name, *more))
        before = torch.load(tmp_path / "a" / "best.pt", weights_only=True)
        after = torch.load(tmp_path / name / "last.pt", weights_only=True)
        assert all(torch.equal(after["backbone"][k], v) for k, v in before["backbone"].items())
        heads = (state["classifier"]["head"]["weight"] for state in (before, after))
        assert not torch.equal(*heads)


def test_weights_give_the_network_and_their_patients(cli: Callable[..., Result], tmp_path: Path) -> None:
    ok(cli("finetune", "--out", tmp_path / "a", "--epochs", "1"))
    found = info(tmp_path / "a")
    found["patients_seen"].append("ffff")
    (tmp_path / "a" / "run.json").write_text(json.dumps(found))
    for number, weights in enumerate((tmp_path / "a", tmp_path / "a" / "last.pt")):
        out = tmp_path / f"b{number}"
        said = ok(cli("probe", "--weights", weights, "--out", out)).output
        assert f"initialisation: {tmp_path / 'a'}" in said
        assert "ffff" in info(out)["patients_seen"]
    said = ok(cli("finetune", "--weights", "none", "--out", tmp_path / "c")).output
    assert "initialisation: random init" in said


def test_weights_that_are_not_finite_are_refused(cli: Callable[..., Result], tmp_path: Path) -> None:
    ok(cli("finetune", "--out", tmp_path / "a", "--epochs", "1"))
    state = torch.load(tmp_path / "a" / "best.pt", weights_only=True)
    state["backbone"]["features.1.running_var"][3] = float("inf")
    torch.save(state, tmp_path / "a" / "best.pt")
    for weights in (tmp_path / "a", tmp_path / "a" / "best.pt"):
        result = cli("probe", "--weights", weights, "--out", tmp_path / "b")
        assert result.exit_code == 1
        found = "best.pt: expected finite weights, found NaN or infinity in features.1.running_var"
        assert found in result.output
        assert not (tmp_path / "b").exists()


def test_a_loss_that_is_not_finite_is_one_line_and_says_what_is_kept(
    cli: Callable[..., Result],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recwarn: pytest.WarningsRecorder,
) -> None:
    step, calls = Classify.step, []

    def diverging(self: Classify, batch: Any, progress: float) -> Any:
        calls.append(progress)
        values = step(self, batch, progress)
        return values | {"loss": values["loss"] * (float("nan") if len(calls) in (1, 6) else 1)}

    monkeypatch.setattr(Classify, "step", diverging)
    result = cli("finetune", "--out", tmp_path / "a")
    assert result.exit_code == 1
    assert "epoch 1, step 1: the loss is nan: the training diverged: lower --lr" in result.output
    assert "a/last.pt holds the weights it began with" in result.output
    result = cli("finetune", "--out", tmp_path / "b")  # 3 steps an epoch
    assert "b/last.pt holds epoch 1, the last good one" in result.output
    assert not [w for w in recwarn if "requires_grad" in str(w.message)]


def test_the_network_of_the_weights_run_is_taken_unless_another_is_named(
    tiny_plugins: Plugins, small_cohort: Path, cli: Callable[..., Result], tmp_path: Path
) -> None:
    ok(cli("finetune", "--out", tmp_path / "a", "--epochs", "1"))
    arguments = [*FAST[2:], "--cohort", str(small_cohort), "--weights", str(tmp_path / "a")]
    app = make_cli(lambda: tiny_plugins)
    ok(CliRunner().invoke(app, ["finetune", *arguments, "--out", str(tmp_path / "b")]))
    assert info(tmp_path / "b")["settings"]["options"]["backbone"] == "tiny"
    other = ["finetune", *arguments, "--out", str(tmp_path / "c"), "--backbone", "resnet18"]
    result = CliRunner().invoke(app, other)
    assert result.exit_code == 1
    assert "the weights are those of tiny, the network is resnet18: use --backbone tiny" in result.output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--input", "heat"], "unknown input mode 'heat': did you mean 'heart'"),
        (["--input", "heart", "--input-option", "fill=mean"], "'heart': takes no options, got 'fill'"),
        (["--input", "swap", "--input-option", "fill"], "--input-option: expected KEY=VALUE, got 'fill'"),
        (["--label", "lable"], "unknown label column 'lable': did you mean 'label'?"),
        (["--frames", "ED,EX"], "unknown frame 'EX': did you mean"),
        (["--recipe", "papers"], "unknown recipe of task 'classify' 'papers': did you mean 'paper'"),
        (["--backbone", "resnet19"], "unknown backbone 'resnet19'"),
        (["--weights", "nowhere.pt"], "nowhere.pt: no such file: expected weights or a run"),
        (["--batch", "7"], "6 training rows are fewer than the batch of 7: use --batch 6 or less"),
        (["--augment", "crop,flipp"], "unknown augmentation 'flipp': did you mean 'flip'"),
        (["--validation", "0.9"], "--validation"),
        (["--class-weights", "some"], "--class-weights"),
        (["--lr", "nan"], "'--lr': expected a finite number, at most 1e+30, got nan"),
        (["--lr", "inf"], "'--lr': expected a finite number, at most 1e+30, got inf"),
        (["--lr", "1e39"], "'--lr': expected a finite number, at most 1e+30, got 1e39"),
        (["--weight-decay", "nan"], "'--weight-decay': expected a finite number"),
        (["--warmup-epochs", "inf"], "'--warmup-epochs': expected a finite number"),
        (["--fraction", "nan"], "'--fraction': expected a finite number"),
        (["--saliency-weight", "nan"], "'--saliency-weight': expected a finite number"),
    ],
)
def test_wrong_arguments_are_one_line_and_leave_nothing(
    arguments: list[str], expected: str, cli: Callable[..., Result], tmp_path: Path
) -> None:
    result = cli("finetune", "--out", tmp_path / "run", *arguments)
    assert result.exit_code in (1, 2)
    assert expected in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "run").exists()


def test_a_cohort_without_labels_in_some_rows_is_told(
    small_cohort: Path, cli: Callable[..., Result], tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(small_cohort, broken)
    lines = (broken / "cases.csv").read_text().splitlines()
    label = lines[0].split(",").index("label")
    cells = [line.split(",") for line in lines]
    cells[3][label] = cells[5][label] = ""
    (broken / "cases.csv").write_text("\n".join(",".join(row) for row in cells) + "\n")
    result = cli("finetune", "--cohort", broken, "--out", tmp_path / "run")
    assert "column 'label' is empty in 2 of 8 training rows (case c2, c4)" in result.output


def test_each_command_resumes_its_own_runs(cli: Callable[..., Result], tmp_path: Path) -> None:
    ok(cli("finetune", "--out", tmp_path / "run", "--epochs", "1"))
    for command in ("probe", "pretrain"):
        result = cli(command, "--resume", tmp_path / "run")
        assert result.exit_code == 1
        assert "is a run of task 'classify', not of" in result.output
    assert "leave out --input" in cli("finetune", "--resume", tmp_path / "run", "--input", "heart").output
