"""Studies as TOML: what ships, what a user's file may say, and how it is told what is wrong."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from cmrbias.errors import CmrbiasError
from cmrbias.plugins import Plugins, plugin_manager
from cmrbias.studies.build import Study, cells_of, make_study, only
from cmrbias.studies.cells import Cell, Given, ordered
from cmrbias.studies.definition import built_in, read
from cmrbias.studies.extent import extent
from cmrbias.studies.published import published


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return plugin_manager([])


@pytest.fixture(scope="module")
def paper(plugins: Plugins) -> Study:
    return make_study(built_in(), plugins, "quick")


def flag(cell: Cell, name: str) -> str:
    return cell.options[cell.options.index(name) + 1]


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("preset", ["smoke", "quick", "default", "paper"])
def test_every_preset_of_the_paper_can_be_planned(plugins: Plugins, preset: str) -> None:
    study = make_study(built_in(), plugins, preset)
    cells = ordered(cells_of(study))
    assert {cell.kind for cell in cells} == {
        "cohort", "pretrain", "finetune", "probe", "evaluate", "saliency",
    }  # fmt: skip
    assert {cell.seed for cell in cells if cell.kind == "finetune"} == set(study.seeds)


@pytest.mark.parametrize("preset", ["quick", "default"])
def test_presets_that_measure_have_maps_of_7_cells(plugins: Plugins, preset: str) -> None:
    train = built_in().presets[preset].train
    assert train["image-size"] / train["stride"] >= 7


def test_cm_and_acdc_share_no_patient(paper: Study) -> None:
    cohorts = [paper.cohort(name) for name in ("CM", "ACDC")]
    assert all(isinstance(cohort, Cell) for cohort in cohorts)
    seeds = {flag(cohort, "--seed") for cohort in cohorts if isinstance(cohort, Cell)}
    assert len(seeds) == 2  # a phantom's patients are named by its seed


def test_transfers_start_from_what_the_paper_says(paper: Study) -> None:
    def trained(model: str, row: str) -> Cell:
        return paper.trials(model, row)[0].train

    css = trained("SimCLR", "CM -> ACDC")
    assert css.kind == "probe"
    assert css.weights == trained("SimCLR", "CM").weights
    assert isinstance(css.weights, Cell)
    assert (css.weights.kind, flag(css.weights, "--method")) == ("pretrain", "simclr")
    both = trained("SimCLR", "CM -> ACDC, css+supervised")
    assert both.weights == trained("SimCLR", "CM")
    full = trained("Full", "CM -> ACDC")
    assert (full.kind, full.weights) == ("probe", trained("Full", "CM"))
    assert full.cohort == paper.cohort("ACDC")
    assert trained("Zero", "CM -> ACDC") == trained("Zero", "ACDC")
    assert trained("Zero", "ACDC").kind == "probe"


def test_the_label_map_retrains_nothing(paper: Study) -> None:
    (trial,) = paper.trials("Full", "CM -> ACDC, label map")
    assert trial.train == paper.trials("Full", "CM")[0].train
    assert flag(trial.evaluate, "--label-map") == "ICM=MINF,NICM=DCM,HCM=HCM"
    assert trial.saliency == {}


def test_each_column_is_scored_on_its_own_input_and_on_full(paper: Study) -> None:
    assert set(paper.trials("Seg", "CM")[0].saliency) == {"heart", "full"}
    assert set(paper.trials("Rand", "CM")[0].saliency) == {"full"}
    assert paper.trials("Rand", "CM")[0].tested == "full"


def test_css_from_scratch_is_css_where_no_weights_are_given(
    plugins: Plugins, paper: Study, tmp_path: Path
) -> None:
    pair = [paper.trials(model, "CM")[0].train for model in ("SimCLR", "SimCLR-scratch")]
    assert pair[0] == pair[1]
    (tmp_path / "net.pth").write_bytes(b"weights")
    given = make_study(built_in(), plugins, "quick", imagenet=tmp_path / "net.pth")
    first, second = (given.trials(model, "CM")[0].train.weights for model in ("SimCLR", "SimCLR-scratch"))
    assert isinstance(first, Cell)
    assert isinstance(second, Cell)
    assert first.weights == Given.file(tmp_path / "net.pth")
    assert second.weights is None
    assert first.digest != second.digest


def test_full_long_sees_at_least_as_many_images_as_css(paper: Study) -> None:
    cases, frames, classes = extent(paper.cohort("CM"), None)
    assert (cases, frames, classes) == (84, 2, 4)
    css = paper.trials("SimCLR", "CM")[0].train
    long = paper.trials("Full-long", "CM")[0].train
    assert isinstance(css.weights, Cell)
    assert (flag(long, "--validation"), flag(long, "--batch")) == ("0", "8")
    supervised = cases // 8 * 8 * frames
    views = 2 * (cases * frames // 32 * 32) * int(flag(css.weights, "--epochs"))
    enough = int(flag(css, "--epochs")) * supervised + views
    epochs = int(flag(long, "--epochs"))
    assert epochs * supervised >= enough > (epochs - 1) * supervised


def test_seeds_and_presets_change_what_they_say(plugins: Plugins, paper: Study) -> None:
    three = make_study(built_in(), plugins, "quick", seeds=3)
    assert [t.train.seed for t in three.trials("Full", "CM")] == [0, 1, 2]
    assert three.trials("Full", "CM")[0].train == paper.trials("Full", "CM")[0].train
    with pytest.raises(CmrbiasError, match=r"unknown preset 'quik'.*quick"):
        make_study(built_in(), plugins, "quik")


def test_a_given_cohort_takes_the_phantoms_place(plugins: Plugins, small_cohort: Path, paper: Study) -> None:
    given = make_study(built_in(), plugins, "quick", cohorts={"ACDC": small_cohort})
    assert given.cohort("ACDC") == Given.cohort(small_cohort)
    assert given.other_data("ACDC")  # 12 cases are not the paper's 150
    assert paper.other_data("ACDC")
    its_own = dataclasses.replace(given, cohorts={"ACDC": Given("x", "aa", cases=150)})
    assert not its_own.other_data("ACDC")
    assert its_own.other_data("CM -> ACDC")  # CM is the paper's alone
    with pytest.raises(CmrbiasError, match="unknown cohort of the study 'XX'"):
        make_study(built_in(), plugins, "quick", cohorts={"XX": small_cohort})


def test_one_table_needs_fewer_cells(paper: Study) -> None:
    table3 = ordered(cells_of(only(paper, "table3")))
    assert len(table3) < len(ordered(cells_of(paper)))
    assert {cell.digest for cell in table3} <= {cell.digest for cell in ordered(cells_of(paper))}
    with pytest.raises(CmrbiasError, match="unknown table or figure 'table9'"):
        only(paper, "table9")


def test_a_file_may_start_from_the_paper(tmp_path: Path, plugins: Plugins) -> None:
    text = """
    extends = "paper"
    models.Sim = { pretrain = { method = "byol", o = ["momentum=0.9"] }, transfer = "css" }
    [tables.mine]
    columns = ["Full", "Sim"]
    rows = ["CM"]
    """
    definition = read(written(tmp_path / "my.toml", text))
    assert list(definition.tables) == ["mine"]
    assert definition.figures == {}
    study = make_study(definition, plugins, "smoke")
    css = study.trials("Sim", "CM")[0].train.weights
    assert isinstance(css, Cell)
    assert flag(css, "-o") == "momentum=0.9"


def test_a_plugins_method_is_a_value_and_its_version_counts(tmp_path: Path, tiny_plugins: Plugins) -> None:
    text = """
    extends = "paper"
    presets.smoke.train.backbone = "tiny"
    [tables.mine]
    columns = ["Full"]
    rows = ["CM"]
    """
    study = make_study(read(written(tmp_path / "my.toml", text)), tiny_plugins, "smoke")
    assert study.trials("Full", "CM")[0].train.plugins == ("dist-tiny 2.0",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tabels.x]", r"unknown section 'tabels': did you mean 'tables'"),
        ("models.A = { imput = 'full' }", r"models\.A: unknown option 'imput': did you mean 'input'"),
        ("models.A = { adapt = 'frozen' }", r"models\.A: option 'adapt': expected finetune\|linear"),
        ("models.A = 3", r"models\.A: expected a table of keys"),
        ("models.A = { transfer = 'css' }", r"models\.A: transfer 'css' needs pretrain"),
        ("rows.R = { cohort = 'X' }", r"rows\.R: unknown cohort 'X'"),
        ("rows.R = { trained-on = 'X' }", r"rows\.R: option 'cohort' is required"),
        ("tables.T = { columns = ['A'], rows = [] }", r"tables\.T: unknown model 'A'"),
        (
            "models.M = {}\ntables.T = { columns = ['M'], rows = [], against = ['N'] }",
            r"tables\.T: against: unknown column 'N'",
        ),
        ("figures.F = { columns = [{ model = 'A' }] }", r"figures\.F: unknown model 'A'"),
        (
            "cohorts.C = {}\nrows.R = { cohort = 'C', label-map = 'A=B' }\nmodels.M = {}\n"
            "figures.F = { columns = [{ model = 'M', row = 'R' }] }",
            r"figures\.F: row 'R' has a label map",
        ),
        ("extends = 'papers'", r"extends: unknown study 'papers'"),
        ("a = [", r"my\.toml: expected TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CmrbiasError, match=said):
        read(written(tmp_path / "my.toml", text))


def test_a_table_of_behaviour_has_cells_of_its_own_and_known_inputs(tmp_path: Path, paper: Study) -> None:
    behaviour = {cell.name for cell in cells_of(only(paper, "behaviour")) if "all" in cell.options}
    assert "behaviour of BG-box, CM, seed 0" in behaviour
    assert not any("all" in cell.options for cell in cells_of(only(paper, "table1")))
    text = "extends = 'paper'\ntables.T = { columns = ['Full'], rows = ['CM'], inputs = ['hart'] }"
    with pytest.raises(
        CmrbiasError, match=r"tables\.T: inputs: unknown test input 'hart': did you mean 'heart'"
    ):
        make_study(read(written(tmp_path / "my.toml", text)), paper.plugins, "quick")


@pytest.mark.parametrize(
    ("table", "measure", "row", "column", "value", "half"),
    [
        ("table1", "AUC", "ACDC", "Seg", 0.990, 0.010),
        ("table1", "DSC", "CM -> ACDC", "Rand", 0.206, 0.048),
        ("table2", "AUC", "CM -> ACDC", "SimCLR", 0.978, 0.022),
        ("table2", "AKS", "CM", "BYOL", 0.087, 0.058),
        ("table3", "AKS", "HCM", "MoCo", 0.038, 0.049),
        ("table3", "DSC", "NICM", "Seg", 0.286, 0.157),
    ],
)
def test_published_numbers(
    table: str, measure: str, row: str, column: str, value: float, half: float
) -> None:
    found = published(table, measure, row, column)
    assert found is not None
    assert (found.value, found.half) == (value, half)


def test_what_the_text_does_not_tell_is_not_beside_ours() -> None:
    assert published("table1", "AUC", "CM -> ACDC", "Zero") is None
    assert published("table1", "AUC", "CM", "Silhouette") is None
