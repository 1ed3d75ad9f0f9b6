"""The verb ``plait two-tower``: a ready two-tower model as a model folder, without training."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def two_tower(
    reference: Annotated[str, typer.Argument(metavar="MODEL", help="hf:ID or hf:FOLDER of a CLIP, SigLIP or CLAP.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model.")],
    image: Annotated[str, typer.Option(metavar="COL", help="Column that holds pictures.")] = "image",
    text: Annotated[str, typer.Option(metavar="COL", help="Column that holds texts.")] = "caption",
    audio: Annotated[str, typer.Option(metavar="COL", help="Column that holds sounds (CLAP).")] = "audio",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Make a search model of a ready two-tower network (CLIP, SigLIP, CLAP), without training."""
    from plait.api import dual_encoder

    made = dual_encoder.two_tower(reference, image=image, text=text, audio=audio, output=output)
    other = made.modalities[0]
    facts = {"model": str(output), "reference": reference, "dim": made.dim, "fingerprint": made.fingerprint}
    if as_json:
        sys.stdout.write(json.dumps(facts) + "\n")
    else:
        sys.stdout.write(
            f"{reference}: {made.dim} wide, columns {other.name} and {text} -> {output}\n"
            f"try it: plait index build {output} {'PHOTOS' if other.kind == 'image' else 'SOUNDS'} -o index\n"
        )
