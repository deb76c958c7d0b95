"""The plugin is one like any other: it imports public names of cmrbias alone."""

from __future__ import annotations

import ast
from pathlib import Path

import cmrbias_medaug

PUBLIC = {"cmrbias", "cmrbias.api", "cmrbias.methods"}


def test_only_public_names_are_imported() -> None:
    used = set()
    for path in Path(cmrbias_medaug.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            used |= {name for name in names if name.partition(".")[0] == "cmrbias"}
    assert used == PUBLIC
