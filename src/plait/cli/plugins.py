"""``plait plugins``: what installed packages add to Plait."""

from __future__ import annotations

from plait.cli.options import Json, SpokenLang
from plait.cli.speaking import Speaker, padded
from plait.cli.terminal import print_json, say

KINDS = {"fusion": "fusions", "encoder": "encoders", "task": "tasks", "metric": "metrics"}


def plugins(lang: SpokenLang = None, as_json: Json = False) -> None:
    """List installed plug-ins: the package of each, and the fusions, encoders, tasks and metrics that it brings."""
    from plait.api import list_plugins

    found, tr = list_plugins(), Speaker(lang)
    if as_json:
        print_json({"plugins": found})
        return
    for plugin in found:
        say(f"{plugin['package']} {plugin['version']}   ({plugin['plugin']} = {plugin['target']})")
        if plugin["error"] is not None:
            say(f"    {tr('broken', 'plugin')}{tr.colon}{plugin['error']}")
        for kind, names in plugin["brings"].items():
            say(f"    {padded(tr(KINDS[kind], 'plugin'), 9)} {', '.join(names)}")
        if not plugin["brings"] and plugin["error"] is None:
            say(tr("    brings nothing: its module registers nothing"))
    if not found:
        say(tr("no plug-ins are installed; docs/plugins.md tells how to write one"))
