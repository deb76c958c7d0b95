"""Studies: what is scored where a patient may have several images at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmrbias.cohorts.format import Cohort
from cmrbias.errors import CmrbiasError
from cmrbias.training.findings import outcomes


@dataclass(frozen=True)
class Studies:
    """The units that are scored: all images of a study together, or single images without one.

    Attributes:
        name: (S,) str, the study's first case.
        patients: (S,) int64 codes.
        outcomes: (S, K) float32: 1 if any image has the finding, NaN if none has and some is unknown, else 0.
        of_case: (N,) int64, each case's study.
    """

    name: np.ndarray
    patients: np.ndarray
    outcomes: np.ndarray
    of_case: np.ndarray

    def highest(self, probabilities: np.ndarray) -> np.ndarray:
        """Returns the highest probability (S, K) among each study's cases (N, K)."""
        found = np.zeros((len(self.name), probabilities.shape[1]))
        np.maximum.at(found, self.of_case, probabilities)
        return found


def studies_of(cohort: Cohort, cases: np.ndarray, findings: tuple[str, ...]) -> Studies:
    """Returns the studies of ``cases`` (N,); a study is a patient's: equal names of others do not count.

    Raises:
        CmrbiasError: as ``cmrbias.training.findings.outcomes``.
    """
    patient, study = cohort.codes("patient")[0][cases], cohort.codes("study")[0][cases]
    alone = np.where(study < 0, np.arange(len(cases)), -1)  # a case without a study stands alone
    _, first, of_case = np.unique(
        np.stack([patient, study, alone], 1), axis=0, return_index=True, return_inverse=True
    )
    labels, of_case = outcomes(cohort, findings, cases), of_case.reshape(-1)
    present = np.zeros((len(first), len(findings)), bool)
    unknown = np.zeros_like(present)
    np.logical_or.at(present, of_case, labels == 1)
    np.logical_or.at(unknown, of_case, np.isnan(labels))
    outcome = np.where(present, 1.0, np.where(unknown, np.nan, 0.0)).astype(np.float32)
    return Studies(cohort.column("case")[cases][first], patient[first], outcome, of_case)


def refuse_one_outcome(cohort: Cohort, split: str, findings: tuple[str, ...], labels: np.ndarray) -> None:
    """Raises a CmrbiasError where a finding is there, or is not, in none of the studies.

    Args:
        cohort, split: what is tested.
        findings: K names.
        labels: (S, K), 1, 0 or NaN.
    """
    for name, column in zip(findings, labels.T, strict=True):
        present, absent = int((column == 1).sum()), int((column == 0).sum())
        if not present or not absent:
            raise CmrbiasError(
                f"{cohort.path}: split {split}: column {name!r}: expected studies with and without it, found "
                f"{present} with and {absent} without: test on another split or cohort"
            )
