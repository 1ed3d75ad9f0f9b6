"""``plait data``: ready data sets by name, written as one table and its files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plait.cli.options import Json, Quiet, SpokenLang
from plait.cli.progress import terminal_progress
from plait.cli.terminal import print_json, say


def data(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A ready data set: easy-vqa.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write.")],
    lang: SpokenLang = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Fetch a ready data set (uses the network)."""
    from plait.data.catalog.datasets import fetch_dataset

    with terminal_progress(quiet=quiet) as progress:
        path = fetch_dataset(name, output, progress=progress)
    if as_json:
        print_json({"name": name, "table": str(path)})
    else:
        say(f"{name} -> {path}")
