"""What became of a classifier, read from its run's log alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


def summarise_classifier(
    log: Sequence[dict[str, Any]], best_epoch: int | None, record: Mapping[str, Any]
) -> list[str]:
    """Returns sentences: training loss, the validation part's scores at the best epoch, training AUC.

    Args:
        log: a line an epoch, epoch 0 before training.
        best_epoch: the epoch that ``best.pt`` holds; None without a validation part.
        record: what the run's ``run.json`` tells of the task.
    """
    epochs = [line for line in log if line["epoch"] > 0]
    first, last = epochs[0], epochs[-1]
    said = [f"training loss: {first['loss']:.3f} in epoch 1, {last['loss']:.3f} in epoch {last['epoch']}"]
    if best_epoch is None:
        said.append(f"no validation part: last.pt holds epoch {last['epoch']}")
    else:
        best = next(line for line in epochs if line["epoch"] == best_epoch)
        accuracy = f", accuracy {best['val_accuracy']:.3f}" if "val_accuracy" in best else ""
        auc = _macro_auc(best["val_auc"], record)
        said.append(
            f"validation: {auc}, loss {best['val_loss']:.3f}{accuracy} in epoch "
            f"{best_epoch}, the best, which best.pt holds (selected on it, so too high)"
        )
    if math.isfinite(last.get("train_auc", math.nan)):
        said.append(f"training cases: macro AUC {last['train_auc']:.3f} after the last epoch")
    return said


def _macro_auc(value: float, record: Mapping[str, Any]) -> str:
    """Returns the validation part's macro AUC in words: of what, where it is not of all."""
    unscored: Mapping[str, str] = record.get("validation_unscored", {})
    scored = [name for name in record.get("classes", ()) if name not in unscored]
    why = ", ".join(unscored.values())
    if not unscored:
        return f"macro AUC {value:.3f}"
    return f"macro AUC {value:.3f} of {', '.join(scored)} alone ({why})" if scored else f"no AUC ({why})"
