"""The measure of the plugin system: SimSiam in one file of 40 lines and a pyproject of 10."""

from __future__ import annotations

from pathlib import Path

PLUGIN = Path(__file__).resolve().parents[1] / "plugins" / "cmrbias-example"


def test_the_example_is_as_short_as_promised() -> None:
    (module,) = PLUGIN.glob("*.py")
    assert len(module.read_text().splitlines()) <= 40
    assert len((PLUGIN / "pyproject.toml").read_text().splitlines()) <= 10


def test_the_example_uses_the_public_api_alone() -> None:
    (module,) = PLUGIN.glob("*.py")
    used = [line for line in module.read_text().splitlines() if "cmrbias" in line and "import" in line]
    assert used
    assert all(line.startswith("from cmrbias.api import") for line in used)
