"""The verb ``plait two-tower``: a ready two-tower model as a model folder, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plait.cli.options import Json
from plait.cli.terminal import print_json, say


def two_tower(
    reference: Annotated[str, typer.Argument(metavar="MODEL", help="hf:ID or hf:FOLDER of a CLIP, SigLIP or CLAP.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model.")],
    image: Annotated[str, typer.Option(metavar="COL", help="Column that holds pictures.")] = "image",
    text: Annotated[str, typer.Option(metavar="COL", help="Column that holds texts.")] = "caption",
    audio: Annotated[str, typer.Option(metavar="COL", help="Column that holds sounds (CLAP).")] = "audio",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model in the folder.")] = False,
    as_json: Json = False,
) -> None:
    """Make a search model of a ready two-tower network (CLIP, SigLIP, CLAP), without training."""
    from plait import api

    made = api.two_tower(reference, image=image, text=text, audio=audio, output=output, overwrite=overwrite)
    other = made.modalities[0]
    facts = {"model": str(output), "reference": reference, "dim": made.dim, "fingerprint": made.fingerprint}
    if as_json:
        print_json(facts)
    else:
        say(f"{reference}: {made.dim} wide, columns {other.name} and {text} -> {output}")
        say(f"try it: plait index build {output} {'PHOTOS' if other.kind == 'image' else 'SOUNDS'} -o index")
