"""The README's own pretraining learns, survives kill -9, and does so at full size (slow)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cmrbias.training.summary import summarise

SCRIPT = str(Path(sys.executable).parent / "cmrbias")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment whose cache outlives one test, so that the phantom is made once."""
    return dict(os.environ) | {"CMRBIAS_CACHE": str(tmp_path_factory.mktemp("cache"))}


def pretrained(cache: dict[str, str], tmp_path: Path) -> tuple[Path, str]:
    """Where README's pretraining ran, and what it printed: the gate's, if it says where, or one now."""
    if "CMRBIAS_TEST_PRETRAINED" in os.environ:
        folder = Path(os.environ["CMRBIAS_TEST_PRETRAINED"])
        return folder, (folder / "printed.txt").read_text()
    command = [SCRIPT, "pretrain", "--method", "moco"]
    done = subprocess.run(command, cwd=tmp_path, env=cache, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return tmp_path, done.stdout


def test_the_default_pretraining_learns(cache: dict[str, str], tmp_path: Path) -> None:
    """After the queue is full the loss falls, and neighbours share a diagnosis more often than before."""
    folder, said = pretrained(cache, tmp_path)
    log = [json.loads(line) for line in (folder / "runs/moco/log.jsonl").read_text().splitlines()]
    summary = summarise(log)
    assert summary.first_loss is not None
    assert summary.last_loss is not None
    assert summary.first_knn is not None
    assert summary.last_knn is not None
    assert summary.last_loss < summary.first_loss
    assert summary.last_knn > summary.first_knn
    assert all(line in said for line in summary.lines())
    assert log[-1]["embedding_std"] > 0.1  # no collapse


def test_kill_9_in_mid_epoch_and_resume_gives_the_bytes_of_a_whole_run(
    cache: dict[str, str], tmp_path: Path
) -> None:
    """Killed twice, at moments that nobody chose, the run ends as if nothing had happened."""
    train = [SCRIPT, "pretrain", "--method", "moco", "--epochs", "3", "--threads", "1"]
    subprocess.run([*train, "--out", "whole"], cwd=tmp_path, env=cache, check=True, capture_output=True)
    command = [*train, "--out", "killed"]
    for lines in (1, 2):  # once in the first epoch, once in the second or later
        process = subprocess.Popen(command, cwd=tmp_path, env=cache, stderr=subprocess.DEVNULL)
        log = tmp_path / "killed" / "log.jsonl"
        while process.poll() is None and not (log.exists() and len(log.read_text().splitlines()) >= lines):
            time.sleep(0.05)
        time.sleep(0.7)
        process.send_signal(signal.SIGKILL)
        process.wait()
        command = [SCRIPT, "pretrain", "--resume", "killed", "--threads", "1"]
    subprocess.run(command, cwd=tmp_path, env=cache, check=True, capture_output=True)
    for name in ("last.pt", "log.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
