"""What installed plug-ins and this process have brought, for ``plait plugins`` and the doctor."""

from __future__ import annotations

from typing import Any

from plait.registry import Origin, Registry, load_plugins


def open_registries() -> dict[str, Registry[Any]]:
    """The tables that others add to, by what a model folder and a list call their records."""
    from plait.encoders.load import LOADERS
    from plait.fusion import FUSIONS
    from plait.settings.added_metrics import ADDED_METRICS
    from plait.tasks import TASKS

    return {"fusion": FUSIONS, "encoder": LOADERS, "task": TASKS, "metric": ADDED_METRICS}


def list_plugins() -> list[dict[str, Any]]:
    """Every installed plug-in, loaded, and what it brings; then what this process registered, if anything.

    Returns:
        One entry a package and entry point: ``package`` ("": this process), ``version``, ``plugin`` (its name in the
        group ``plait.plugins``), ``target``, ``brings`` ({"fusion": [names], ...}) and ``error`` (None: it works).
    """
    registries = open_registries()
    found: list[dict[str, Any]] = [
        {
            "package": plugin.package, "version": plugin.version, "plugin": plugin.name, "target": plugin.target,
            "brings": _brought(registries, plugin.package, plugin.target), "error": plugin.error,
        }
        for plugin in load_plugins()
    ]  # fmt: skip
    own = _brought(registries, "", "")
    if own:
        found.append({"package": "", "version": "", "plugin": "", "target": "", "brings": own, "error": None})
    return found


def shown_origin(origin: Origin | None) -> str | None:
    """The package of a record in a list; None: Plait's own."""
    return None if origin is None else origin.package or "this process"


def _brought(registries: dict[str, Registry[Any]], package: str, target: str) -> dict[str, list[str]]:
    """Names by kind that a package brought."""
    found: dict[str, list[str]] = {}
    for what, registry in registries.items():
        origins = {name: registry.origin(name) for name in registry.names()}
        names = [name for name, origin in origins.items() if origin is not None and origin.package == package]
        if names:
            found[what] = names
    return found
