"""``plugins.json`` of a model folder: names of the parts that plug-ins brought, and the check that they are here.

The file holds names alone: the kind of part, its name, the package and the module that brought it. Nothing is imported
by it; code comes from installed entry points and from what the process registered. A model without such parts has no
such file.
"""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

from plait.api.plugins.listing import open_registries
from plait.registry import load_plugins
from plait.settings.json_values import JsonObject

NAME = "plugins.json"
FORMAT = 1
PACKAGE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
WORD = re.compile(r"[A-Za-z0-9_-]{1,100}")
VERSION = re.compile(r"[A-Za-z0-9.!+_-]{1,60}|\?")
MODULE = re.compile(r"[\w.<>-]{0,200}")


def write_parts(folder: Path, select_by: str | None) -> None:
    """Write the file, if the networks and encoders that were just written to a folder use parts of plug-ins.

    Args:
        folder: A model folder, written but for this file and the manifest.
        select_by: The metric that chose the epoch.
    """
    registries = open_registries()
    parts = []
    for what, name in sorted(_named(folder, select_by)):
        registry = registries[what]
        origin = registry.origin(name) if name in registry.names() else None
        if origin is not None:
            parts.append(
                {
                    "kind": what, "name": name, "package": origin.package, "version": origin.version,
                    "module": origin.module,
                }
            )  # fmt: skip
    if parts:
        text = json.dumps({"format": FORMAT, "parts": parts}, indent=1, ensure_ascii=False)
        (folder / NAME).write_text(text + "\n", encoding="utf-8")


def read_parts(folder: Path) -> list[dict[str, Any]]:
    """The parts that the file names.

    Raises:
        ValueError: A value is missing, or of the wrong type.
    """
    of = JsonObject(NAME, json.loads((folder / NAME).read_text(encoding="utf-8")))
    registries = open_registries()
    parts: list[dict[str, Any]] = of.need("parts", lambda v: isinstance(v, list), "a list of parts")
    for number, one in enumerate(parts):
        entry = JsonObject(NAME, one, f"parts[{number}]")
        entry.need("kind", registries.__contains__, f"one of {', '.join(registries)}", hashable=True)
        entry.need("name", lambda v: _is(WORD, v), "a name")
        entry.need("package", lambda v: v == "" or _is(PACKAGE, v), "the name of a package")
        entry.need("version", lambda v: v == "" or _is(VERSION, v), "a version")
        entry.need("module", lambda v: _is(MODULE, v), "the name of a module")
    return parts


def check_parts(folder: Path, parts: list[dict[str, Any]]) -> None:
    """Refuse a model whose parts are not here, before anything of it is built.

    Raises:
        ValueError: A part is not registered: it is named with what to install or run.

    Warns:
        UserWarning: A part of that name is here, from another package than in training.
    """
    registries, missing = open_registries(), []
    for part in parts:
        registry, name = registries[part["kind"]], part["name"]
        if name not in registry:
            missing.append(part)
            continue
        origin = registry.origin(name)
        here = "Plait itself" if origin is None else origin.package
        if part["package"] and here and here != part["package"]:
            warnings.warn(
                f"the {part['kind']} {name!r} of the model in {folder} came from the package {part['package']}, and "
                f"here from {here}; its answers may differ",
                stacklevel=2,
            )
    if missing:
        packages = dict.fromkeys(part["package"] for part in missing)
        told = [_what_to_do([part for part in missing if part["package"] == package]) for package in packages]
        raise ValueError(f"the model in {folder} cannot be loaded here: {'; '.join(told)}")


def _what_to_do(parts: list[dict[str, Any]]) -> str:
    """What is missing of one package, and what to type."""
    told = "it was trained with " + ", ".join(f"the {part['kind']} {part['name']!r}" for part in parts)
    package, version = parts[0]["package"], parts[0]["version"]
    if not package:
        return (
            f"{told}, which a program registered itself (its module {parts[0]['module']!r}): load the model in that "
            "program, or make a package of what it registers, which is found everywhere (docs/plugins.md)"
        )
    named = package + ("" if version in ("", "?") else f" {version}")
    mine = [plugin for plugin in load_plugins() if plugin.package == package]
    broken = next((plugin.error for plugin in mine if plugin.error), None)
    if broken is not None:
        return f"{told} of the package {named}, which is installed here and could not be loaded ({broken})"
    if mine:
        return f"{told} of the package {named}; the version here has none: type pip install -U {package}"
    return (
        f"{told} of the package {named}, which is not installed here; install it from whoever gave you the model: what "
        f"an index offers under that name (pip install {package}) may be another's"
    )


def _named(folder: Path, select_by: str | None) -> set[tuple[str, str]]:
    """(kind, name) of every part that the written files name."""
    found = set() if select_by is None else {("metric", select_by)}
    for path in folder.rglob("config.json"):
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.get("model_type") != "plait":  # of a tokenizer
            continue
        found |= {("fusion", str(values["fusion"]["name"])), ("task", str(values["task"]))}
        inside = [m["encoder"] for m in values["modalities"] if m["encoder"] is not None]
        found |= {("encoder", str(one.get("type"))) for one in inside}
    inputs = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))
    frozen = [m["frozen"] for m in inputs["modalities"] if m["frozen"] is not None]
    return found | {("encoder", str(one["reference"]).partition(":")[0]) for one in frozen}


def _is(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
