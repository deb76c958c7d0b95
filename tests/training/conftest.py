"""Small cohorts with what is needed to be seen: labels, patients, incomplete masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmrbias.cohorts.format import Cohort
from cmrbias.cohorts.writer import CohortWriter


@pytest.fixture
def make_cohort(tmp_path: Path) -> Callable[..., Cohort]:
    """Returns a function that writes cases of 12 x 10 pixels with the given labels, one a row.

    Case i has pixel values 5 i + 1 (ED) and 5 i + 2 (ES) of 255, and a heart of 3 x 2 pixels at ED,
    4 x 2 at ES; of the frames in ``incomplete`` (case, frame) only the LV is contoured.
    """

    def make(
        labels: Sequence[str],
        patients: Sequence[str] | None = None,
        incomplete: Sequence[tuple[int, int]] = (),
        masks: bool = True,
        sizes: Sequence[int] = (10,),
        targets: dict[str, Any] | None = None,
    ) -> Cohort:
        out = tmp_path / f"cohort-{len(list(tmp_path.iterdir()))}"
        known = {"label": {"kind": "class", "classes": sorted({x for x in labels if x})}}
        with CohortWriter(
            out,
            name="made",
            frames=("ED", "ES"),
            structures=("MYO", "LV"),
            targets=known if targets is None else targets,
            preparation={},
            provenance={},
        ) as writer:
            for i, label in enumerate(labels):
                shape = (2, 12, sizes[i % len(sizes)])
                images = np.full(shape, 5 * i + 1, np.uint8) + np.arange(2, dtype=np.uint8)[:, None, None]
                drawn = np.zeros(shape, np.uint8)
                for frame in range(2):
                    drawn[frame, 4 : 7 + frame, 3:5] = 3
                    if (i, frame) not in incomplete:
                        drawn[frame, 4, 3:5] = 2
                patient = patients[i] if patients else f"p{i}"
                row = {"case": f"c{i}", "patient": patient, "split": "train", "label": label}
                writer.add(row, images, drawn if masks else None)
        return Cohort.open(out)

    return make
