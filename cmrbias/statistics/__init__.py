"""Statistics: AUCs, decisions, calibration, overlap means and correlations, each with its intervals.

numpy alone at run time, and the extension where it is built. The patient is always the unit: patients are
resampled whole, and cases of one patient form a cluster. Start with ``auc_summary``, ``auc_differences``,
``classification_summary``, ``aggregate`` and ``correlation``; what they are made of is public too.
"""

from cmrbias.resampling import PatientDraws, patient_strata
from cmrbias.statistics.aggregate import Aggregate, aggregate, patient_means
from cmrbias.statistics.auc import Aucs, binary_auc, one_vs_rest_aucs
from cmrbias.statistics.auc_differences import (
    AucDifferences,
    Difference,
    auc_contrast,
    auc_differences,
    holm_of,
)
from cmrbias.statistics.auc_statistic import auc_statistic, weighted_auc
from cmrbias.statistics.auc_summary import AucSummary, auc_summary
from cmrbias.statistics.average_precision import average_precision
from cmrbias.statistics.bootstrap import Replicates, Statistic, bootstrap, jackknife
from cmrbias.statistics.calibration import brier_scores, expected_calibration_error
from cmrbias.statistics.class_differences import ClassDifference, class_differences
from cmrbias.statistics.classification import confusion_matrix
from cmrbias.statistics.classification_summary import ClassificationSummary, classification_summary
from cmrbias.statistics.correlation import correlation, correlation_statistic, partial_correlation
from cmrbias.statistics.delong import AucCovariance, auc_covariance, auc_interval, pooled_covariance
from cmrbias.statistics.hanley_mcneil import hanley_mcneil_interval, hanley_mcneil_se, macro_hanley_mcneil
from cmrbias.statistics.interval import FEW_PATIENTS, Estimate, Interval
from cmrbias.statistics.mean import case_mean_estimate, mean_estimate, mean_statistic, t_interval
from cmrbias.statistics.multiplicity import holm
from cmrbias.statistics.newcombe import newcombe_interval
from cmrbias.statistics.proportions import clopper_pearson_interval, proportion, wilson_interval
from cmrbias.statistics.ranks import midranks
from cmrbias.statistics.seeds import SeedSpread, average_seeds, seed_spread

__all__ = [
    "FEW_PATIENTS",
    "Aggregate",
    "AucCovariance",
    "AucDifferences",
    "AucSummary",
    "Aucs",
    "ClassDifference",
    "ClassificationSummary",
    "Difference",
    "Estimate",
    "Interval",
    "PatientDraws",
    "Replicates",
    "SeedSpread",
    "Statistic",
    "aggregate",
    "auc_contrast",
    "auc_covariance",
    "auc_differences",
    "auc_interval",
    "auc_statistic",
    "auc_summary",
    "average_precision",
    "average_seeds",
    "binary_auc",
    "bootstrap",
    "brier_scores",
    "case_mean_estimate",
    "class_differences",
    "classification_summary",
    "clopper_pearson_interval",
    "confusion_matrix",
    "correlation",
    "correlation_statistic",
    "expected_calibration_error",
    "hanley_mcneil_interval",
    "hanley_mcneil_se",
    "holm",
    "holm_of",
    "jackknife",
    "macro_hanley_mcneil",
    "mean_estimate",
    "mean_statistic",
    "midranks",
    "newcombe_interval",
    "one_vs_rest_aucs",
    "partial_correlation",
    "patient_means",
    "patient_strata",
    "pooled_covariance",
    "proportion",
    "seed_spread",
    "t_interval",
    "weighted_auc",
    "wilson_interval",
]
