"""What an import drags in, and who may import whom (DESIGN 3)."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import cmrbias

PACKAGE = Path(cmrbias.__file__).parent
LAYERS = {  # a package or module -> what of cmrbias it must not import
    "api": {"cli", "training", "methods", "augmentations", "backbones", "builtin"},
    "cohorts": {"cli", "training", "methods", "backbones", "augmentations", "api"},
    "backbones": {"cli", "training", "methods", "augmentations", "cohorts"},
    "inputs": {"cli", "training", "methods", "augmentations", "cohorts", "backbones"},
    "methods": {"cli", "training", "augmentations", "cohorts", "backbones", "ops"},
    "augmentations": {"cli", "training", "methods", "cohorts", "backbones"},
    "pairings": {"cli", "training", "methods", "cohorts", "backbones"},
    "ops": {"cli", "training", "methods", "augmentations", "cohorts", "backbones", "api", "scores"},
    "scores": {"cli", "training", "methods", "augmentations", "cohorts", "backbones", "api"},
    "training": {"cli", "evaluation"},
    "evaluation": {"cli", "methods"},
    "report": {"cli", "training"},
    "studies": {"cli", "methods", "augmentations", "backbones"},
}


def imports(path: Path) -> set[str]:
    """Names of cmrbias's own modules that a file imports when it runs, wherever in it."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in found if name.startswith("cmrbias.")}


def files(part: str) -> list[Path]:
    return (
        [PACKAGE / f"{part}.py"]
        if (PACKAGE / f"{part}.py").exists()
        else sorted((PACKAGE / part).rglob("*.py"))
    )


@pytest.mark.parametrize("part", sorted(LAYERS))
def test_imports_point_one_way(part: str) -> None:
    wrong = {str(f.relative_to(PACKAGE)): imports(f) & LAYERS[part] for f in files(part)}
    assert {f: names for f, names in wrong.items() if names} == {}


def test_nothing_imports_the_command_line() -> None:
    others = [f for f in PACKAGE.rglob("*.py") if "cli" not in f.relative_to(PACKAGE).parts]
    assert [str(f) for f in others if "cli" in imports(f)] == []


@pytest.mark.parametrize(
    "statement",
    [
        "import cmrbias",
        "import cmrbias.cli.main",
        "import cmrbias.cli.pretrain",
        "import cmrbias.cli.finetune",
        "import cmrbias.cli.probe",
        "import cmrbias.cli.evaluate",
        "import cmrbias.cli.cohort",
        "import cmrbias.cli.study.compute",
        "import cmrbias.cli.plugins",
    ],
)
def test_start_up_imports_neither_torch_nor_numpy(statement: str) -> None:
    code = f"import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in json.loads(out.stdout)}
    assert loaded & {"torch", "numpy", "matplotlib", "nibabel", "pydicom", "PIL"} == set()


def test_the_tested_package_is_the_installed_one() -> None:
    checkout = Path(__file__).resolve().parents[1]
    assert PACKAGE.resolve() != checkout / "cmrbias", "install the package: the checkout shadows it"


def test_public_names_can_be_imported() -> None:
    for name in cmrbias.__all__:
        assert getattr(cmrbias, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        cmrbias.nothing  # noqa: B018
