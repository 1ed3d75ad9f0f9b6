"""``plait weights``: bring pretrained weights to this machine, and list them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

weights_app = typer.Typer(help="Pretrained weights on this machine.", no_args_is_help=True, rich_markup_mode=None)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]


def _line(text: str) -> None:
    sys.stdout.write(text + "\n")


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")


def _json(value: Any) -> None:
    _line(json.dumps(value, ensure_ascii=False))


@weights_app.command("fetch", epilog="Example: plait weights fetch minilm efficientnet-lite0")
def weights_fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Names as in 'plait weights ls'; none: the encoders of 'plait fit'."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring pretrained weights to this machine (uses the network)."""
    from plait.cli.progress import TerminalProgress
    from plait.weights import fetch

    paths = {}
    for name in names or _default_encoders():
        with TerminalProgress() as bar:
            paths[name] = str(fetch(name, progress=_tell, bar=bar))
    if as_json:
        _json(paths)
    else:
        for name, path in paths.items():
            _line(f"{name} -> {path}")


def _default_encoders() -> list[str]:
    """The named weights that runs use where nothing else is said."""
    from plait.settings import EncoderSettings
    from plait.weights import RECORDS

    return [value for value in vars(EncoderSettings()).values() if isinstance(value, str) and value in RECORDS]


@weights_app.command("ls", epilog="Example: plait weights ls")
def weights_ls(as_json: Json = False) -> None:
    """List named weights and whether they are here."""
    from plait.weights import list_weights

    found = list_weights()
    if as_json:
        _json({"weights": [{k: str(v) if isinstance(v, Path) else v for k, v in w.items()} for w in found]})
        return
    for entry in found:
        here = "here" if entry["present"] else f"plait weights fetch {entry['name']}"
        _line(
            f"{entry['name']:22} {entry['kind']:8} {(entry['size'] or 0) / 1e6:6.0f} MB  {entry['licence']:12} {here}"
        )
