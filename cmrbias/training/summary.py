"""Did a pretraining learn anything? Read from its log alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Summary:
    """Mean loss of the first and the last quarter of the counted epochs, and kNN accuracy before and after.

    Epochs in which a queue of negatives was still filling do not count: their loss has fewer
    negatives and so is lower. None where there is nothing to compare.
    """

    first_loss: float | None
    last_loss: float | None
    first_knn: float | None
    last_knn: float | None
    epochs: int

    def lines(self) -> list[str]:
        """Returns the summary as sentences."""
        said = []
        if self.first_loss is not None and self.last_loss is not None:
            said.append(
                f"loss: {self.first_loss:.3f} in the first quarter of {self.epochs} counted epochs, "
                f"{self.last_loss:.3f} in the last{_verdict(self.last_loss < self.first_loss)}"
            )
        if self.first_knn is not None and self.last_knn is not None:
            said.append(
                f"kNN accuracy (training patients, own patient left out): {self.first_knn:.3f} at "
                f"initialisation, {self.last_knn:.3f} now{_verdict(self.last_knn > self.first_knn)}"
            )
        return said


def summarise(log: Sequence[dict[str, Any]]) -> Summary:
    """Returns the summary of a run's log (a line an epoch, epoch 0 before training)."""
    epochs = [line for line in log if line["epoch"] > 0]
    counted = [line for line in epochs if line.get("queue_filled", 1.0) >= 1.0]
    quarter = max(len(counted) // 4, 1)
    enough = len(counted) >= 2
    knn = [line.get("knn_accuracy", math.nan) for line in log]
    known = len(knn) >= 2 and math.isfinite(knn[0]) and math.isfinite(knn[-1])
    return Summary(
        first_loss=_mean(counted[:quarter]) if enough else None,
        last_loss=_mean(counted[-quarter:]) if enough else None,
        first_knn=knn[0] if known else None,
        last_knn=knn[-1] if known else None,
        epochs=len(counted),
    )


def _mean(lines: Sequence[dict[str, Any]]) -> float:
    return sum(float(line["loss"]) for line in lines) / len(lines)


def _verdict(better: bool) -> str:
    return "" if better else "  (not better: train longer, or see the README on short runs)"
