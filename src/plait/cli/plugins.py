"""``plait plugins``: what installed packages add to Plait."""

from __future__ import annotations

from plait.cli.options import Json
from plait.cli.terminal import print_json, say

KINDS = {"fusion": "fusions", "encoder": "encoders", "task": "tasks", "metric": "metrics"}


def plugins(as_json: Json = False) -> None:
    """List installed plug-ins: the package of each, and the fusions, encoders, tasks and metrics that it brings."""
    from plait.api import list_plugins

    found = list_plugins()
    if as_json:
        print_json({"plugins": found})
        return
    for plugin in found:
        say(f"{plugin['package']} {plugin['version']}   ({plugin['plugin']} = {plugin['target']})")
        if plugin["error"] is not None:
            say(f"    broken: {plugin['error']}")
        for kind, names in plugin["brings"].items():
            say(f"    {KINDS[kind]:9} {', '.join(names)}")
        if not plugin["brings"] and plugin["error"] is None:
            say("    brings nothing: its module registers nothing")
    if not found:
        say("no plug-ins are installed; docs/plugins.md tells how to write one")
