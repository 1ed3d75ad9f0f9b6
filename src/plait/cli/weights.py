"""``plait weights``: bring pretrained weights to this machine, and list them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from plait.cli.options import Json, SpokenLang
from plait.cli.progress import terminal_progress
from plait.cli.speaking import Speaker, padded
from plait.cli.terminal import print_json, say

weights_app = typer.Typer(help="Pretrained weights on this machine.", no_args_is_help=True, rich_markup_mode=None)


@weights_app.command("fetch", epilog="Example: plait weights fetch minilm efficientnet-lite0")
def weights_fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Names as in 'plait weights ls'; none: the encoders of 'plait fit'."),
    ] = None,
    lang: SpokenLang = None,
    as_json: Json = False,
) -> None:
    """Bring pretrained weights to this machine (uses the network)."""
    from plait.api import default_weights, fetch_weights

    paths, tr = {}, Speaker(lang)
    for name in names or default_weights():
        with terminal_progress() as bar:
            paths[name] = str(fetch_weights(name, progress=lambda text: sys.stderr.write(tr(text) + "\n"), bar=bar))
    if as_json:
        print_json(paths)
    else:
        for name, path in paths.items():
            say(f"{name} -> {path}")


@weights_app.command("ls", epilog="Example: plait weights ls")
def weights_ls(lang: SpokenLang = None, as_json: Json = False) -> None:
    """List named weights and whether they are here."""
    from plait.api import list_weights

    found = list_weights()
    if as_json:
        print_json({"weights": found})
        return
    tr = Speaker(lang)
    for entry in found:
        here = tr("here", "weights") if entry["present"] else f"plait weights fetch {entry['name']}"
        size = f"{(entry['size'] or 0) / 1e6:6.0f} MB"
        say(f"{entry['name']:22} {padded(tr(entry['kind'], 'weights'), 8)} {size}  {entry['licence']:12} {here}")
