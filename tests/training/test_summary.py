"""What a log says about learning."""

from __future__ import annotations

from cmrbias.training.summary import summarise


def test_epochs_with_a_filling_queue_do_not_count() -> None:
    log = [{"epoch": 0, "knn_accuracy": 0.2}]
    losses = [1.0, 2.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    for number, loss in enumerate(losses, 1):
        filled = min(number / 3, 1.0)
        log.append({"epoch": number, "loss": loss, "queue_filled": filled, "knn_accuracy": 0.2 + number / 20})
    summary = summarise(log)
    assert (summary.epochs, summary.first_loss, summary.last_loss) == (8, 7.5, 1.5)
    assert (summary.first_knn, summary.last_knn) == (0.2, 0.7)
    assert len(summary.lines()) == 2
    assert not any("not better" in line for line in summary.lines())


def test_a_run_that_did_not_learn_is_told_so() -> None:
    log = [{"epoch": 0, "knn_accuracy": 0.5}] + [
        {"epoch": n, "loss": float(n), "knn_accuracy": 0.4} for n in range(1, 5)
    ]
    assert all("not better" in line for line in summarise(log).lines())


def test_a_log_without_labels_or_with_one_epoch_says_less() -> None:
    assert summarise([{"epoch": 0}, {"epoch": 1, "loss": 1.0}]).lines() == []
