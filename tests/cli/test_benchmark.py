"""``cmrbias benchmark``: a table a kernel."""

import sys

import pytest
from click.testing import CliRunner

from cmrbias.cli.main import make_cli
from cmrbias.plugins import plugin_manager


def run(*words):
    return CliRunner().invoke(make_cli(lambda: plugin_manager([])), ["benchmark", *words])


@pytest.mark.parametrize(
    ("words", "heads"),
    [
        (["saliency", "--images", "4"], ["malloc tuned", "maps -> AKS, DSC", "torch eager", "one image"]),
        (["swap", "--cases", "4"], ["fill=inpaint", "torch.where", "bytes / bandwidth"]),
        (["auc", "--cases", "24", "--resamples", "8"], ["numpy, vectorised", "scikit-learn", "50000 cases"]),
    ],
)
def test_prints_a_table_with_every_way(words, heads):
    result = run(*words, "--repeats", "1")
    assert result.exit_code == 0, result.output
    for head in heads:
        assert head in result.output


def test_a_figure_of_time_against_images(tmp_path):
    pytest.importorskip("matplotlib")
    file = tmp_path / "new" / "growth.png"
    result = run("saliency", "--images", "4", "--repeats", "1", "--figure", str(file))
    assert result.exit_code == 0, result.output
    assert file.read_bytes().startswith(b"\x89PNG")
    assert str(file) in result.output


def test_a_figure_that_cannot_be_drawn_is_refused_before_anything_is_timed(tmp_path):
    result = run("saliency", "--figure", str(tmp_path / "growth.gif"))
    assert result.exit_code == 1
    assert "expected the name of a .png file, got 'growth.gif'" in result.output
    (tmp_path / "file").touch()
    result = run("saliency", "--figure", str(tmp_path / "file" / "growth.png"))
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")


def test_a_figure_without_matplotlib_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run("saliency", "--figure", str(tmp_path / "growth.png"))
    assert result.exit_code == 1
    assert "drawing a figure needs the package 'matplotlib'" in result.output
    assert "cmrbias[report]" in result.output


def test_wrong_numbers_are_usage_errors():
    result = run("auc", "--repeats", "0")
    assert result.exit_code == 2
    assert "0 is not in the range x>=1" in result.output
