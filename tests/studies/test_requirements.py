"""What a study was given and cannot use is told in one line, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from cmrbias.cli.main import make_cli
from cmrbias.cohorts.writer import CohortWriter
from cmrbias.errors import CmrbiasError
from cmrbias.plugins import Plugins
from cmrbias.studies.build import Study, make_study
from cmrbias.studies.definition import read
from cmrbias.studies.requirements import check_given

STUDY = """
cohorts.CM = {}
cohorts.ACDC = {}
models.Full = {}
models.Seg = { input = "heart" }

[rows]
CM = { cohort = "CM" }
"CM -> ACDC" = { trained-on = "CM", cohort = "ACDC" }
mapped = { trained-on = "CM", cohort = "ACDC", label-map = "A=A,B=B" }

[tables.table1]
columns = ["Full", "Seg"]
rows = ["CM", "CM -> ACDC", "mapped"]

[presets.tiny]
train = { backbone = "tiny", image-size = 32 }
"""


def make(
    out: Path,
    labels: Sequence[str] = "AB" * 4,
    test: Sequence[str] = "AB",
    name: str = "p",
    masks: bool = True,
    incomplete: str = "",
    splits: tuple[str, str] = ("train", "test"),
) -> Path:
    """A cohort of one frame at 32 px; ``incomplete`` is the split whose masks lack a structure."""
    with CohortWriter(
        out,
        name="c",
        frames=("ED",),
        structures=("RV", "MYO", "LV") if masks else (),
        targets={"label": {"kind": "class", "classes": sorted({*labels, *test} - {""})}},
        preparation={},
        provenance={},
        pixel_size=1.5,
    ) as writer:
        rows = [*((splits[0], label) for label in labels), *((splits[1], label) for label in test)]
        for number, (split, label) in enumerate(rows):
            mask = np.zeros((1, 32, 32), np.uint8)
            mask[:, 12:20, 12:20] = np.arange(8) // 3 + 1
            row = {"case": f"c{number}", "patient": f"{name}{number}", "study": "s", "split": split}
            if masks:
                row["mask_ED"] = "LV" if split == incomplete else "RV+MYO+LV"
            image = np.full((1, 32, 32), number, np.uint8)
            writer.add(row | {"label": label}, image, mask if masks else None)
    return out


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return make(tmp_path / "good")


def study_of(tmp_path: Path, plugins: Plugins, cm: Path, acdc: Path, **more: Path) -> Study:
    file = tmp_path / "my.toml"
    file.write_text(STUDY)
    return make_study(read(file), plugins, "tiny", cohorts={"CM": cm, "ACDC": acdc}, **more)


def test_cohorts_that_hold_everything_pass(tmp_path: Path, good: Path, tiny_plugins: Plugins) -> None:
    check_given(study_of(tmp_path, tiny_plugins, good, make(tmp_path / "other", name="q")))


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ({"masks": False}, "cohort ACDC: .*: has no heart masks, and a study scores saliency"),
        ({"splits": ("train", "train")}, "unknown split 'test'"),
        ({"splits": ("test", "test")}, "unknown split 'train'"),
        ({"labels": "AAAA"}, "expected training cases of two classes or more, found A"),
        ({"labels": "AAAB"}, "class 'B' has a single training patient"),
        ({"labels": ["A", "B", "A", ""]}, "column 'label' is empty in 1 of 4 training rows"),
        ({"test": "AA"}, "split test: no case has class 'B'"),
        ({"test": "ABC"}, "found 'C' .1 cases., which ACDC never saw in training"),
        ({"incomplete": "train"}, "no training case has complete heart masks"),
        ({"incomplete": "test"}, "no test case has complete heart masks"),
        ({"labels": "CDCD", "test": "CD"}, "row 'mapped': .*unknown label of .*'A'"),
    ],
)
def test_what_a_cohort_lacks_is_named(
    tmp_path: Path, good: Path, tiny_plugins: Plugins, lacking: dict[str, object], said: str
) -> None:
    other = make(tmp_path / "other", **{"name": "q", **lacking})  # type: ignore[arg-type]
    with pytest.raises(CmrbiasError, match=said) as error:
        check_given(study_of(tmp_path, tiny_plugins, good, other))
    assert "ACDC" in str(error.value)
    assert "\n" not in str(error.value)


def test_test_patients_that_the_other_cohort_trains_on_are_refused(
    tmp_path: Path, good: Path, tiny_plugins: Plugins
) -> None:
    other = make(tmp_path / "other", test="AABB", splits=("test", "train"))  # the same patients, exchanged
    said = r"8 test patients of cohort ACDC .* cohort CM \(p0, p1, p2, \.\.\.\)"
    with pytest.raises(CmrbiasError, match=said):
        check_given(study_of(tmp_path, tiny_plugins, good, other))


def test_weights_of_another_network_are_refused(tmp_path: Path, good: Path, tiny_plugins: Plugins) -> None:
    file = tmp_path / "imagenet.pth"
    torch.save({"conv1.weight": torch.zeros(3)}, file)
    study = study_of(tmp_path, tiny_plugins, good, make(tmp_path / "other", name="q"), imagenet=file)
    with pytest.raises(CmrbiasError, match=r"imagenet\.pth: nothing in it matches tiny"):
        check_given(study)


@pytest.mark.parametrize("command", ["run", "plan"])
def test_the_command_says_it_in_one_line_and_starts_nothing(
    tmp_path: Path, good: Path, tiny_plugins: Plugins, command: str
) -> None:
    other = make(tmp_path / "other", name="q", masks=False)
    (tmp_path / "my.toml").write_text(STUDY)
    given = [f"--cohort=CM={good}", f"--cohort=ACDC={other}", "--preset=tiny", f"--out={tmp_path / 'out'}"]
    words = ["study", command, str(tmp_path / "my.toml"), *given]
    result = CliRunner().invoke(make_cli(lambda: tiny_plugins), words)
    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert f"cohort ACDC: {other}: has no heart masks" in result.output
    assert not (tmp_path / "out").exists()
