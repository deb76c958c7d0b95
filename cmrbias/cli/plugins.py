"""``cmrbias plugins``: what is installed, what it offers, what is wrong with it."""

from __future__ import annotations

import dataclasses
import inspect
import json
from typing import Any

import click

from cmrbias.errors import unknown
from cmrbias.options import describe, options_of
from cmrbias.plugins import GROUP, Plugins, installed, origin_of
from cmrbias.registry import KINDS, Entry


@click.group()
def command() -> None:
    """List plugins and show what they offer."""


@command.command("list")
@click.option("--load", is_flag=True, help="Load the plugins: also list what each registers, and faults.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def list_(ctx: click.Context, load: bool, as_json: bool) -> None:
    """List installed plugins, from metadata alone unless --load."""
    rows = [_metadata(e) for group in (GROUP, f"{GROUP}.commands") for e in installed(group)]
    result: dict[str, Any] = {"plugins": rows}
    if load:
        result |= _loaded(ctx.obj())
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    click.echo("built-in  (cmrbias plugins list --load lists what everything registers)")
    for row in rows:
        click.echo(f"{row['name']}  {row['distribution']} {row['version']}  {row['group']}: {row['value']}")
    for kind, entries in result.get("registered", {}).items():
        click.echo(f"{kind}: " + ", ".join(_labelled(e) for e in entries))
    for fault in result.get("faults", []):
        click.echo(
            f"fault in {fault['plugin']} ({fault['distribution']}), {fault['when']}: {fault['message']}"
        )
    for clash in result.get("clashes", []):
        click.echo(f"clash: {clash}")


@command.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def show(ctx: click.Context, name: str, as_json: bool) -> None:
    """Show what NAME is: a method, augmentation, ... with its options and recipes, or a plugin."""
    plugins: Plugins = ctx.obj()
    registries = {kind: plugins.registry(kind) for kind in KINDS}
    entries = [e for registry in registries.values() for e in registry]
    found = [e for e in entries if name in (e.name, e.plugin, e.distribution)]
    faults = [f for f in _faults(plugins) if name in (f["plugin"], f["distribution"])]
    for registry in registries.values():
        if name in registry.clashes:
            registry.get(name)  # raises, naming both
    if not found and not faults:
        raise unknown("plugin or registered name", name, {e.name for e in entries} | set(plugins.origins))
    shown = [_described(e) for e in found]
    if as_json:
        click.echo(json.dumps({"registered": shown, "faults": faults}, indent=2, default=str))
        return
    for entry in shown:
        _print(entry)
    for fault in faults:
        click.echo(f"fault, {fault['when']}:\n{fault['details']}")


def _metadata(entry_point: Any) -> dict[str, str]:
    origin = origin_of(entry_point)
    return {
        "name": entry_point.name,
        "distribution": origin.distribution,
        "version": origin.version,
        "group": entry_point.group,
        "value": entry_point.value,
    }


def _loaded(plugins: Plugins) -> dict[str, Any]:
    registries = {kind: plugins.registry(kind) for kind in KINDS}
    return {
        "registered": {
            kind: [{"name": e.name, "distribution": e.distribution} for e in registry]
            for kind, registry in registries.items()
        },
        "faults": _faults(plugins),
        "clashes": [
            f"{KINDS[kind]} {name!r}: neither of {', '.join(e.distribution for e in both)} is used"
            for kind, registry in registries.items()
            for name, both in registry.clashes.items()
        ],
    }


def _faults(plugins: Plugins) -> list[dict[str, str]]:
    """Returns each fault once: those of loading and those of each kind's registration."""
    faults = [f for kind in KINDS for f in plugins.registry(kind).faults]
    return [dataclasses.asdict(f) for f in dict.fromkeys([*plugins.faults, *faults])]


def _described(entry: Entry) -> dict[str, Any]:
    recipes = getattr(entry.thing, "recipes", {})
    return {
        "kind": KINDS[entry.kind],
        "name": entry.name,
        "distribution": entry.distribution,
        "version": entry.version,
        "summary": (inspect.getdoc(entry.thing) or "").split("\n")[0],
        "options": [dataclasses.asdict(o) for o in describe(options_of(entry.thing))],
        "recipes": {name: dataclasses.asdict(recipe) for name, recipe in recipes.items()},
    }


def _print(entry: dict[str, Any]) -> None:
    click.echo(f"{entry['kind']} {entry['name']}  ({entry['distribution']} {entry['version']})")
    click.echo(f"  {entry['summary']}")
    for o in entry["options"]:
        default = "required" if o["required"] else f"default {_plain(o['default'])}"
        click.echo(f"  {o['name']:<22} {o['type']:<14} {default:<20} {o['help']}")
    for name, recipe in entry["recipes"].items():
        values = "  ".join(f"{key}={_plain(value)}" for key, value in recipe.items())
        click.echo(f"  recipe {name}: {values}")


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_plain(v)}" if v != {} else str(k) for k, v in value.items()) + "}"
    return str(value)


def _labelled(entry: dict[str, str]) -> str:
    return entry["name"] + ("" if entry["distribution"] == "cmrbias" else f" ({entry['distribution']})")
