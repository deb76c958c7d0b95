"""The extension module (csrc/bindings.cpp). Addresses are ``Tensor.data_ptr()``; nothing is checked here."""

import enum

class Type(enum.Enum):
    float32 = ...
    float64 = ...
    bfloat16 = ...

class Fill(enum.Enum):
    donor = ...
    mean = ...
    inpaint = ...

class Hearts:
    def __init__(
        self,
        *,
        cases: int,
        mask_frames: int,
        height: int,
        width: int,
        masks: int,
        donors: int,
        shifts: int,
    ) -> None: ...

class Swap(Hearts):
    def __init__(
        self,
        *,
        hearts: Hearts,
        type: Type,
        fill: Fill,
        frames: int,
        input: int,
        order: int,
        starts: int,
        output: int,
    ) -> None: ...
    @property
    def scratch_bytes(self) -> int: ...

class Gradcam:
    def __init__(
        self,
        *,
        type: Type,
        images: int,
        targets: int,
        channels: int,
        cells: int,
        activations: int,
        gradients: int,
        maps: int,
    ) -> None: ...
    @property
    def scratch_bytes(self) -> int: ...

class Projection:
    def __init__(
        self,
        *,
        images: int,
        height: int,
        width: int,
        rows: int,
        columns: int,
        masks: int,
        cells: int,
        areas: int,
    ) -> None: ...
    @property
    def scratch_bytes(self) -> int: ...

class Overlap:
    def __init__(
        self,
        *,
        type: Type,
        images: int,
        targets: int,
        height: int,
        width: int,
        rows: int,
        columns: int,
        threshold: float,
        maps: int,
        masks: int,
        cells: int,
        areas: int,
        sums: int,
        counts: int,
        of_mask: int,
    ) -> None: ...
    @property
    def scratch_bytes(self) -> int: ...

class Extremes:
    def __init__(
        self,
        *,
        type: Type,
        images: int,
        height: int,
        width: int,
        rows: int,
        columns: int,
        maps: int,
        pixels: int,
    ) -> None: ...
    @property
    def scratch_bytes(self) -> int: ...

class BootstrapAuc:
    def __init__(
        self,
        *,
        resamples: int,
        seed: int,
        cases: int,
        classes: int,
        patients: int,
        strata: int,
        sizes: int,
        weights: int,
        patient: int,
        scores: int,
        positive: int,
        order: int,
        aucs: int,
    ) -> None: ...

has_cuda: bool

def instruction_sets() -> list[str]: ...
def set_instruction_set(name: str) -> None: ...
def group_by_donor(donors: int, cases: int, order: int) -> None: ...
def background_swap_cpu(swap: Swap) -> None: ...
def background_swap_backward_cpu(swap: Swap) -> None: ...
def background_swap_cuda(swap: Swap, scratch: int, stream: int) -> None: ...
def background_swap_backward_cuda(swap: Swap, scratch: int, stream: int) -> None: ...
def bootstrap_auc_cpu(auc: BootstrapAuc) -> None: ...
def gradcam_cpu(gradcam: Gradcam) -> None: ...
def project_masks_cpu(projection: Projection) -> None: ...
def overlap_cpu(overlap: Overlap) -> None: ...
def gradcam_overlap_cpu(gradcam: Gradcam, overlap: Overlap) -> None: ...
def extreme_pixels_cpu(extremes: Extremes) -> None: ...
def gradcam_cuda(gradcam: Gradcam, scratch: int, stream: int) -> None: ...
def project_masks_cuda(projection: Projection, scratch: int, stream: int) -> None: ...
def overlap_cuda(overlap: Overlap, scratch: int, stream: int) -> None: ...
def gradcam_overlap_cuda(gradcam: Gradcam, overlap: Overlap, scratch: int, stream: int) -> None: ...
def extreme_pixels_cuda(extremes: Extremes, scratch: int, stream: int) -> None: ...
def heart_sums_cpu(hearts: Hearts, output: int) -> None: ...
def heart_sums_cuda(hearts: Hearts, output: int, stream: int) -> None: ...
def heart_residual_cpu(hearts: Hearts, output: int) -> None: ...
def heart_residual_cuda(hearts: Hearts, output: int, stream: int) -> None: ...
def stream_copy_cpu(to: int, source: int, bytes: int) -> None: ...
