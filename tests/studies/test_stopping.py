"""A study that is killed or interrupted from outside: what is left, and that the same command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cmrbias.studies.cells import Cell, folder
from cmrbias.studies.execute import describe, finished

CMRBIAS = [sys.executable, "-P", "-c", "from cmrbias.cli.main import main; main()"]
STUDY = """
title = "Stopped"
cohorts.CM = { phantom = { classes = "cm", seed = 1 } }
models.Full = {}
models.SimCLR = { pretrain = { method = "simclr" }, transfer = "css" }
rows.CM = { cohort = "CM" }

[tables.table1]
columns = ["Full", "SimCLR"]
rows = ["CM"]

[presets.tiny]
phantom = { image-size = 64, patients = 32 }
train = { backbone = "resnet10", stride = 16, image-size = 64, batch = 8, epochs = 8 }
pretrain = { augment = "flip" }
evaluate = { resamples = 20 }
saliency = { resamples = 20 }
"""


@pytest.fixture(autouse=True, scope="module")
def ctrl_c_reaches_what_is_started() -> Iterator[None]:
    """Tests that run in the background may have SIGINT ignored, which every process inherits."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def start(folder: Path, jobs: int) -> subprocess.Popen[str]:
    """``cmrbias study run``, in a session of its own as a shell's job."""
    folder.mkdir(exist_ok=True)
    (folder / "my.toml").write_text(STUDY)
    return subprocess.Popen(
        [*CMRBIAS, "study", "run", "my.toml", "--preset", "tiny", "--out", "out", "--jobs", str(jobs)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CMRBIAS_TEST_STUDY": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until(true: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)


def processes(folder: Path) -> list[int]:
    """Those that were started for the study in a folder, however they were started."""
    mark = f"CMRBIAS_TEST_STUDY={folder}".encode()
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (place / "environ").read_bytes().split(b"\0"):
                found.append(int(place.name))
        except OSError:  # it has ended, or is another user's
            continue
    return found


def half_written(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.name != ".lock"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study computed without a break."""
    place = tmp_path_factory.mktemp("whole")
    _, errors = (process := start(place, 1)).communicate(timeout=300)
    assert process.returncode == 0, errors
    return place


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found by /proc")
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_study_goes_on_where_it_was_stopped(
    whole: Path, tmp_path: Path, sent: signal.Signals, jobs: int
) -> None:
    cells = tmp_path / "out" / "cells"
    process = start(tmp_path, jobs)
    until(lambda: list(cells.glob("finetune-*/out/last.pt")), 120)  # in the middle of a training
    os.killpg(process.pid, sent)
    _, errors = process.communicate(timeout=60)
    until(lambda: not processes(tmp_path), 30)
    if sent == signal.SIGINT:
        *progress, last = errors.splitlines()
        assert last == "Error: stopped: the same command goes on"
        assert all(line[0] in "0123456789[" for line in progress), errors  # no traceback, of no process
        assert process.returncode == 1
    done = {path: path.stat().st_mtime_ns for path in cells.glob("*/done.json")}
    assert 0 < len(done) < len(list(cells.iterdir()))

    again = start(tmp_path, jobs)
    said, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors
    assert f"{len(done)} finished before" in said + errors
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert any("--resume" in path.read_text() for path in cells.glob("finetune-*/log.txt"))
    assert half_written(tmp_path / "out") == []
    assert processes(tmp_path) == []
    tables = [(place / "out" / "table1.csv").read_text() for place in (tmp_path, whole)]
    assert tables[0] == tables[1]


def test_a_worker_stops_when_whoever_gave_it_work_has_died(tmp_path: Path) -> None:
    options = ("--patients", "3000", "--image-size", "64", "--classes", "cm")  # minutes of work
    cell = Cell("cohort", "p", options)
    place = describe(cell, tmp_path)
    worker = subprocess.Popen(
        [*CMRBIAS, "study", "worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert worker.stdin is not None
    worker.stdin.write(f"{place}\n")
    worker.stdin.flush()
    until((place / "log.txt").exists, 60)
    _, errors = worker.communicate(timeout=30)  # closes its input and reads to the end
    assert worker.returncode == 0
    assert errors == ""
    assert not finished(folder(cell, tmp_path))


def test_a_worker_that_is_interrupted_while_it_starts_says_nothing(tmp_path: Path) -> None:
    from cmrbias.studies.worker import Worker

    worker = Worker(1)
    process = worker._process = worker._start()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    worker.close()
