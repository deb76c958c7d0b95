"""A whole study: what it writes, and that its numbers are those of its cells."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from sklearn.metrics import roc_auc_score

from cmrbias.studies.adjusted import adjusted_means
from cmrbias.studies.overlaps import read_maps

CLASSES = ("<b>ill</b>", "well & good")
BLOCK, OWN = "With 95 % intervals over patients", "own test input"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def cells(study: Path, kind: str, name: str) -> list[Path]:
    """Outputs of the cells of a kind whose name starts so, by name: a seed each."""
    found = {}
    for place in study.glob(f"cells/{kind}-*"):
        told = json.loads((place / "cell.json").read_text())
        if told["name"].startswith(name):
            found[told["name"]] = place / "out"
    return [found[key] for key in sorted(found)]


def number(study: Path, table: str, **wanted: str) -> dict[str, str]:
    (row,) = [r for r in rows_of(study / f"{table}-numbers.csv") if all(r[k] == v for k, v in wanted.items())]
    return row


def micro(path: Path) -> float:
    rows = [r for r in rows_of(path / "predictions.csv") if r["input"] == "full"]
    scores = np.array([[float(r[f"p_{name}"]) for name in CLASSES] for r in rows])
    return float(
        roc_auc_score(
            np.array([[r["label"] == name for name in CLASSES] for r in rows]).ravel(), scores.ravel()
        )
    )


def patients_aks(path: Path) -> dict[str, float]:
    """Each patient's AKS in plain Python: one case a patient, mean over the frames that have one."""
    found: dict[str, list[float]] = {}
    for row in rows_of(path / "overlap.csv"):
        if row["map"] == "model" and row["class"] == row["predicted"]:
            found.setdefault(row["patient"], []).append(float(row["aks"] or "nan"))
    return {patient: float(np.nanmean(values)) for patient, values in found.items()}


def test_everything_is_written(finished_study: Path) -> None:
    expected = {
        f"{t}.{s}"
        for t in ("table1", "table3", "behaviour", "figure2", "figure2-points", "figure2-cases")
        for s in ("csv", "md", "tex")
    }
    expected |= {f"{t}-numbers.csv" for t in ("table1", "table3", "behaviour")}
    expected |= {"figure2.png", "figure2.svg", "figure3.png"}
    assert {p.name for p in finished_study.iterdir()} == expected | {"report.html", "cells"}
    assert (finished_study / "figure3.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_time_nothing_is_computed_and_the_same_is_written(
    finished_study: Path, run_study: Callable[..., Result]
) -> None:
    before = {p.name: p.read_bytes() for p in finished_study.iterdir() if p.is_file()}
    result = run_study("--out", finished_study)
    assert "0 cells to compute" in result.output
    assert {p.name: p.read_bytes() for p in finished_study.iterdir() if p.is_file()} == before


def test_the_auc_is_the_mean_of_the_seeds(finished_study: Path) -> None:
    row = number(
        finished_study,
        "table1",
        block=BLOCK,
        measure="AUC",
        what="micro, own test input",
        row="CM",
        model="Full",
    )
    aucs = [micro(path) for path in cells(finished_study, "evaluate", "Full, CM, seed")]
    assert len(aucs) == 2
    assert float(row["value"]) == pytest.approx(np.mean(aucs), abs=1e-12)
    assert float(row["seed_sd"]) == pytest.approx(np.std(aucs, ddof=1), abs=1e-12)
    assert float(row["low"]) <= float(row["value"]) <= float(row["high"])
    assert (row["seeds"], row["patients"], row["initialisation"]) == ("2", "8", "random init")


def test_the_macro_auc_has_the_published_kind_of_half_width(finished_study: Path) -> None:
    row = number(
        finished_study, "table1", measure="AUC", row="CM", model="Full",
        what="macro, ± 95 % half-width (Hanley-McNeil)",
    )  # fmt: skip
    uppers = []
    for path in cells(finished_study, "evaluate", "Full, CM, seed"):
        uppers.append(
            json.loads((path / "scores.json").read_text())["inputs"]["full"]["macro_as_published"]["high"]
        )
    assert float(row["plus_minus"]) == pytest.approx(np.mean(uppers) - float(row["value"]), abs=1e-12)


def test_the_aks_is_averaged_over_seeds_per_patient(finished_study: Path) -> None:
    paths = cells(finished_study, "saliency", "Full, CM, seed")
    each = [patients_aks(path) for path in paths]
    means = [np.nanmean([seed[patient] for seed in each]) for patient in each[0]]
    row = number(finished_study, "table1", block=BLOCK, measure="AKS", what=OWN, row="CM", model="Full")
    assert float(row["value"]) == pytest.approx(np.nanmean(means), abs=1e-12)
    form = number(finished_study, "table1", measure="AKS", what="± SD over patients", row="CM", model="Full")
    sds = [np.nanstd(list(seed.values()), ddof=1) for seed in each]
    assert float(form["plus_minus"]) == pytest.approx(np.mean(sds), abs=1e-12)


def test_models_are_compared_patient_by_patient(finished_study: Path) -> None:
    block = (
        "Less Full-scratch, paired by patient; intervals not adjusted for their number"  # Full's other name
    )
    aucs = [
        [micro(path) for path in cells(finished_study, "evaluate", f"{m}, CM, seed")]
        for m in ("SimCLR", "Full")
    ]
    row = number(
        finished_study, "table1", block=block, what="micro, own test input", row="CM", model="SimCLR"
    )
    assert float(row["value"]) == pytest.approx(np.mean(aucs[0]) - np.mean(aucs[1]), abs=1e-12)
    assert float(row["seed_sd"]) == pytest.approx(np.std(np.subtract(*aucs), ddof=1), abs=1e-12)
    each = [
        [
            {patient: np.nan_to_num(aks) for patient, aks in patients_aks(path).items()}
            for path in cells(finished_study, "saliency", f"{m}, CM, seed")
            if "full" in json.loads((path.parent / "cell.json").read_text())["command"]
        ]
        for m in ("Seg", "Full")
    ]
    row = number(finished_study, "table1", block=block, measure="AKS", row="CM", model="Seg")
    differences = [[a[p] - b[p] for p in b] for a, b in zip(*each, strict=True)]
    assert len(differences) == 2
    assert float(row["value"]) == pytest.approx(np.mean(differences), abs=1e-12)
    compared = {r["model"] for r in rows_of(finished_study / "table1-numbers.csv") if r["block"] == block}
    assert compared == {"Seg", "SimCLR"}


def test_overlap_by_class_is_that_of_the_class(finished_study: Path) -> None:
    each = []
    for path in cells(finished_study, "saliency", "SimCLR, CM, seed"):
        labels = {row["patient"]: row["label"] for row in rows_of(path / "overlap.csv")}
        each.append([v for patient, v in patients_aks(path).items() if labels[patient] == CLASSES[0]])
    row = number(
        finished_study,
        "table3",
        block=BLOCK,
        measure="AKS",
        what="own test input",
        **{"class": CLASSES[0]},
        model="SimCLR",
    )
    assert float(row["value"]) == pytest.approx(np.nanmean(np.nanmean(each, axis=0)), abs=1e-12)
    assert row["patients"] == "4"


def test_adjusted_means_are_those_of_a_regression_on_class_and_area(finished_study: Path) -> None:
    maps = [read_maps(path) for path in cells(finished_study, "saliency", "SimCLR, CM, seed")]
    found = adjusted_means(maps)
    aks, area, ill = [], [], []
    for patient in np.unique(maps[0].patient):
        of_seeds = [np.mean(m.scores["aks"][m.chosen() & (m.patient == patient)]) for m in maps]
        rows = maps[0].chosen() & (maps[0].patient == patient)
        aks.append(np.mean(of_seeds))
        area.append(np.mean(maps[0].scores["chance"][rows]))
        ill.append(maps[0].label[rows][0] == CLASSES[0])
    design = np.column_stack([ill, ~np.array(ill), np.array(area) - np.mean(area)]).astype(float)
    fitted = np.linalg.lstsq(design, np.array(aks), rcond=None)[0]
    assert found[CLASSES[0]].value == pytest.approx(fitted[0], abs=1e-12)
    assert found[CLASSES[1]].value == pytest.approx(fitted[1], abs=1e-12)


def test_published_values_stand_apart_and_are_marked(finished_study: Path) -> None:
    text = (finished_study / "table1.md").read_text()
    ours, theirs = text.split("## Other data: as published")
    assert "0.833 ± 0.047" in theirs
    assert "0.833 ± 0.047" not in ours


def test_a_model_that_is_another_is_named_and_not_repeated(finished_study: Path) -> None:
    text = (finished_study / "table1.md").read_text()
    assert "Full-scratch is Full, since no ImageNet weights were given." in text
    assert "Full-scratch (random init)" not in text


def test_behaviour_is_the_mean_of_the_seeds_evaluations(finished_study: Path) -> None:
    found = [
        json.loads((path / "scores.json").read_text())
        for path in cells(finished_study, "evaluate", "behaviour of Seg, CM, seed")
    ]
    assert len(found) == 2
    for shown in ("full", "swap-same-class", "swap-other-class"):
        macro = [seed["inputs"][shown]["auc"]["macro"]["value"] for seed in found]
        row = number(
            finished_study,
            "behaviour",
            block=BLOCK,
            measure="AUC, macro",
            what=f"test input {shown}",
            model="Seg",
        )
        assert float(row["value"]) == pytest.approx(np.mean(macro), abs=1e-12)
        assert float(row["seed_sd"]) == pytest.approx(np.std(macro, ddof=1), abs=1e-12)
    gaps = {
        "BG-gap, AUC, macro": [seed["bg_gap"]["auc"]["macro"]["estimate"]["value"] for seed in found],
        "BG-gap, AUC, micro": [seed["bg_gap"]["auc"]["micro"]["estimate"]["value"] for seed in found],
        "BG-gap, accuracy": [seed["bg_gap"]["accuracy"]["value"] for seed in found],
    }
    for measure, each in gaps.items():
        row = number(finished_study, "behaviour", block="BG-gap", measure=measure, model="Seg")
        assert float(row["value"]) == pytest.approx(np.mean(each), abs=1e-12)
        assert float(row["seed_sd"]) == pytest.approx(np.std(each, ddof=1), abs=1e-12)
        assert row["patients"] == "8"
    assert any(any(each) for each in gaps.values())


def test_a_model_under_two_names_is_one_point(finished_study: Path) -> None:
    rows = rows_of(finished_study / "figure2.csv")
    assert {row["models"] for row in rows if row["models"]} == {"3, descriptive"}
    points = rows_of(finished_study / "figure2-points.csv")
    assert [row["measure"] for row in points if row["block"] == "Points"] == ["Full", "Seg", "SimCLR"] * 3


def test_points_stand_under_their_own_headers(finished_study: Path) -> None:
    """Each along its axis as table 1 has it: AKS on CM, the AUC on another row."""
    points = [row for row in rows_of(finished_study / "figure2-points.csv") if row["row"] == "AKS, CM"]
    assert len(points) == 3
    for point in points:
        assert point["what"] == "AUC (micro), CM -> ACDC, panel b"
        of = {"block": "With 95 % intervals over patients", "model": point["measure"]}
        asked = {
            "overlap": {"measure": "AKS", "row": "CM", "what": "own test input"},
            "AUC": {"measure": "AUC", "row": "CM -> ACDC", "what": "micro, own test input"},
        }
        for axis, which in asked.items():
            found = number(finished_study, "table1", **of, **which)
            assert float(point[axis]) == pytest.approx(float(found["value"]), abs=1e-4)
            assert float(point[f"SD of {axis}"]) == pytest.approx(float(found["seed_sd"]), abs=1e-4)


@pytest.mark.parametrize(
    "table", ["table1", "table3", "behaviour", "figure2", "figure2-points", "figure2-cases"]
)
def test_every_table_says_what_its_preset_is_worth(finished_study: Path, table: str) -> None:
    assert "preset tiny: numbers of a test" in (finished_study / f"{table}.md").read_text()


@pytest.mark.parametrize("table", ["table1", "table3", "behaviour", "figure2-cases"])
def test_every_table_of_models_says_where_they_are_from(finished_study: Path, table: str) -> None:
    said = {row["what"] for row in rows_of(finished_study / f"{table}.csv") if row["block"] == "Models"}
    assert {"initialisation", "image passes", "trained on input", "own test input"} <= said


def test_tables_say_what_they_must(finished_study: Path) -> None:
    text = (finished_study / "table1.md").read_text()
    for said in (
        "preset tiny",
        "image passes",
        "cells of a map",
        "trained on input",
        "own test input",
        "centred Gaussian",
    ):
        assert said in text
    assert "random init" in text
    assert "Over 2 seeds: mean, SD, 95 % t interval" in text


def test_image_passes_count_pretraining_views(finished_study: Path) -> None:
    rows = rows_of(finished_study / "table1-numbers.csv")
    passes = {(r["model"], r["row"]): r["image_passes"] for r in rows if r["image_passes"]}
    assert passes["Full", "CM"] == "16"  # 12 training patients, a fifth validate: 2 batches of 4, 2 frames
    assert passes["SimCLR", "CM"] == str(16 + 48)  # and 24 frames in 2 views
    assert passes["SimCLR", "CM -> ACDC"] == "48"


def test_names_are_no_markup_in_any_format(finished_study: Path) -> None:
    assert "<b>" not in (finished_study / "table3.md").read_text()
    tex = (finished_study / "table3.tex").read_text()
    assert r"well \& good" in tex
    assert "well & good" not in tex


def test_without_images_no_pixel_of_a_patient_is_left(
    finished_study: Path, run_study: Callable[..., Result], tmp_path: Path
) -> None:

    out = tmp_path / "out"
    shutil.copytree(finished_study, out, symlinks=True)
    result = run_study("--out", out, "--no-images")
    assert result.exit_code == 0, result.output
    assert not (out / "figure3.png").exists()
    page = (out / "report.html").read_text()
    data = data_of(page)
    assert data["pictures"] == {}
    assert not any("map" in frame for case in cases_of(data) for frame in case["frames"])
    assert page.count("data:image/png") == 1  # figure 2


def data_of(page: str) -> Any:
    return json.loads(page.split('id="data">')[1].split("</script>")[0])


def cases_of(data: Any) -> list[Any]:
    return [case for row in data["rows"].values() for cases in row["models"].values() for case in cases]


def test_the_report_asks_for_nothing_and_names_nobody(finished_study: Path) -> None:
    page = (finished_study / "report.html").read_text()
    assert "http:" not in page
    assert "https:" not in page
    assert "default-src 'none'" in page
    assert "onerror=alert" not in page  # the patients' ids, which were kept in the cohort
    assert str(finished_study) not in page
    names = {case["name"] for case in cases_of(data_of(page))}
    assert names == {f"{cohort} {n:03d}" for cohort in ("CM", "ACDC") for n in range(13, 21)}


def test_the_reports_names_are_text(finished_study: Path) -> None:
    page = (finished_study / "report.html").read_text()
    assert "<script>document.title" not in page
    assert "&lt;script&gt;document.title" in page
    assert "<b>ill</b>" not in page
    assert "&lt;b&gt;ill&lt;/b&gt;" in page


def test_the_report_has_every_case_with_its_scores(finished_study: Path) -> None:
    data = data_of((finished_study / "report.html").read_text())
    assert list(data["rows"]) == ["CM", "CM -> ACDC"]
    assert list(data["rows"]["CM"]["models"]) == [
        "Full, shown full", "Seg, shown heart", "SimCLR, shown full",
    ]  # fmt: skip
    cases = data["rows"]["CM"]["models"]["Full, shown full"]
    expected = patients_aks(cells(finished_study, "saliency", "Full, CM, seed 0, shown full")[0])
    found = {f"<img src=x onerror=alert(1)>CM{int(c['name'][-3:]) - 1:02d}": c["aks"] for c in cases}
    assert found == pytest.approx(expected, abs=1e-5)
    assert set(data["pictures"]) == {"CM", "ACDC"}
