"""Messages that a user sees."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from cmrbias.errors import CmrbiasError, MissingExtra, unknown
from cmrbias.options import build


def test_unknown_names_the_nearest_first_and_then_all() -> None:
    message = str(unknown("method", "mocoo", ["simclr", "moco", "byol"]))
    assert message == "unknown method 'mocoo': did you mean 'moco'? (known: byol, moco, simclr)"


def test_unknown_without_a_near_name_lists_all() -> None:
    assert str(unknown("method", "zzz", ["byol"])) == "unknown method 'zzz' (known: byol)"
    assert "none is installed" in str(unknown("method", "zzz", []))


def test_what_has_no_options_says_so() -> None:
    @dataclass(frozen=True)
    class Options:
        pass

    with pytest.raises(CmrbiasError, match=r"^input mode 'heart': takes no options, got 'fill'$"):
        build(Options, {"fill": "donor"}, "input mode 'heart'")


def test_a_missing_extra_says_what_to_install() -> None:
    assert str(MissingExtra("nibabel", "imaging", "reading NIfTI")) == (
        "reading NIfTI needs the package 'nibabel', which is not installed: pip install 'cmrbias[imaging]'"
    )
