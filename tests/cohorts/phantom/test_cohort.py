"""Phantom cohorts on disk: independence of anatomy, site and cue, twins, provenance, wrong input."""

import dataclasses
import json

import numpy as np
import pytest
from scipy.stats.contingency import association

from cmrbias.cohorts.format import Cohort
from cmrbias.cohorts.phantom import cohort as phantom
from cmrbias.cohorts.phantom.cohort import default_phantom, make_phantom, twin
from cmrbias.cohorts.phantom.cues import Cue, add_cue
from cmrbias.cohorts.phantom.patients import stream
from cmrbias.cohorts.phantom.rendering import Rendering
from cmrbias.cohorts.phantom.settings import PhantomOptions
from cmrbias.cohorts.phantom.torso import draw_wall
from cmrbias.errors import CmrbiasError

SMALL = PhantomOptions(patients=20, image_size=64, cue="local-far")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("phantoms")


@pytest.fixture(scope="module")
def small(folder):
    return made(folder / "small")


def made(path, **changes):
    make_phantom(path, dataclasses.replace(SMALL, **changes))
    return Cohort.open(path)


def pictures(cohort):
    return cohort.images(np.arange(len(cohort)))


def labels(cohort):
    return cohort.masks(np.arange(len(cohort)))


def columns(cohort, *names):
    return [cohort.column(name).tolist() for name in names]


def test_what_is_on_disk(small):
    assert small.frames == ("ED", "ES")
    assert small.structures == ("RV", "MYO", "LV")
    assert small.targets["label"]["classes"] == ["DCM", "HCM", "MINF", "NOR", "RV"]
    assert small.complete().all()
    assert small.image_shape == (64, 64)
    assert small.meta["pixel_size"] == 336 / 64
    assert {"cue", "site", "area_ef", "wall_mm"} <= set(small.columns)
    assert len(small.cases("train")) == 14


def test_same_options_same_bytes_and_another_seed_others(small, folder):
    again, other = made(folder / "again"), made(folder / "other", seed=1)
    for file in sorted(p.name for p in small.path.iterdir()):
        assert (again.path / file).read_bytes() == (small.path / file).read_bytes()
    assert other.digest != small.digest


def test_the_site_moves_neither_anatomy_nor_cue(small, folder):
    b = made(folder / "site-b", site="B")
    assert (labels(b) == labels(small)).all()
    assert columns(b, "label", "split", "cue", "area_ef") == columns(
        small, "label", "split", "cue", "area_ef"
    )
    assert (pictures(b) != pictures(small)).any(axis=(1, 2, 3)).all()
    assert (small.area() == [0, 0, 64, 64]).all()
    assert (b.area() == [3, 0, 57, 64]).all()


def test_the_cue_moves_neither_anatomy_nor_noise(small, folder):
    for name, changes in (("none", {"cue": "none"}), ("weak", {"cue_strength": 0.2})):
        other = made(folder / name, **changes)
        assert (labels(other) == labels(small)).all()
        assert outside_cue_equal(small, other)


def test_anatomy_moves_neither_body_nor_cue(small, folder):
    strong = made(folder / "strong", anatomy_strength=1.0)
    assert columns(strong, "label", "split", "cue") == columns(small, "label", "split", "cue")
    assert (labels(strong) != labels(small)).any()


def cue_region(patient):
    """Where any level of the markers may change an image (64, 64) bool."""
    dark = np.zeros((2, 64, 64), np.uint8)
    found = Rendering(dark, dark, None, draw_wall(stream(0, "body", patient)), (0, 0, 64, 64))
    cue = Cue.of(SMALL)
    return np.any([add_cue(cue, found, level, stream(0, "x")) for level in range(5)], axis=(0, 1))


def outside_cue_equal(one, other):
    for patient, (a, b) in enumerate(zip(pictures(one), pictures(other), strict=True)):
        region = cue_region(patient)
        if not (a[:, ~region] == b[:, ~region]).all():
            return False
    return True


def test_twins_differ_in_the_cue_alone(small, folder):
    twin(small.path, folder / "twin")
    other = Cohort.open(folder / "twin")
    assert (other.column("cue") != small.column("cue")).all()
    assert (labels(other) == labels(small)).all()
    assert columns(other, "case", "label", "split", "area_ef") == columns(
        small, "case", "label", "split", "area_ef"
    )
    heart = labels(small) > 0
    assert (pictures(other)[heart] == pictures(small)[heart]).all()
    assert outside_cue_equal(small, other)
    assert (pictures(other) != pictures(small)).any(axis=(1, 2, 3)).all()
    assert other.meta["provenance"]["twin_of"] == small.digest
    assert other.meta["provenance"]["cue"]["expected"] is None


def test_twins_of_a_global_cue_differ_in_the_heart_too(folder):
    source = made(folder / "shaded", cue="global", patients=6)
    twin(source.path, folder / "shaded-twin")
    other = Cohort.open(folder / "shaded-twin")
    heart = labels(source) > 0
    assert (labels(other) == labels(source)).all()
    assert (pictures(other)[heart] != pictures(source)[heart]).any()


@pytest.mark.parametrize(
    ("kind", "form"),
    [("local-far", "fat"), ("local-near", "marker"), ("local-near", "wire"), ("texture", None)],
)
def test_twins_of_local_and_texture_cues_have_the_same_heart_to_the_bit(folder, kind, form):
    source = made(folder / f"{kind}-{form}", cue=kind, cue_form=form, patients=5)
    twin(source.path, folder / f"{kind}-{form}-twin")
    other = Cohort.open(folder / f"{kind}-{form}-twin")
    heart = labels(source) > 0
    assert (labels(other) == labels(source)).all()
    assert (pictures(other)[heart] == pictures(source)[heart]).all()
    assert (pictures(other) != pictures(source)).any(axis=(1, 2, 3)).all()


def test_twins_of_a_geometric_cue_have_the_same_hearts_elsewhere(folder):
    source = made(folder / "geometric", cue="geometric", patients=5)
    twin(source.path, folder / "geometric-twin")
    other = Cohort.open(folder / "geometric-twin")
    assert columns(other, "area_ef", "wall_mm") == columns(source, "area_ef", "wall_mm")
    across = [np.nonzero(labels(c))[3] for c in (source, other)]
    assert across[0].tolist() != across[1].tolist()


def test_permuted_keeps_the_levels_of_each_split_and_gives_them_to_other_cases(small, folder):
    permuted = made(folder / "permuted", cue_condition="permuted")
    for split in ("train", "test"):
        rows = small.cases(split)
        assert sorted(permuted.column("cue")[rows]) == sorted(small.column("cue")[rows])
    assert (permuted.column("cue") != small.column("cue")).any()
    assert permuted.meta["provenance"]["cue"]["expected"] == {
        "cramers_v": pytest.approx(0, abs=1e-12),
        "bayes_auc": pytest.approx(0.5),
    }


def test_options_that_were_not_asked_for_are_not_recorded(small, folder):
    assert not {"cue_form", "cue_distance"} & set(small.meta["provenance"]["phantom"])
    near = made(folder / "near", cue="local-near", cue_form="wire", cue_distance=25.0, patients=5)
    recorded = near.meta["provenance"]["phantom"]
    assert (recorded["cue_form"], recorded["cue_distance"]) == ("wire", 25.0)


@pytest.mark.parametrize("condition", ["as-trained", "independent", "permuted", "absent", "reversed"])
def test_a_twin_under_a_condition_is_the_cohort_made_under_it(small, folder, condition):
    path = folder / f"twin-{condition}"
    twin(small.path, path, condition)
    direct = made(folder / f"direct-{condition}", cue_condition=condition)
    assert Cohort.open(path).digest == direct.digest


def test_absent_has_no_marker_and_no_level(folder):
    absent = made(folder / "absent", cue_condition="absent")
    assert set(absent.column("cue")) == {""}
    assert pictures(absent).max() <= 230
    cue = absent.meta["provenance"]["cue"]
    assert cue["expected"] == {"cramers_v": 0.0, "bayes_auc": 0.5}
    assert cue["achieved"] == {**cue["expected"], "cramers_v_corrected": 0.0, "auc_left_out": 0.5}


def test_the_header_says_which_association_came_of_it(small):
    codes, _ = small.codes("label")
    level, _ = small.codes("cue")
    table = np.zeros((5, 5), int)
    np.add.at(table, (codes, level), 1)
    provenance = small.meta["provenance"]
    assert provenance["cue"]["achieved"]["cramers_v"] == pytest.approx(association(table, "cramer"))
    assert provenance["cue"]["expected"]["cramers_v"] == pytest.approx(0.9)
    assert PhantomOptions(**provenance["phantom"]) == SMALL
    for name, number in provenance["cue"]["level_of_class"].items():
        followers = small.column("cue")[small.column("label") == name]
        assert (followers == str(number)).mean() > 0.5


def test_the_smallest_images_have_complete_masks(folder):
    assert made(folder / "tiny", image_size=32, patients=40, anatomy_strength=1.0).complete().all()


def test_cm_keeps_the_papers_proportions(folder):
    cohort = made(folder / "cm", classes="cm", patients=20)
    names, counts = np.unique(cohort.column("label"), return_counts=True)
    assert dict(zip(names, counts, strict=True)) == {"ICM": 5, "NICM": 9, "AMYL": 3, "HCM": 3}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cue_strength": 1.5}, "--cue-strength: expected 0 to 1, got 1.5"),
        ({"cue_strength": float("nan")}, "--cue-strength: expected 0 to 1"),
        ({"anatomy_strength": -0.1}, "--anatomy-strength: expected 0 to 1"),
        ({"cue": "localfar"}, "unknown cue 'localfar': did you mean 'local-far'"),
        ({"cue_form": "wires"}, "unknown form of a local-far cue 'wires': did you mean 'wire'"),
        ({"cue": "texture", "cue_form": "wire"}, "--cue-form: a cue of kind 'texture' comes in one form"),
        ({"cue_distance": 5.0}, "--cue-distance: expected --cue local-near, which alone has a distance"),
        ({"cue": "local-near", "cue_distance": 99.0}, "--cue-distance: expected 0 to 60 mm, got 99.0"),
        ({"cue_condition": "reverse"}, "did you mean 'reversed'"),
        ({"classes": "ACDC"}, "unknown classes 'ACDC'"),
        ({"site": "C"}, "unknown site 'C'"),
        ({"image_size": 31}, "--image-size: expected at least 32"),
        ({"patients": 4}, "--patients: expected at least 5"),
        ({"seed": -1}, "--seed: expected 0 or more"),
    ],
)
def test_wrong_options_are_one_line_and_write_nothing(tmp_path, changes, said):
    with pytest.raises(CmrbiasError) as caught:
        make_phantom(tmp_path / "x", dataclasses.replace(SMALL, **changes))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_refused_and_kept(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(CmrbiasError, match="exists already"):
        make_phantom(tmp_path / "mine", SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_what_has_no_twin(small, folder, tmp_path):
    none = made(folder / "no-cue", cue="none", patients=5)
    with pytest.raises(CmrbiasError, match="no cue that a twin could change"):
        twin(none.path, tmp_path / "t")
    with pytest.raises(CmrbiasError, match="unknown cue condition 'gone'"):
        twin(small.path, tmp_path / "t", "gone")
    with pytest.raises(CmrbiasError):
        twin(tmp_path, tmp_path / "t")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: p.pop("phantom"), "expected a phantom cohort"),
        (lambda p: p.update(rendering=0), "version 0"),
    ],
)
def test_other_cohorts_have_no_twin(folder, tmp_path, change, said):
    source = made(tmp_path / "source", patients=5)
    meta = json.loads((source.path / "cohort.json").read_text())
    change(meta["provenance"])
    (source.path / "cohort.json").write_text(json.dumps(meta))
    with pytest.raises(CmrbiasError, match=said):
        twin(source.path, tmp_path / "t")


def test_the_default_is_made_once(tmp_path, monkeypatch):
    monkeypatch.setattr(phantom, "DEFAULT", dataclasses.replace(SMALL, patients=5))
    first = default_phantom(tmp_path / "cache")
    written = (first / "cohort.json").stat().st_mtime_ns
    assert default_phantom(tmp_path / "cache") == first
    assert (first / "cohort.json").stat().st_mtime_ns == written
    monkeypatch.setattr(phantom, "DEFAULT", dataclasses.replace(SMALL, patients=6))
    assert default_phantom(tmp_path / "cache") != first


def test_progress_counts_patients(tmp_path):
    seen = []
    make_phantom(tmp_path / "x", dataclasses.replace(SMALL, patients=5), lambda *counts: seen.append(counts))
    assert seen == [(n, 5) for n in range(1, 6)]


def test_twins_are_the_same_patients_and_other_seeds_are_not(tmp_path):
    options = dataclasses.replace(SMALL, patients=5, cue="local-far")
    make_phantom(tmp_path / "a", options)
    make_phantom(tmp_path / "b", dataclasses.replace(options, seed=options.seed + 1))
    twin(tmp_path / "a", tmp_path / "twin")
    a, b, c = (set(Cohort.open(tmp_path / name).column("patient")) for name in ("a", "b", "twin"))
    assert a == c
    assert not a & b
