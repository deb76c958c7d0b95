"""The one door to the kernels of ``cmrbias._C``: checks, registration with torch, plain references.

Each operator is registered with ``torch.library``, so autograd and ``torch.compile`` know it, and has a
reference in plain torch (or numpy) beside it: the tests' oracle, and what runs (after one warning) where
the extension, or its CUDA half, was not built. A new operator is one more file here.
"""

from cmrbias.ops.auc import AUC, BootstrapAUC, bootstrap_auc, bootstrap_auc_reference
from cmrbias.ops.extension import _C
from cmrbias.ops.gradcam import gradcam, gradcam_reference
from cmrbias.ops.hearts import Align, background_residual, background_residual_reference, centroid_shifts
from cmrbias.ops.overlap import Overlap, gradcam_overlap, overlap, overlap_reference
from cmrbias.ops.projection import Projection, project_masks, project_masks_reference
from cmrbias.ops.swap import Fill, background_swap, background_swap_reference

__all__ = [
    "AUC", "_C", "Align", "BootstrapAUC", "Fill", "Overlap", "Projection", "background_residual",
    "background_residual_reference", "background_swap", "background_swap_reference", "bootstrap_auc",
    "bootstrap_auc_reference", "centroid_shifts", "gradcam", "gradcam_overlap", "gradcam_reference",
    "overlap", "overlap_reference", "project_masks", "project_masks_reference",
]  # fmt: skip
