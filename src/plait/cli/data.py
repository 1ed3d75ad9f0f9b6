"""``plait data``: ready data sets by name, written as one table and its files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plait.cli.options import Json, Quiet
from plait.cli.progress import TerminalProgress
from plait.cli.terminal import print_json, say


def data(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A ready data set: easy-vqa or tuxpaint.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write.")],
    language: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE",
            help="tuxpaint: language of the descriptions, repeat for more (default en and zh_CN); codes such as en, "
            "fr, zh_CN (simplified Chinese), zh_TW, pt_BR, sr@latin.",
        ),
    ] = None,
    from_file: Annotated[
        Path | None, typer.Option("--from", metavar="FILE.deb", help="tuxpaint: a Debian package at hand.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="tuxpaint: seed of the split (default 0).")] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Fetch a ready data set (uses the network, unless --from names a file)."""
    from plait.data.catalog.datasets import fetch_dataset, read_card

    with TerminalProgress(quiet=quiet) as progress:
        path = fetch_dataset(
            name, output, languages=language or (), from_file=from_file, seed=seed,
            progress=lambda what, done, total: progress(done, total, what),
        )  # fmt: skip
    counts = read_card(path).get("counts", {})
    if as_json:
        print_json({"name": name, "table": str(path), **({"counts": counts} if counts else {})})
    else:
        say("\n".join([f"{name} -> {path}", *(f"  {what}: {count:,}" for what, count in counts.items())]))
