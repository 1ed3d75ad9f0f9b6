"""``plait data``: ready data sets by name, written as one table and its files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from plait.cli.progress import TerminalProgress


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
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
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
        found = {"name": name, "table": str(path), **({"counts": counts} if counts else {})}
        sys.stdout.write(json.dumps(found, ensure_ascii=False, allow_nan=False) + "\n")
        return
    sys.stdout.write("".join([f"{name} -> {path}\n", *(f"  {what}: {count:,}\n" for what, count in counts.items())]))
