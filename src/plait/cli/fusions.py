"""``plait fusions``: every fusion method that there is."""

from __future__ import annotations

from plait.cli.options import Json
from plait.cli.terminal import print_json, say


def fusions(as_json: Json = False) -> None:
    """List every fusion method: what it can express, its equation and its paper."""
    from plait.api import list_fusions

    found = list_fusions()
    if as_json:
        print_json({"fusions": found})
        return
    for record in found:
        kinds = record["interaction"] + ", late" * record["late"] + ", reads tokens" * record["tokens"]
        whose = f"\n    of the plug-in {record['package']}" if record["package"] else ""
        say(f"{record['name']:20} {kinds}\n    {record['equation']}\n    {record['paper']}{whose}")
