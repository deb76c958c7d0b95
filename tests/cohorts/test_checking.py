"""``check`` finds what was planted and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from cmrbias.cohorts.checking import check
from cmrbias.cohorts.context import one_vs_rest_aucs
from cmrbias.cohorts.format import Cohort
from cmrbias.cohorts.writer import CohortWriter

CASES = 40


def write(path: Path, change=lambda i, row, images, masks: None, brightness=0, masks=True) -> Cohort:
    """Two classes whose hearts differ by ``brightness``; ``change`` plants faults."""
    rng = np.random.default_rng(0)
    target = {"kind": "class", "classes": ["A", "B"]}
    with CohortWriter(
        path,
        name="x",
        frames=("ED", "ES"),
        structures=("MYO", "LV"),
        targets={"label": target},
        preparation={},
        provenance={},
    ) as writer:
        for i in range(CASES):
            images = rng.integers(50, 100, (2, 12, 12)).astype(np.uint8)
            labels = np.zeros((2, 12, 12), dtype=np.uint8)
            labels[:, 4:8, 4:8] = 3
            labels[:, 4] = 2
            images[:, 4:8, 4:8] += np.uint8(brightness * (i % 2))
            row = {"case": f"c{i}", "patient": f"p{i}", "label": "AB"[i % 2]}
            row["split"] = "train" if i < 28 else "test"
            change(i, row, images, labels)
            writer.add(row, images, labels if masks else None)
    return Cohort.open(path)


def kinds(cohort: Cohort) -> dict[str, list]:
    found: dict[str, list] = {}
    for finding in check(cohort).findings:
        found.setdefault(finding.kind, []).append(finding)
    return found


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path) -> None:
    report = check(write(tmp_path / "c"))
    assert report.findings == []
    assert report.errors == 0
    assert report.cases == report.patients == CASES
    assert report.balance == {"label": {"A": {"test": 6, "train": 14}, "B": {"test": 6, "train": 14}}}
    assert report.masks == {frame: {"complete": 40, "incomplete": 0, "empty": 0} for frame in ("ED", "ES")}


def test_a_patient_in_two_splits_is_an_error(tmp_path: Path) -> None:
    def change(i, row, images, masks):
        row["patient"] = "p0" if i == 39 else row["patient"]

    cohort = write(tmp_path / "c", change)
    (finding,) = kinds(cohort)["patient in two splits"]
    assert finding.message == "patient 'p0' is in test and train"
    assert check(cohort).errors == 1


def test_masks(tmp_path: Path) -> None:
    def change(i, row, images, masks):
        if i == 3:
            masks[1] = 0
        if i == 5:
            masks[1][masks[1] == 2] = 0

    cohort = write(tmp_path / "c", change)
    found = kinds(cohort)
    assert found["empty mask"][0].cases == ("c3",)
    assert found["incomplete mask"][0].cases == ("c5",)
    assert check(cohort).masks["ES"] == {"complete": 38, "incomplete": 1, "empty": 1}
    assert check(cohort).errors == 0


def test_no_masks_is_no_fault(tmp_path: Path) -> None:
    report = check(write(tmp_path / "c", masks=False))
    assert report.findings == []
    assert report.masks == {}
    assert report.context == []


def test_constant_and_duplicate_images(tmp_path: Path) -> None:
    first = {}

    def change(i, row, images, masks):
        first.setdefault("images", images.copy())
        if i == 30:
            images[:] = first["images"]
        if i == 7:
            images[1] = 9

    found = kinds(write(tmp_path / "c", change))
    (constant,) = found["constant"]
    assert (constant.message, constant.cases) == ("1 image is constant in frame ES", ("c7",))
    (duplicate,) = found["duplicate"]
    assert duplicate.message == "2 cases have identical images across splits"
    assert duplicate.cases == ("c0", "c30")


def test_identifiers_used_twice(tmp_path: Path) -> None:
    def change(i, row, images, masks):
        row["case"] = "c0" if i == 1 else row["case"]

    (finding,) = kinds(write(tmp_path / "c", change))["identifier"]
    assert finding.level == "error"
    assert finding.cases == ("c0",)


def test_a_class_absent_from_a_split(tmp_path: Path) -> None:
    def change(i, row, images, masks):
        row["label"] = "A" if i >= 28 else row["label"]

    (finding,) = kinds(write(tmp_path / "c", change))["class balance"]
    assert finding.message == "target 'label': no case of 'B' in test"


@pytest.mark.parametrize(("label", "said"), [("A", "all that are known are 'A'"), ("", "none is known")])
def test_a_single_class(tmp_path: Path, label: str, said: str) -> None:
    def change(i, row, images, masks):
        row["label"] = label

    (finding,) = kinds(write(tmp_path / "c", change))["class balance"]
    assert finding.level == "warning"
    assert finding.message == f"target 'label': {said}, so there is nothing to tell apart"


def test_a_split_of_one_patient(tmp_path: Path) -> None:
    def change(i, row, images, masks):
        row["patient"] = "q" if i >= 28 else row["patient"]

    (finding,) = kinds(write(tmp_path / "c", change))["small split"]
    assert finding.level == "warning"
    assert finding.message == "split test holds one patient: figures over patients need several"


def test_unreadable_and_changed_files(tmp_path: Path) -> None:
    cohort = write(tmp_path / "c")
    shard = tmp_path / "c" / "images-00000.npy"
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    (finding,) = kinds(cohort)["changed"]
    assert finding.message == "images-00000.npy is not what was written: copy it again"
    shard.unlink()
    found = kinds(Cohort.open(tmp_path / "c"))
    assert "shard is missing" in found["unreadable"][0].message
    assert found["unreadable"][0].level == "error"


@pytest.mark.parametrize("name", ["images", "masks"])
@pytest.mark.parametrize("size", [None, 3, 1000])
def test_what_cannot_be_read_is_not_counted(tmp_path: Path, name: str, size: int | None) -> None:
    def change(i, row, images, masks):
        masks[1] = 0 if i == 3 else masks[1]

    write(tmp_path / "c", change)
    shard = tmp_path / "c" / f"{name}-00000.npy"
    data = shard.read_bytes()
    shard.unlink()
    if size is not None:
        shard.write_bytes(data[:size])
    report = check(Cohort.open(tmp_path / "c"))
    (unreadable,) = [finding for finding in report.findings if finding.kind == "unreadable"]
    assert ("copy the cohort again" if size is None else "damaged: copy it again") in unreadable.message
    assert "pickle" not in unreadable.message
    if name == "masks":
        nothing = {"complete": 0, "incomplete": 0, "empty": 0, "unreadable": CASES}
        assert report.masks == {"ED": nothing, "ES": nothing}
        assert not [finding for finding in report.findings if "mask" in finding.kind]
    else:
        assert report.masks["ES"] == {"complete": CASES - 1, "incomplete": 0, "empty": 1}
    assert not [finding for finding in report.findings if finding.kind in ("constant", "duplicate")]
    assert report.context == []


def test_an_edited_table_is_a_warning(tmp_path: Path) -> None:
    write(tmp_path / "c")
    table = tmp_path / "c" / "cases.csv"
    table.write_text(table.read_text().replace("c39", "c99"))
    (finding,) = kinds(Cohort.open(tmp_path / "c"))["changed"]
    assert finding.level == "warning"
    assert "cases.csv was edited" in finding.message


def test_the_hearts_brightness(tmp_path: Path) -> None:
    """Hearts of class B are brighter: the mean tells the class; the AUC is scikit-learn's."""
    cohort = write(tmp_path / "c", brightness=6)
    report = check(cohort)
    images, masks = cohort.images(cohort.cases()), cohort.masks(cohort.cases())
    labels = cohort.codes("label")[0]
    for position, frame in enumerate(("ED", "ES")):
        for measure, number in (("mean", np.mean), ("sd", np.std)):
            values = [number(images[i, position][masks[i, position] > 0]) for i in range(CASES)]
            auc = roc_auc_score(labels, values)
            (ours,) = [c for c in report.context if (c.frame, c.measure) == (frame, measure)]
            assert ours.auc == pytest.approx(max(auc, 1 - auc))
            assert ours.patients == CASES
    means = [c for c in report.context if c.measure == "mean"]
    assert all(c.notable for c in means)
    assert [f.kind for f in report.findings].count("context") >= 2


def test_context_counts_complete_masks_only(tmp_path: Path) -> None:
    def change(i, row, images, masks):
        if i < 4:
            masks[0][masks[0] == 2] = 0

    found = check(write(tmp_path / "c", change)).context
    assert {(c.frame, c.patients) for c in found} == {("ED", 36), ("ES", 40)}


def test_context_counts_a_patient_once(tmp_path: Path) -> None:
    def change(i, row, images, masks):
        row.update(patient=f"p{i // 4}", label="AB"[i // 4 % 2])

    assert {c.patients for c in check(write(tmp_path / "c", change)).context} == {10}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), min_size=4, max_size=40))
def test_aucs_are_scikit_learns(rows) -> None:
    """With ties, for any class sizes."""
    scores = np.array([score for score, _ in rows], dtype=np.float64)
    labels = np.unique([label for _, label in rows], return_inverse=True)[1]
    if labels.max() == 0:
        return
    expected = [roc_auc_score(labels == c, scores) for c in range(labels.max() + 1)]
    np.testing.assert_allclose(one_vs_rest_aucs(scores, labels), expected, atol=1e-12)
