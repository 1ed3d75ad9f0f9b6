"""``plait fusions``: every fusion method that there is."""

from __future__ import annotations

from plait.cli.options import Json, SpokenLang
from plait.cli.speaking import Speaker
from plait.cli.terminal import print_json, say


def fusions(lang: SpokenLang = None, as_json: Json = False) -> None:
    """List every fusion method: what it can express, its equation and its paper."""
    from plait.api import list_fusions

    found = list_fusions()
    if as_json:
        print_json({"fusions": found})
        return
    tr = Speaker(lang)
    for record in found:
        kinds = [record["interaction"], *["late"] * record["late"], *["reads tokens"] * record["tokens"]]
        of = tr(f"of the plug-in {record['package']}")
        whose = f"\n    {of}" if record["package"] else ""
        told = tr.listed(tr(kind, "fusion") for kind in kinds)
        say(f"{record['name']:20} {told}\n    {tr(record['equation'], 'line')}\n    {record['paper']}{whose}")
