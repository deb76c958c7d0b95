"""What is said below a table."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cmrbias.studies.tables.beside import notes


@pytest.mark.parametrize(("several", "by_class", "said"), [(2, ("HCM",), 1), (0, ("HCM",), 0), (2, (), 0)])
def test_patients_of_several_diagnoses_are_told(several: int, by_class: Any, said: int) -> None:
    column = SimpleNamespace(facts=SimpleNamespace(left_out={}), of_several_classes=several)
    columns: Any = SimpleNamespace(
        study=SimpleNamespace(seeds=(0, 1)),
        entry=SimpleNamespace(notes=(), rows=("CM",), by_class=by_class),
        same={},
        overlap_rows=["CM"],
        on=lambda row: [column],
    )
    expected = (
        "CM: patients with cases of several diagnoses: 2; their maps count in the lines of each, and take no "
        "part in those adjusted for mask area."
    )
    assert [note for note in notes(columns) if "several" in note] == [expected] * said
