"""``cmrbias cohort phantom``."""

import pytest
from click.testing import CliRunner

from cmrbias.cli.main import make_cli
from cmrbias.cohorts.format import Cohort

SMALL = ["--patients", "10", "--image-size", "48"]


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(make_cli(), ["cohort", "phantom", *arguments])


def test_it_writes_a_cohort_and_says_what_to_run_next(call):
    result = call(
        "out", *SMALL, "--cue", "local-far", "--cue-strength", "1", "--site", "B", "--classes", "cm"
    )
    assert result.exit_code == 0, result.output
    assert "10 cases, site B, cue local-far: Cramer's V 1.000 (expected 1.000), AUC of" in result.output
    assert "next: cmrbias cohort show out" in result.output
    assert Cohort.open("out").meta["provenance"]["phantom"]["seed"] == 0


def test_twins(call):
    call("out", *SMALL, "--cue", "global")
    assert call("twin", "--twin-of", "out").exit_code == 0
    assert call("absent", "--twin-of", "out", "--cue-condition", "absent").exit_code == 0
    source, twin, absent = (Cohort.open(name) for name in ("out", "twin", "absent"))
    assert (source.column("cue") != twin.column("cue")).all()
    assert set(absent.column("cue")) == {""}


def test_a_twin_takes_no_other_option(call):
    call("out", *SMALL, "--cue", "global")
    result = call("twin", "--twin-of", "out", "--seed", "3")
    assert result.exit_code == 1
    assert result.output == "Error: --seed: a twin takes it from its cohort; leave it out with --twin-of\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cue", "globl"], "did you mean 'global'"),
        (["--cue-strength", "2"], "0<=x<=1"),
        (["--image-size", "16"], "x>=32"),
        (["--patients", "2"], "expected at least 5"),
    ],
)
def test_wrong_input_writes_nothing(call, tmp_path, arguments, said):
    result = call("out", *arguments)
    assert result.exit_code != 0
    assert said in result.output
    assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())
