"""Plugins: found by entry points, loaded one by one, faults isolated and reported."""

from __future__ import annotations

import importlib.metadata
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from cmrbias import hookimpl
from cmrbias.errors import CmrbiasError
from cmrbias.hookspecs import hookspec
from cmrbias.plugins import Origin, Plugins, plugin_manager
from cmrbias.registry import KINDS


def module(**functions: Callable[..., Any]) -> types.ModuleType:
    made = types.ModuleType("a_plugin")
    for name, function in functions.items():
        setattr(made, name, hookimpl(function))
    return made


def offering(name: str, thing: Any = object) -> types.ModuleType:
    return module(register_methods=lambda register: register(name, thing))


@pytest.fixture
def plugins() -> Plugins:
    return plugin_manager(entry_points=[])


def test_the_manager_is_made_anew_each_time() -> None:
    first, second = plugin_manager([]), plugin_manager([])
    first.add(offering("mine"), Origin("p", "dist-p", "1"))
    assert "mine" in first.registry("methods")
    assert "mine" not in second.registry("methods")


def test_built_ins_are_there_for_every_kind(plugins: Plugins) -> None:
    names = {kind: plugins.registry(kind).names() for kind in KINDS}
    assert names["methods"] == ["byol", "moco", "simclr"]
    assert names["backbones"] == ["densenet121", "resnet10", "resnet18", "resnet50"]
    assert names["readers"] == ["acdc", "chexpert", "dicom", "table"]
    assert names["tasks"] == ["classify", "pretrain", "probe"]
    assert {"same-image", "same-case"} <= set(names["pairings"])
    assert {"background-swap", "contrast", "crop", "flip", "rotate"} <= set(names["augmentations"])
    assert not plugins.faults


def test_every_registration_hook_has_a_kind() -> None:
    from cmrbias import hookspecs

    hooks = {n.removeprefix("register_") for n in vars(hookspecs) if n.startswith("register_")}
    assert hooks == set(KINDS)


def test_an_unknown_name_suggests_the_nearest(plugins: Plugins) -> None:
    with pytest.raises(CmrbiasError, match="unknown method 'moko': did you mean 'moco'"):
        plugins.registry("methods").get("moko")


def test_a_plugin_that_raises_in_a_hook_offers_nothing_and_the_rest_works(plugins: Plugins) -> None:
    def broken(register: Callable[[str, Any], None]) -> None:
        register("half", object)
        raise RuntimeError("no luck")

    plugins.add(module(register_methods=broken), Origin("bad", "dist-bad", "1"))
    plugins.add(offering("good"), Origin("good", "dist-good", "1"))
    registry = plugins.registry("methods")
    assert "good" in registry
    assert "half" not in registry
    (fault,) = registry.faults
    assert (fault.plugin, fault.distribution, fault.when) == ("bad", "dist-bad", "register_methods")
    assert "no luck" in fault.message
    with pytest.raises(CmrbiasError, match="could not be used: bad"):
        registry.get("half")


def test_a_name_offered_twice_is_registered_for_neither_and_both_are_named(plugins: Plugins) -> None:
    plugins.add(offering("moco"), Origin("late", "dist-late", "1"))
    registry = plugins.registry("methods")
    assert "moco" not in registry
    assert "simclr" in registry
    with pytest.raises(
        CmrbiasError, match=r"'moco' is offered by cmrbias \(builtin\) and dist-late \(late\)"
    ):
        registry.get("moco")


def test_a_misspelled_hook_is_a_fault(plugins: Plugins) -> None:
    plugins.add(module(register_method=lambda register: None), Origin("typo", "dist-typo", "1"))
    assert [f.plugin for f in plugins.faults] == ["typo"]
    assert "register_method" in plugins.faults[0].details
    assert "moco" in plugins.registry("methods")
    assert not plugins.manager.has_plugin("typo")


def test_a_hook_with_a_wrong_argument_is_a_fault(plugins: Plugins) -> None:
    plugins.add(module(register_methods=lambda wrong: None), Origin("args", "dist-args", "1"))
    assert [f.plugin for f in plugins.faults] == ["args"]
    assert not plugins.manager.has_plugin("args")
    plugins.add(offering("fine"), Origin("fine", "dist-fine", "1"))
    assert "fine" in plugins.registry("methods")


def test_a_plugin_name_taken_is_a_fault(plugins: Plugins) -> None:
    plugins.add(offering("one"), Origin("same", "dist-1", "1"))
    plugins.add(offering("two"), Origin("same", "dist-2", "1"))
    assert plugins.registry("methods").names().count("one") == 1
    assert "two" not in plugins.registry("methods")
    assert "taken by dist-1" in plugins.faults[0].message


@pytest.mark.parametrize("name", ["", "with space", 3])
def test_a_bad_name_is_a_fault(plugins: Plugins, name: Any) -> None:
    plugins.add(offering(name), Origin("odd", "dist-odd", "1"))
    assert plugins.registry("methods").faults[0].plugin == "odd"


@pytest.mark.parametrize(
    "statement", ["raise RuntimeError('broken')", "import not_there", "raise SystemExit(3)", "def ("]
)
def test_an_entry_point_that_cannot_be_imported_is_a_fault(
    statement: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cmrbias_broken_plugin.py").write_text(statement)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("cmrbias_broken_plugin", None)
    entry_point = importlib.metadata.EntryPoint("broken", "cmrbias_broken_plugin", "cmrbias")
    plugins = plugin_manager([entry_point])
    assert [(f.plugin, f.when) for f in plugins.faults] == [("broken", "load")]
    assert "moco" in plugins.registry("methods")


def test_hooks_may_take_fewer_arguments(plugins: Plugins) -> None:
    called = []
    plugins.add(module(on_run_end=lambda run: called.append(run)), Origin("few", "dist-few", "1"))
    for implementation, _ in plugins.implementations("on_run_end"):
        implementation(run="r", error=None)
    assert called == ["r"]


def test_built_ins_use_only_the_public_hooks() -> None:
    from cmrbias import builtin, hookspecs

    public = {name for name in vars(builtin) if not name.startswith("_") and callable(vars(builtin)[name])}
    hooks = {n for n in vars(hookspecs) if n.startswith("register_")}
    assert {n for n in public if n.startswith("register_")} == hooks
    assert hookspec  # the marker is public: a plugin may offer hooks of its own
