"""What two digests of the case column tell apart."""

from pathlib import Path

import pytest

from cmrbias.cohorts.case_order import case_digests, check_order
from cmrbias.errors import CmrbiasError


def test_another_order_is_refused_and_other_names_are_not() -> None:
    recorded = case_digests(["a", "b", "", "a"])
    for fine in (["a", "b", "", "a"], ["a", "c", "", "a"], ["a", "b", ""]):
        check_order(Path("cases.csv"), recorded, fine)
    with pytest.raises(CmrbiasError, match=r"^cases\.csv: its rows are in another order"):
        check_order(Path("cases.csv"), recorded, ["a", "a", "b", ""])


def test_names_are_not_joined_into_others() -> None:
    assert case_digests(["ab", "c"]) != case_digests(["a", "bc"])
