"""A process that computes one cell after another, so that torch is imported once and not for each.

It reads a cell's directory a line and answers each with a line of JSON, until its input ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from cmrbias.errors import CmrbiasError
from cmrbias.studies.execute import Call, execute

# the installed script, of this very interpreter
_COMMAND = (sys.executable, "-P", "-c", "from cmrbias.cli.main import main; main()", "study", "worker")


class Worker:
    """The other end of the process, which is started when it is first needed.

    Args:
        jobs: how many such processes share the machine's processors.
    """

    def __init__(self, jobs: int) -> None:
        self._threads = str(max(1, (os.cpu_count() or 1) // jobs))
        self._process: subprocess.Popen[str] | None = None

    def execute(self, place: Path) -> float:
        """Has the cell in a directory computed; returns the seconds.

        Raises:
            CmrbiasError: it failed, or the process died, which costs this cell alone.
            KeyboardInterrupt: the process was interrupted.
        """
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{place.absolute()}\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            process.communicate()
            self._process = None
            raise CmrbiasError(
                f"{place}: the process that computed it died with status {process.returncode} "
                "(-9: killed, perhaps for want of memory): run the command again, with fewer --jobs"
            )
        answer = json.loads(line)
        if answer["interrupted"]:
            raise KeyboardInterrupt
        if answer["error"]:
            raise CmrbiasError(answer["error"])
        return float(answer["seconds"])

    def interrupt(self) -> None:
        """Sends it what Ctrl-C sends: a training saves."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)

    def close(self) -> None:
        """Ends the process, which must have nothing to do."""
        if self._process is not None:
            self._process.communicate()

    def _start(self) -> subprocess.Popen[str]:
        environment = {"OMP_NUM_THREADS": self._threads, **os.environ}
        # a process that is interrupted while it still imports would print a traceback: it inherits this
        # thread's mask, and ``serve`` takes it off
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return subprocess.Popen(
                _COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
                start_new_session=True,  # Ctrl-C reaches it once, through us
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve(call: Call) -> None:
    """Answers until the input ends; whatever else is printed goes to the standard error.

    The input of one that is at work ends only where the process that gave it the work has died: then it
    stops as by Ctrl-C, and a training saves.
    """
    asked, answers = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    work: queue.SimpleQueue[str] = queue.SimpleQueue()
    busy = threading.Event()
    threading.Thread(target=_read, args=(asked, work, busy), daemon=True).start()
    # by Ctrl-C while it has nothing to do, or with nobody left who waits for the answer
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits "ignored"
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        while line := work.get():
            answer = _answer(Path(line.rstrip("\n")), call)
            busy.clear()
            os.write(answers, f"{json.dumps(answer)}\n".encode())


def _read(asked: int, work: queue.SimpleQueue[str], busy: threading.Event) -> None:
    """Passes lines on, then an empty one, and interrupts what is still at work by then."""
    with os.fdopen(asked) as lines:
        for line in lines:
            busy.set()
            work.put(line)
    work.put("")
    if busy.is_set():
        os.kill(os.getpid(), signal.SIGINT)


def _answer(place: Path, call: Call) -> dict[str, Any]:
    answer: dict[str, Any] = {"seconds": 0.0, "error": None, "interrupted": False}
    try:
        answer["seconds"] = execute(place, call)
    except KeyboardInterrupt:
        answer["interrupted"] = True
    except CmrbiasError as error:
        answer["error"] = str(error)
    return answer
