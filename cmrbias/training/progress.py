"""Progress on a terminal (one line, rewritten) or in a pipe (a plain line an epoch)."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TextIO


class Progress:
    """Says how far a training is, how fast, and how long it still takes.

    Args:
        epochs, steps_per_epoch: what there is to do.
        done: steps that were done before (resume).
        stream: where lines go; None says nothing.
    """

    def __init__(
        self, epochs: int, steps_per_epoch: int, done: int = 0, stream: TextIO | None = None
    ) -> None:
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.stream = stream
        self.live = stream is not None and stream.isatty()
        self._started = time.perf_counter()
        self._images = 0
        self._left = epochs * steps_per_epoch - done
        self._first = self._left
        self._width = 0

    def step(self, epoch: int, step: int, images: int, loss: float) -> None:
        """Counts one optimiser step of ``images`` rows in epoch ``epoch`` (from 0)."""
        self._images += images
        self._left -= 1
        if self.live:
            self._rewrite(
                f"epoch {epoch + 1}/{self.epochs}  step {step}/{self.steps_per_epoch}  "
                f"loss {loss:.3f}  {self._speed()}"
            )

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Prints the line of a finished epoch; epoch 0 is the state before training."""
        if self.stream is None:
            return
        values = "  ".join(f"{name} {value:.3f}" for name, value in metrics.items() if math.isfinite(value))
        self._rewrite("")
        name = f"epoch {epoch}/{self.epochs}" if epoch else "before training"
        speed = f"  {self._speed()}" if epoch else ""
        print(f"{name}  {values}{speed}", file=self.stream, flush=True)

    def close(self) -> None:
        """Clears the live line."""
        self._rewrite("")

    def _speed(self) -> str:
        seconds = max(time.perf_counter() - self._started, 1e-9)
        left = seconds / max(self._first - self._left, 1) * self._left
        return f"{self._images / seconds:.0f} images/s  {_clock(left)} left"

    def _rewrite(self, text: str) -> None:
        if self.live and self.stream is not None:
            self.stream.write("\r" + text.ljust(self._width) + ("" if text else "\r"))
            self.stream.flush()
            self._width = len(text)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
