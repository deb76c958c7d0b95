"""Cells: what makes two of them the same, their commands, and running them however they are stopped."""

from __future__ import annotations

import dataclasses
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cmrbias.cli.main import make_cli
from cmrbias.cli.study.cell import caller
from cmrbias.errors import CmrbiasError
from cmrbias.plugins import Plugins
from cmrbias.studies.cells import Cell, Given, command, folder, ordered, output
from cmrbias.studies.execute import describe, execute, finished
from cmrbias.studies.plan import plan
from cmrbias.studies.runner import run_cells
from cmrbias.studies.worker import Worker

FAST = ("--backbone", "tiny", "--image-size", "32", "--batch", "2", "--epochs", "1")


@pytest.fixture
def chain(small_cohort: Path) -> tuple[Cell, Cell, Cell]:
    """A pretraining, the finetuning that starts from it, and its evaluation."""
    cohort = Given.cohort(small_cohort)
    first = Cell("pretrain", "first", ("--method", "simclr", *FAST, "--augment", "flip"), cohort, seed=0)
    second = Cell("finetune", "second", FAST, cohort, weights=first, seed=0)
    return first, second, Cell("evaluate", "third", ("--resamples", "20"), cohort, run=second)


def test_whatever_determines_a_cell_changes_its_digest_and_those_that_need_it() -> None:
    cohort = Given("x", "aa")
    first = Cell("pretrain", "n", ("--method", "moco"), cohort, seed=0)
    second = Cell("finetune", "n", (), cohort, weights=first, seed=0)
    others = [
        dataclasses.replace(first, options=("--method", "byol")),
        dataclasses.replace(first, seed=1),
        dataclasses.replace(first, cohort=Given("x", "bb")),
        dataclasses.replace(first, weights=Given("w", "cc")),
        dataclasses.replace(first, plugins=("cmrbias-example 1.0",)),
        dataclasses.replace(first, kind="finetune"),
    ]
    digests = {cell.digest for cell in (first, *others)}
    assert len(digests) == 7
    later = {dataclasses.replace(second, weights=cell).digest for cell in (first, *others)}
    assert len(later) == 7
    assert not later & digests


def test_neither_a_name_nor_a_place_changes_a_digest() -> None:
    first = Cell("finetune", "n", (), Given("x", "aa"), seed=0)
    assert dataclasses.replace(first, name="m", cohort=Given("y", "aa")).digest == first.digest


def test_a_new_version_of_cmrbias_makes_new_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Cell("finetune", "n", seed=0).digest
    monkeypatch.setattr("cmrbias.studies.cells._version", lambda: "99")
    assert Cell("finetune", "n", seed=0).digest != before


def test_weights_are_known_by_their_content(tmp_path: Path) -> None:
    for name, content in {"a.pth": b"1", "b.pth": b"1", "c.pth": b"2"}.items():
        (tmp_path / name).write_bytes(content)
    a, b, c = (Given.file(tmp_path / f"{name}.pth").digest for name in "abc")
    assert a == b != c
    with pytest.raises(CmrbiasError, match=r"none\.pth: expected a file of weights"):
        Given.file(tmp_path / "none.pth")


def test_a_cell_is_one_command(chain: tuple[Cell, Cell, Cell], small_cohort: Path) -> None:
    study = Path("S")
    first, second, third = chain
    assert command(second, study) == [
        "finetune", "--out", str(output(second, study)), "--cohort", str(small_cohort),
        "--weights", str(output(first, study)), "--seed", "0", *FAST,
    ]  # fmt: skip
    assert command(third, study)[:2] == ["evaluate", str(output(second, study))]
    phantom = Cell("cohort", "p", ("--patients", "8"))
    twin = Cell("cohort", "t", (), cohort=phantom)
    assert command(twin, study) == [
        "cohort", "phantom", str(output(twin, study)), "--twin-of", str(output(phantom, study)),
    ]  # fmt: skip


def test_what_a_cell_needs_comes_before_it_and_once(chain: tuple[Cell, Cell, Cell]) -> None:
    first, second, third = chain
    assert ordered([third, second, third]) == [first, second, third]
    assert [cell.stage for cell in chain] == [1, 2, 3]


def test_cells_are_computed_once(
    chain: tuple[Cell, Cell, Cell], tiny_plugins: Plugins, tmp_path: Path
) -> None:
    said: list[str] = []
    called: list[Sequence[str]] = []

    def call(words: Sequence[str]) -> Any:
        called.append(words)
        return caller(lambda: tiny_plugins)(words)

    outcome = run_cells([chain[2]], tmp_path, call, said.append)
    assert outcome.done == list(chain)
    assert [words[0] for words in called] == ["pretrain", "finetune", "evaluate"]
    assert (output(chain[2], tmp_path) / "scores.json").exists()
    assert "$ cmrbias finetune" in (folder(chain[1], tmp_path) / "log.txt").read_text()
    again = run_cells([chain[2]], tmp_path, call, said.append)
    assert (again.done, again.kept, len(called)) == ([], list(chain), 3)


def test_a_training_that_was_killed_goes_on_and_ends_the_same(
    chain: tuple[Cell, Cell, Cell], tiny_plugins: Plugins, tmp_path: Path
) -> None:
    first = dataclasses.replace(chain[0], options=(*chain[0].options, "--epochs", "3"))
    call = caller(lambda: tiny_plugins)
    run_cells([first], tmp_path / "whole", call, str)

    class Killed(BaseException):
        pass

    def dying(words: Sequence[str]) -> Any:
        from cmrbias.training.run import Run

        add = Run.add

        def once(run: Run, line: dict[str, Any]) -> None:
            add(run, line)
            if line["epoch"] == 2:
                raise Killed

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Run, "add", once)
            return call(words)

    with pytest.raises(Killed):
        run_cells([first], tmp_path / "broken", dying, str)
    assert not finished(folder(first, tmp_path / "broken"))
    run_cells([first], tmp_path / "broken", call, str)
    assert "--resume" in (folder(first, tmp_path / "broken") / "log.txt").read_text()
    ends = [output(first, tmp_path / name) / "last.pt" for name in ("whole", "broken")]
    assert ends[0].read_bytes() == ends[1].read_bytes()


def test_anything_else_that_was_killed_starts_anew(
    chain: tuple[Cell, Cell, Cell], tiny_plugins: Plugins, tmp_path: Path
) -> None:
    call = caller(lambda: tiny_plugins)
    run_cells([chain[1]], tmp_path, call, str)
    place = describe(chain[2], tmp_path)
    (place / "out").mkdir()
    (place / "out" / "scores.json").write_text("half")
    execute(place, call)
    assert json.loads((place / "out" / "scores.json").read_text())["inputs"]


def test_an_interrupted_training_stops_the_study(
    chain: tuple[Cell, Cell, Cell], tiny_plugins: Plugins, tmp_path: Path
) -> None:
    def stopped(words: Sequence[str]) -> None:
        out = Path(words[words.index("--out") + 1])
        out.mkdir()
        (out / "run.json").write_text('{"status": "interrupted"}')

    with pytest.raises(KeyboardInterrupt):
        run_cells([chain[2]], tmp_path, stopped, str)
    assert not any(finished(folder(cell, tmp_path)) for cell in chain)


def test_a_failing_cell_is_named_with_its_log_and_the_others_go_on(
    chain: tuple[Cell, Cell, Cell], tiny_plugins: Plugins, tmp_path: Path
) -> None:
    first, second, third = chain
    broken = dataclasses.replace(first, options=(*first.options, "--batch", "99"), name="too large")
    needs = dataclasses.replace(second, weights=broken)
    last = dataclasses.replace(third, run=needs)
    said: list[str] = []
    outcome = run_cells([last, third], tmp_path, caller(lambda: tiny_plugins), said.append)
    assert [cell.name for cell, _ in outcome.failed] == ["too large"]
    assert outcome.left == [needs, last]
    assert outcome.done == list(chain)
    (failure,) = [line for line in said if line.startswith("failed")]
    assert f"too large failed; {folder(broken, tmp_path) / 'log.txt'} ends:" in failure
    assert "fewer than the batch of 99" in failure


def test_a_bug_in_a_cell_leaves_its_traceback_in_the_log(
    chain: tuple[Cell, Cell, Cell], tmp_path: Path
) -> None:
    def call(words: Sequence[str]) -> None:
        raise ZeroDivisionError("a bug")

    outcome = run_cells([chain[0]], tmp_path, call, str)
    assert "ZeroDivisionError: a bug" in outcome.failed[0][1]
    assert "Traceback" in (folder(chain[0], tmp_path) / "log.txt").read_text()


def test_a_cell_refuses_to_run_before_what_it_needs(chain: tuple[Cell, Cell, Cell], tmp_path: Path) -> None:
    describe(chain[0], tmp_path)
    with pytest.raises(CmrbiasError, match=r"needs .*pretrain-.*not finished: run it first"):
        execute(describe(chain[1], tmp_path), caller(lambda: None))
    with pytest.raises(CmrbiasError, match="expected the directory of a cell"):
        execute(tmp_path, caller(lambda: None))


def test_the_plan_is_one_independent_command_a_cell(
    chain: tuple[Cell, Cell, Cell], tiny_plugins: Plugins, tmp_path: Path
) -> None:
    study = tmp_path / "a study"
    lines = list(plan([chain[2]], study))
    assert [line.split("  # ")[1].split(",")[0] for line in lines] == ["stage 1", "stage 2", "stage 3"]
    assert list(plan([chain[2]], study, stage=2)) == lines[1:2]
    for line in lines:
        words = shlex.split(line, comments=True)
        assert words[0] == "cmrbias"
        result = CliRunner().invoke(make_cli(lambda: tiny_plugins), words[1:])
        assert result.exit_code == 0, result.output
        assert "finished" in result.output
    assert list(plan([chain[2]], study)) == []


def test_several_processes_compute_and_a_dead_one_costs_one_cell(tmp_path: Path) -> None:
    phantoms = [
        Cell(
            "cohort", f"p{n}", ("--patients", "4", "--image-size", "32", "--seed", str(n), "--classes", "cm")
        )
        for n in range(3)
    ]
    broken = Cell("cohort", "broken", ("--patients", "0"))
    outcome = run_cells([*phantoms, broken], tmp_path, _never, str, jobs=2)
    assert {cell.name for cell in outcome.done} == {"p0", "p1", "p2"}
    assert "--patients" in outcome.failed[0][1]


def test_two_processes_with_one_cell_compute_it_once(tmp_path: Path) -> None:
    cell = Cell("cohort", "p", ("--patients", "4", "--image-size", "32", "--classes", "cm"))
    (line,) = plan([cell], tmp_path)
    script = [sys.executable, "-P", "-c", "from cmrbias.cli.main import main; main()"]
    both = [
        subprocess.Popen([*script, *shlex.split(line, comments=True)[1:]], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = sorted(process.communicate(timeout=60)[0].split(" ")[0] for process in both)
    assert said == ["finished", "was"]


def _never(words: Sequence[str]) -> None:
    raise AssertionError("with several jobs nothing runs in this process")


def test_a_process_that_dies_costs_one_cell_and_is_replaced(tmp_path: Path) -> None:
    options = ("--patients", "4", "--image-size", "32", "--classes", "cm")
    place = describe(Cell("cohort", "p", options), tmp_path)
    worker = Worker(1)
    process = worker._process = worker._start()
    process.kill()
    process.wait()
    with pytest.raises(CmrbiasError, match="died with status -9"):
        worker.execute(place)
    assert worker.execute(place) > 0
    worker.close()
    assert finished(place)
