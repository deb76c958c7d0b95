"""Pretraining end to end, through the command: runs, resume to the byte, interruption, wrong input."""

from __future__ import annotations

import json
import math
import os
import signal
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from torch import nn

from cmrbias import hookimpl
from cmrbias.api import Backbone, CmrbiasError
from cmrbias.cli.main import make_cli
from cmrbias.methods.moco import MoCo
from cmrbias.pairings.same_image import SameImage
from cmrbias.plugins import Origin, Plugins, plugin_manager

FAST = ["--backbone", "tiny", "--image-size", "32", "--batch", "4", "--threads", "1", "-o", "hidden=16"]
OPTIONS = {"moco": ["-o", "queue=8"], "stopping": ["-o", "queue=8"]}


class Tiny(Backbone):
    """A network with convolution, batch norm and 16 features, for tests of everything around it."""

    name, dim, stride = "tiny", 16, 4

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 16, 5, 4, 2, bias=False), nn.BatchNorm2d(16), nn.ReLU())

    def feature_map(self, images: torch.Tensor) -> torch.Tensor:
        return self.features(images)


def plugins_with(**hooks: Callable[..., Any]) -> Plugins:
    """The built-ins, the tiny network, and one plugin of the given hooks."""
    plugins = plugin_manager([])
    tiny = {"register_backbones": lambda register: register("tiny", lambda stride: Tiny())}
    for name, functions in (("tiny", tiny), ("a-plugin", hooks)):
        module = types.ModuleType(name)
        for hook, function in functions.items():
            setattr(module, hook, hookimpl(function))
        plugins.add(module, Origin(name, f"dist-{name}", "2.0"))
    return plugins


def pretrain(*arguments: str | Path, plugins: Plugins | None = None, method: str = "moco") -> Result:
    """Runs ``cmrbias pretrain`` in this process, with fast settings unless it resumes."""
    given = [str(a) for a in arguments]
    if "--resume" not in given:
        given = ["--method", method, *FAST, *OPTIONS.get(method, []), *given]
    return CliRunner().invoke(make_cli(lambda: plugins or plugins_with()), ["pretrain", *given])


def ok(result: Result) -> Result:
    assert result.exit_code == 0, result.output + str(result.exception)
    return result


def log(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


class Stopping(MoCo):
    """MoCo that raises a signal or an error in its n-th forward pass."""

    left: int | None = None
    act: Callable[[], object]

    def forward(self, views: Any, batch: Any) -> torch.Tensor:
        if Stopping.left is not None:
            Stopping.left -= 1
            if Stopping.left == 0:
                Stopping.act()
        return super().forward(views, batch)


def stopping_after(count: int | None, act: Callable[[], object] = lambda: None) -> Plugins:
    Stopping.left, Stopping.act = count, staticmethod(act)  # type: ignore[assignment]
    return plugins_with(register_methods=lambda register: register("stopping", Stopping))


@pytest.mark.parametrize("method", ["moco", "simclr", "byol"])
def test_a_run_holds_what_is_promised(method: str, small_cohort: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ["--cohort", small_cohort, "--out", run, "--epochs", "2", "--backbone", "resnet18"]
    result = ok(pretrain(*arguments, method=method))
    assert f"wrote {run}" in result.output
    assert "next: " in result.output
    lines = log(run)
    assert [line["epoch"] for line in lines] == [0, 1, 2]
    assert {"embedding_std", "knn_accuracy"} <= set(lines[0])
    assert {"loss", "views_without_heart"} <= set(lines[1])
    info = json.loads((run / "run.json").read_text())
    assert info["status"] == "finished"
    assert len(info["patients_seen"]) == 8
    assert info["settings"]["options"]["method"] == method
    assert {"cmrbias", "torch", "numpy", "python"} <= set(info["versions"])
    state = torch.load(run / "last.pt", weights_only=True)
    assert state["backbone_name"] == "resnet18"
    assert state["backbone"]["conv1.weight"].shape == (64, 1, 7, 7)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(
    small_cohort: Path, tmp_path: Path
) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        ok(pretrain("--cohort", small_cohort, "--out", tmp_path / name, "--epochs", "1", "--seed", str(seed)))
    a, b, c = ((tmp_path / name / "last.pt").read_bytes() for name in "abc")
    assert a == b
    assert a != c


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("method", ["moco", "simclr", "byol"])
def test_resume_continues_bit_for_bit(
    method: str, precision: str, small_cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that fails in its second epoch and is resumed ends in the bytes of one that never failed."""
    arguments = ["--cohort", small_cohort, "--epochs", "2", "--precision", precision]
    ok(pretrain(*arguments, "--out", tmp_path / "whole", method=method))
    from cmrbias.training.pretrain import Pretrain

    load, calls = Pretrain.load, []

    def failing(self: Pretrain, rows: torch.Tensor, epoch: int) -> Any:
        calls.append(epoch)
        if len(calls) == 7:
            raise MemoryError("in mid-epoch")
        return load(self, rows, epoch)

    monkeypatch.setattr(Pretrain, "load", failing)
    failed = pretrain(*arguments, "--out", tmp_path / "broken", method=method)
    assert isinstance(failed.exception, MemoryError)
    monkeypatch.setattr(Pretrain, "load", load)
    ok(pretrain("--resume", tmp_path / "broken", "--threads", "1"))
    for name in ("last.pt", "log.jsonl"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_ctrl_c_saves_at_the_step_s_boundary_and_resume_goes_on(small_cohort: Path, tmp_path: Path) -> None:
    arguments = ["--cohort", small_cohort, "--epochs", "2"]
    ok(pretrain(*arguments, "--out", tmp_path / "whole", plugins=stopping_after(None), method="stopping"))
    interrupt = stopping_after(6, lambda: signal.raise_signal(signal.SIGINT))
    result = pretrain(*arguments, "--out", tmp_path / "cut", plugins=interrupt, method="stopping")
    assert result.exit_code == 130
    assert f"go on: cmrbias pretrain --resume {tmp_path / 'cut'}" in result.output
    state = torch.load(tmp_path / "cut" / "last.pt", weights_only=True)
    assert (state["epoch"], state["step"]) == (1, 2)
    ok(pretrain("--resume", tmp_path / "cut", "--threads", "1", plugins=stopping_after(None)))
    for name in ("last.pt", "log.jsonl"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_log_line_without_its_checkpoint_is_cut_back(small_cohort: Path, tmp_path: Path) -> None:
    ok(pretrain("--cohort", small_cohort, "--out", tmp_path / "run", "--epochs", "1"))
    before = (tmp_path / "run" / "log.jsonl").read_bytes()
    (tmp_path / "run" / "log.jsonl").write_bytes(before + b'{"epoch": 2, "loss": 9}\n')
    ok(pretrain("--resume", tmp_path / "run", "--threads", "1"))
    assert (tmp_path / "run" / "log.jsonl").read_bytes() == before


def test_accumulation_takes_one_step_a_batch(small_cohort: Path, tmp_path: Path) -> None:
    arguments = ["--cohort", small_cohort, "--epochs", "1", "--batch", "8"]
    ok(pretrain(*arguments, "--out", tmp_path / "run", "--accumulate", "2", "--optimiser", "adam"))
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert state["optimisers"]["loss"]["state"][0]["step"] == 2  # 16 frames, not 4 parts
    assert log(tmp_path / "run")[1]["loss"] > 0


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_a_training_that_diverges_in_its_last_step_is_no_success(
    optimiser: str, small_cohort: Path, tmp_path: Path
) -> None:
    """Two steps: batch norm keeps the second one's loss finite, but its own statistics overflow."""
    arguments = ["--cohort", small_cohort, "--epochs", "1", "--batch", "8", "--optimiser", optimiser]
    result = pretrain(*arguments, "--out", tmp_path / "run", "--lr", "1e30")
    assert result.exit_code == 1
    assert "epoch 1" in result.output
    assert "not finite" in result.output
    assert "the training diverged: lower --lr" in result.output
    assert "wrote" not in result.output
    held = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert held["epoch"] == 0
    assert all(value.isfinite().all() for value in held["module"].values())


def test_what_is_not_finite_is_null_in_the_log_and_nan_when_read(tmp_path: Path) -> None:
    from cmrbias.training.run import Run, read_log

    Run.create(tmp_path / "run", {}).add({"epoch": 0, "loss": float("inf"), "knn_accuracy": float("nan")})
    stored = (tmp_path / "run" / "log.jsonl").read_text()
    assert stored == '{"epoch": 0, "loss": null, "knn_accuracy": null}\n'
    assert math.isnan(read_log(tmp_path / "run" / "log.jsonl")[0]["knn_accuracy"])


def test_what_is_run_next_names_the_cohort_and_survives_a_shell(small_cohort: Path, tmp_path: Path) -> None:
    run = tmp_path / "my run"
    said = ok(pretrain("--cohort", small_cohort, "--out", run, "--epochs", "1")).output
    told = f"next: cmrbias finetune --weights '{run}' --cohort {small_cohort}\n"
    assert told in said
    assert told in ok(pretrain("--resume", run, "--threads", "1")).output


def test_a_finished_run_that_is_resumed_is_said_to_be_finished(small_cohort: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    ok(pretrain("--cohort", small_cohort, "--out", run, "--epochs", "1"))
    before = {path: path.read_bytes() for path in run.glob("*.pt")}
    said = ok(pretrain("--resume", run, "--threads", "1")).output
    assert f"{run} was finished before: nothing was left to train" in said
    assert "images/s" not in said
    assert "wrote" not in said
    assert {path: path.read_bytes() for path in run.glob("*.pt")} == before


def test_what_fails_before_its_first_checkpoint_leaves_the_name_free(
    small_cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cmrbias.training.pretrain import Pretrain

    def failing(self: Pretrain, epoch: int) -> dict[str, float]:
        raise CmrbiasError("no luck")

    arguments = ["--cohort", small_cohort, "--out", tmp_path / "run", "--epochs", "1"]
    with monkeypatch.context() as patched:
        patched.setattr(Pretrain, "validate", failing)
        assert "Error: no luck" in pretrain(*arguments).output
    assert not (tmp_path / "run").exists()
    ok(pretrain(*arguments))


def test_help_says_that_a_method_is_required() -> None:
    shown = " ".join(CliRunner().invoke(make_cli(), ["pretrain", "--help"]).output.split())
    assert "--method NAME Self-supervised method" in shown
    assert "[required, but with --resume]" in shown


def test_only_training_patients_are_seen(small_cohort: Path, tmp_path: Path) -> None:
    seen = []

    def watch(run: Any, epoch: int, metrics: dict[str, float]) -> None:
        seen.append(epoch)

    from cmrbias.cohorts.format import Cohort
    from cmrbias.training.frames import Frames

    cohort = Cohort.open(small_cohort)
    assert set(cohort.column("split")[Frames(cohort).case]) == {"train"}
    ok(
        pretrain(
            "--cohort",
            small_cohort,
            "--out",
            tmp_path / "r",
            "--epochs",
            "1",
            plugins=plugins_with(on_epoch_end=watch),
        )
    )
    assert seen == [0, 1]


def test_a_logger_that_raises_is_named_once_and_training_goes_on(small_cohort: Path, tmp_path: Path) -> None:
    def broken(run: Any, epoch: int, metrics: dict[str, float]) -> None:
        raise RuntimeError("disk on fire")

    plugins = plugins_with(on_epoch_end=broken)
    result = ok(pretrain("--cohort", small_cohort, "--out", tmp_path / "r", "--epochs", "2", plugins=plugins))
    assert result.output.count("disk on fire") == 1
    assert "a-plugin (dist-a-plugin)" in result.output


def test_the_last_hook_is_called_always(small_cohort: Path, tmp_path: Path) -> None:
    ends = []
    Stopping.left, Stopping.act = 3, staticmethod(lambda: 1 / 0)  # type: ignore[assignment]
    plugins = plugins_with(
        register_methods=lambda register: register("stopping", Stopping),
        on_run_end=lambda run, error: ends.append(type(error)),
    )
    result = pretrain("--cohort", small_cohort, "--out", tmp_path / "r", plugins=plugins, method="stopping")
    assert isinstance(result.exception, ZeroDivisionError)  # a bug keeps its traceback
    assert ends == [ZeroDivisionError]


def test_a_run_whose_plugin_is_missing_says_what_to_install(small_cohort: Path, tmp_path: Path) -> None:
    arguments = ["--cohort", small_cohort, "--out", tmp_path / "r", "--epochs", "1"]
    ok(pretrain(*arguments, plugins=stopping_after(None), method="stopping"))
    result = pretrain("--resume", tmp_path / "r")
    assert result.exit_code == 1
    assert "method 'stopping' came from dist-a-plugin 2.0, which is not installed: " in result.output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--method", "mocoo"], "unknown method 'mocoo': did you mean 'moco'"),
        (["-o", "queu=3"], "unknown option 'queu': did you mean 'queue'"),
        (["-o", "queue=many"], "option 'queue': expected int, got 'many'"),
        (["-o", "queue"], "-o: expected KEY=VALUE, got 'queue'"),
        (["--backbone", "resnet19"], "unknown backbone 'resnet19': did you mean 'resnet18'"),
        (["--recipe", "papers"], "unknown recipe of method 'moco' 'papers': did you mean 'paper'"),
        (["--pairs", "same-study"], "unknown pairing 'same-study': did you mean 'same-case'"),
        (["--augment", "crop,flipp"], "unknown augmentation 'flipp': did you mean 'flip'"),
        (["--augment-option", "crop.size=3"], "augmentation 'crop': unknown option 'size'"),
        (["--augment-option", "swap.fill=mean"], "expected NAME.KEY=VALUE with a NAME in use"),
        (["--batch", "17"], "16 training rows are fewer than the batch of 17: use --batch 16 or less"),
        (["--accumulate", "3"], "expected a divisor of the batch of 4"),
        (["--label", "diagnosis"], "diagnosis"),
        (["--stride", "7", "--backbone", "resnet18"], "stride"),
        (["--device", "cuda:9"], "sees"),
    ],
)
def test_wrong_arguments_are_one_line_and_leave_nothing(
    arguments: list[str], expected: str, small_cohort: Path, tmp_path: Path
) -> None:
    result = pretrain("--cohort", small_cohort, "--out", tmp_path / "run", *arguments)
    assert result.exit_code in (1, 2)
    assert expected in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "run").exists()


def test_a_path_that_is_no_cohort_is_one_line(tmp_path: Path) -> None:
    result = pretrain("--cohort", tmp_path / "nowhere", "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert str(tmp_path / "nowhere") in result.output


def test_an_existing_run_is_not_overwritten(small_cohort: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    result = pretrain("--cohort", small_cohort, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert "exists already: choose another --out, or go on with it by --resume" in result.output


def test_resume_refuses_flags_that_it_would_ignore(tmp_path: Path) -> None:
    result = pretrain("--resume", tmp_path, "--lr", "1")
    assert result.exit_code == 2
    assert "leave out --lr" in result.output
    result = pretrain("--resume", tmp_path)
    assert "not a run: expected a directory with a run.json" in result.output


def test_a_changed_cohort_or_a_damaged_checkpoint_is_refused(small_cohort: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    ok(pretrain("--cohort", small_cohort, "--out", run, "--epochs", "1"))
    content = (run / "last.pt").read_bytes()
    (run / "last.pt").write_bytes(content[: len(content) // 2])
    assert "expected weights saved by torch" in pretrain("--resume", run).output
    info = json.loads((run / "run.json").read_text())
    info["cohort"]["digest"] = "0" * 64
    (run / "run.json").write_text(json.dumps(info))
    assert "is not the cohort that" in pretrain("--resume", run).output


def test_another_thread_count_is_said_on_resume(small_cohort: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    ok(pretrain("--cohort", small_cohort, "--out", run, "--epochs", "1"))
    assert "warning: threads was 1, is now 2" in ok(pretrain("--resume", run, "--threads", "2")).output


def test_pretraining_goes_on_from_a_run_s_weights_and_inherits_its_patients(
    small_cohort: Path, tmp_path: Path
) -> None:
    ok(pretrain("--cohort", small_cohort, "--out", tmp_path / "a", "--epochs", "1"))
    info = json.loads((tmp_path / "a" / "run.json").read_text())
    info["patients_seen"].append("ffff")
    (tmp_path / "a" / "run.json").write_text(json.dumps(info))
    arguments = ["--cohort", small_cohort, "--out", tmp_path / "b", "--epochs", "1"]
    result = ok(pretrain(*arguments, "--weights", tmp_path / "a"))
    assert "tensors loaded into tiny" in result.output
    assert "ffff" in json.loads((tmp_path / "b" / "run.json").read_text())["patients_seen"]


def test_a_queue_that_is_too_long_for_the_cohort_is_said(small_cohort: Path, tmp_path: Path) -> None:
    arguments = ["--cohort", small_cohort, "--epochs", "1"]
    result = ok(pretrain(*arguments, "--out", tmp_path / "a", "-o", "queue=9"))
    assert "warning: a queue of 9 is over half of the 16 training frames" in result.output
    assert "warning" not in ok(pretrain(*arguments, "--out", tmp_path / "b", "-o", "queue=8")).output


def test_background_swap_reports_what_it_did_and_needs_masks(small_cohort: Path, tmp_path: Path) -> None:
    arguments = ["--cohort", small_cohort, "--epochs", "1", "--augment", "background-swap,crop,flip"]
    ok(pretrain(*arguments, "--out", tmp_path / "run"))
    line = log(tmp_path / "run")[1]
    assert {"swap_residual", "swap_unchanged", "views_without_heart"} <= set(line)
    assert 0 < line["swap_residual"] < 0.1
    assert 0 < line["swap_same_label"] < 1  # two labels, four patients each


def test_pairs_of_the_same_case_and_crops_that_show_the_heart(small_cohort: Path, tmp_path: Path) -> None:
    arguments = ["--cohort", small_cohort, "--epochs", "1", "--pairs", "same-case"]
    ok(pretrain(*arguments, "--out", tmp_path / "run", "--augment-option", "crop.min-heart=0.25"))
    assert log(tmp_path / "run")[1]["views_without_heart"] == 0


def test_a_recipe_leaves_out_what_needs_masks_where_there_are_none(
    small_cohort: Path, tmp_path: Path
) -> None:
    """The recipe still serves cohorts without contours, and says what it uses or leaves out."""
    from cmrbias.cohorts.format import Cohort
    from cmrbias.cohorts.writer import CohortWriter

    cohort, bare = Cohort.open(small_cohort), tmp_path / "bare"
    with CohortWriter(
        bare, name="bare", frames=("single",), structures=(), targets={}, preparation={}, provenance={}
    ) as writer:
        for number, images in enumerate(cohort.images(cohort.cases("train"))):
            row = {"case": f"c{number}", "patient": f"p{number}", "study": "s", "split": "train"}
            writer.add(row, images[:1], None)
    train = ["--epochs", "1", "--cohort"]
    result = ok(pretrain(*train, bare, "--out", tmp_path / "a", "-o", "queue=4"))
    assert "left out of the recipe: background-swap" in result.output
    assert "swap_residual" not in log(tmp_path / "a")[1]
    assert "knn_accuracy" not in log(tmp_path / "a")[0]
    result = ok(pretrain(*train, small_cohort, "--out", tmp_path / "b"))
    assert "uses contours: background-swap" in result.output
    assert "swap_residual" in log(tmp_path / "b")[1]
    asked = pretrain(*train, bare, "--out", tmp_path / "c", "--augment", "background-swap,crop")
    assert asked.exit_code == 1
    assert "has no heart masks, which the augmentations background-swap, crop need" in asked.output


def test_a_full_disk_is_one_line_and_the_run_goes_on_once_there_is_space(
    small_cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--cohort", small_cohort, "--epochs", "2"]
    ok(pretrain(*arguments, "--out", tmp_path / "whole"))
    sync, calls = os.fsync, []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 5:  # run.json, and log.jsonl and last.pt before and in the first epoch
            raise OSError(28, "No space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", full)
    result = pretrain(*arguments, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert f"{tmp_path / 'run' / 'last.pt'}: No space left on device" in result.output
    assert "Traceback" not in result.output
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["last.pt", "log.jsonl", "run.json"]
    ok(pretrain("--resume", tmp_path / "run", "--threads", "1"))
    for name in ("last.pt", "log.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_methods_and_pairings_see_the_table_and_runs_tell_of_the_pairs(
    small_cohort: Path, tmp_path: Path
) -> None:
    class Pairs(SameImage):
        def fit(self, table: Any) -> None:
            self.patients = [table.values("patient")[code] for code in table.codes("patient")]

        def notes(self) -> list[str]:
            return [f"{len(self.patients)} frames"]

        def record(self) -> dict[str, Any]:
            return {"patients": sorted(set(self.patients)), "frames": "told"}

    class Fussy(MoCo):
        def fit(self, table: Any) -> None:
            if "ES" not in table.values("frame") or "laterality" not in table.values("frame"):
                raise CmrbiasError("method 'fussy': no laterality")

    plugins = plugins_with(
        register_pairings=lambda register: register("told", Pairs),
        register_methods=lambda register: register("fussy", Fussy),
    )
    arguments = ["--cohort", small_cohort, "--epochs", "1", "--pairs", "told"]
    result = ok(pretrain(*arguments, "--out", tmp_path / "run", plugins=plugins))
    assert "16 frames\n" in result.output
    pairing = json.loads((tmp_path / "run" / "run.json").read_text())["record"]["pairing"]
    assert pairing == {"patients": [f"p{i}" for i in range(8)], "frames": "told"}
    refused = pretrain(
        *arguments, "--out", tmp_path / "other", "-o", "queue=8", plugins=plugins, method="fussy"
    )
    assert refused.exit_code == 1
    assert "method 'fussy': no laterality" in refused.output
    assert not (tmp_path / "other").exists()
