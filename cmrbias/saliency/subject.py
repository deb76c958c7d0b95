"""What is explained: a run's classifier, the cases of a cohort that have masks, what of them is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cmrbias.backbones import Classifier, load_classifier
from cmrbias.cohorts.format import Cohort
from cmrbias.errors import CmrbiasError
from cmrbias.evaluation.conditions import sized, with_donors
from cmrbias.evaluation.seen import Seen, count_seen
from cmrbias.evaluation.selection import selected_cases, shown_rows, tested_cohort
from cmrbias.evaluation.stream import ShownCases, stream_cases
from cmrbias.inputs import TESTING, InputMode
from cmrbias.plugins import Plugins
from cmrbias.training.cases import Cases
from cmrbias.training.run import Run

ESTIMATED = 64  # training cases from which an untrained network's running statistics are


@dataclass(frozen=True)
class Subject:
    """A classifier and the cases that it is explained on.

    Attributes:
        run: where the classifier is from.
        classifier: in eval mode, on its device.
        cases: of the split; ``rows`` are those with a complete mask in some frame.
        split: which.
        rows: (n,) int64.
        labels: (N,) int64 class of each case, -1 where its label is none of the classifier's.
        mode: what is shown.
        left_out: frame to the number of frames without a complete mask.
        seen: how many of the patients the run was trained on.
        donors: (D, n) int64 rows of the cases whose backgrounds ``rows`` get in each of D draws, for the
            modes that draw some.
        without_donor: how many cases could get none, and are not in ``rows``.
    """

    run: Run
    classifier: Classifier
    cases: Cases
    split: str
    rows: np.ndarray
    labels: np.ndarray
    mode: InputMode
    left_out: dict[str, int]
    seen: Seen
    donors: np.ndarray | None = None
    without_donor: int = 0

    @property
    def draws(self) -> int:
        """How often each case is shown: once for each draw of donors, else once."""
        return 1 if self.donors is None else len(self.donors)

    @cached_property
    def knows_pixel_size(self) -> bool:
        """Whether some case's pixel size is known, so that masks can be dilated by millimetres."""
        return bool((~np.isnan(self.cases.spacing(self.rows, 1))).any())

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self.classifier.head.weight.device

    def frame_name(self, rows: np.ndarray, number: int) -> str:
        """Returns what errors call one of the frames of some cases, F a case: ``case c8, frame ED``."""
        case, frame = divmod(number, len(self.cases.frames))
        name = self.cases.cohort.column("case")[self.cases.case[rows[case]]]
        return f"case {name}, frame {self.cases.frames[frame]}"

    def donors_of(self, rows: np.ndarray, draw: int) -> np.ndarray | None:
        """Returns the donors (n,) int64 of some of ``rows`` in a draw; None if the mode draws none."""
        return None if self.donors is None else self.donors[draw, np.searchsorted(self.rows, rows)]

    def stream(self, rows: np.ndarray, draw: int = 0) -> Iterator[ShownCases]:
        """Yields some of ``rows`` with their masks, all tensors on the network's device."""
        size, donors = self.classifier.image_size, self.donors_of(rows, draw)
        for shown in stream_cases(self.cases, self.mode, size, rows, donors, masks=True):
            assert shown.masks is not None
            yield ShownCases(shown.rows, shown.images.to(self.device), shown.masks.to(self.device))

    def training_images(self) -> list[Tensor]:
        """Returns frames (N, 1, size, size) of training cases as they are tested, in batches.

        From the cohort that the run was trained on, where it still lies; else from that of the cases,
        from its training split if it has one.
        """
        run, classifier, cases = self.run, self.classifier, self.cases
        mode = classifier.input.tested() if self.mode.draws_donors else self.mode
        try:
            own = Cohort.open(run.info["settings"]["cohort"])
            cases, mode = selected_cases(run, classifier, own, "train"), classifier.input.tested()
        except CmrbiasError:
            if "train" in cases.cohort.codes("split")[1]:
                cases = selected_cases(run, classifier, cases.cohort, "train")
        rows = shown_rows(cases, mode, "train")
        some = rows[np.linspace(0, len(rows) - 1, min(ESTIMATED, len(rows))).astype(np.int64)]
        shown = stream_cases(cases, mode, classifier.image_size, some)
        return [batch.images.flatten(0, 1).to(self.device) for batch in shown]


def open_subject(
    path: Path,
    cohort: Path | None,
    split: str,
    input: str | None,
    allow_seen: bool,
    device: torch.device,
    plugins: Plugins,
    seed: int = 0,
) -> Subject:
    """Returns what is explained.

    Args:
        path: of the run.
        cohort: another than that of the training.
        split: of the cohort.
        input: name of the test input; None is that in which the classifier is tested.
        allow_seen: explain patients that the run has seen in training.
        device: where the network runs.
        plugins: what is installed.
        seed: of the donors; ``evaluate`` draws the same ones by it.

    Raises:
        CmrbiasError: no run or no classifier, frames do not fit, no complete mask, no such input,
            or a patient that the run has seen.
    """
    run = Run.open(path)
    classifier = load_classifier(path, plugins)
    opened = tested_cohort(run, cohort)
    cases = selected_cases(run, classifier, opened, split)
    _refuse_maskless(cases, split)
    mode = classifier.input.tested() if input is None else InputMode.named(input, {}, TESTING)
    mode = sized(mode, run, classifier, cases)
    rows = shown_rows(cases, mode, split)
    rows = rows[cases.complete[rows].any(1)]
    labels, donors, without = _labels(classifier, cases), None, 0
    if mode.draws_donors:
        known = rows[labels[rows] >= 0]  # another class, or the same, is known of a known label alone
        shown, donors = with_donors(cases, labels, known, mode, seed)
        rows, without = shown, len(rows) - len(shown)
        if not len(rows):
            raise CmrbiasError(
                f"{opened.path}: no case of split {split!r} has a donor for input {mode.name!r}: expected a "
                f"case of another patient and {'the same' if mode.same_class else 'another'} class"
            )
    seen = count_seen(run, opened.column("patient")[cases.case[rows]], allow_seen)
    missing = (~cases.complete).sum(0).tolist()
    return Subject(
        run,
        classifier.to(device, memory_format=torch.channels_last),  # type: ignore[call-overload]
        cases,
        split,
        rows,
        labels,
        mode,
        {name: count for name, count in zip(cases.frames, missing, strict=True) if count},
        seen,
        donors,
        without,
    )


def _refuse_maskless(cases: Cases, split: str) -> None:
    cohort = cases.cohort
    if not cohort.has_masks:
        raise CmrbiasError(
            f"{cohort.path}: this cohort has no heart masks, which saliency is scored against: import it "
            "with contours"
        )
    if not cases.complete.any():
        raise CmrbiasError(
            f"{cohort.path}: no case of split {split!r} has a complete heart mask "
            f"({'+'.join(cohort.structures)}), which saliency is scored against: choose another split, or "
            "import with --mask-structures"
        )


def _labels(classifier: Classifier, cases: Cases) -> np.ndarray:
    if classifier.target not in cases.cohort.columns:
        return np.full(len(cases), -1)
    cells = cases.cohort.column(classifier.target)[cases.case].tolist()
    place = {name: number for number, name in enumerate(classifier.classes)}
    return np.array([place.get(cell, -1) for cell in cells], dtype=np.int64)
