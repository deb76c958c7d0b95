"""Binary targets: which there are, the masked loss by hand, AUC over known labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cmrbias.api import CmrbiasError
from cmrbias.training.findings import findings_of, masked_loss, mean_auc, outcome_weights, outcomes

NAN = float("nan")


class Targets:
    path = "cohort"

    def __init__(self, **kinds: str) -> None:
        self.targets = {name: {"kind": kind} for name, kind in kinds.items()}


def test_findings_are_named_or_the_first_where_there_is_no_class() -> None:
    both = Targets(edema="binary", label="class", effusion="binary")
    assert findings_of(both, None) == ()
    assert findings_of(both, "label") == ()
    assert findings_of(both, "absent") == ()
    assert findings_of(both, "edema") == ("edema",)
    assert findings_of(both, "effusion,edema") == ("effusion", "edema")
    assert findings_of(Targets(edema="binary", effusion="binary"), None) == ("edema",)
    with pytest.raises(CmrbiasError, match="'label' is class; binary ones: edema, effusion"):
        findings_of(both, "edema,label")


def test_cells_become_outcomes_and_strange_ones_are_refused(make_cohort) -> None:
    targets = {"label": {"kind": "binary", "uncertain": -1}}
    cohort = make_cohort(["1", "0", "-1", ""], targets=targets)
    np.testing.assert_array_equal(outcomes(cohort, ("label",), np.arange(4))[:, 0], [1, 0, NAN, NAN])
    missing = make_cohort(["1", ""], targets={"label": {"kind": "binary", "uncertain": -1, "missing": 0}})
    np.testing.assert_array_equal(outcomes(missing, ("label",), np.array([1, 0]))[:, 0], [0, 1])
    wrong = make_cohort(["1", "2", "0", "yes", "2", "2"], targets=targets)
    expected = r"'label': .* others in 4 of 6 rows \(row 3: '2', row 5: 'yes', row 6: '2', \.\.\.\)"
    with pytest.raises(CmrbiasError, match=expected):
        outcomes(wrong, ("label",), np.array([0]))
    with pytest.raises(CmrbiasError, match="unknown binary target 'patient'"):
        outcomes(cohort, ("patient",), np.arange(4))


def test_unknown_labels_have_no_part_in_the_loss() -> None:
    logits = torch.tensor([[2.0, -1.0], [0.5, 3.0]], requires_grad=True)
    labels = torch.tensor([[1.0, NAN], [0.0, 1.0]])
    loss = masked_loss(logits, labels)
    by_hand = [math.log1p(math.exp(-2)), math.log1p(math.exp(0.5)), math.log1p(math.exp(-3))]
    assert loss.item() == pytest.approx(sum(by_hand) / 3, rel=1e-6)
    loss.backward()
    assert logits.grad[0, 1] == 0
    assert masked_loss(logits, torch.full((2, 2), NAN)).item() == 0


def test_balanced_weights_let_both_outcomes_count_alike() -> None:
    labels = np.array([[1.0, 0], [0, 0], [0, 1], [0, NAN]], dtype=np.float32)
    weights = outcome_weights(labels)
    torch.testing.assert_close(weights, torch.tensor([[1 / 4, 1 / 3], [3 / 4, 2 / 3]]))
    logits = torch.zeros(4, 2)
    assert masked_loss(logits, torch.as_tensor(labels), weights).item() == pytest.approx(math.log(2))


def test_auc_is_averaged_over_findings_that_have_both_outcomes() -> None:
    scores = torch.tensor([[0.1, 5, 1], [0.9, 1, 1], [0.5, 2, 1], [0.3, 9, 1]])
    labels = torch.tensor([[0.0, 1, 0], [1, 0, 0], [1, NAN, 0], [NAN, NAN, 0]])
    assert mean_auc(scores, labels) == 1.0
    assert math.isnan(mean_auc(scores, torch.full((4, 3), NAN)))
