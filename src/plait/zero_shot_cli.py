"""The verb ``zero-shot``: a ready two-tower model as a model folder, without training."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def zero_shot(
    reference: Annotated[str, typer.Argument(metavar="MODEL", help="hf:ID or hf:FOLDER, such as a CLIP or SigLIP.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model.")],
    image: Annotated[str, typer.Option(metavar="COL", help="Column that holds pictures.")] = "image",
    text: Annotated[str, typer.Option(metavar="COL", help="Column that holds texts.")] = "caption",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Make a search model of a ready two-tower network (CLIP, SigLIP), without training."""
    from plait.zero_shot import two_tower

    made = two_tower(reference, image=image, text=text, output=output)
    facts = {"model": str(output), "reference": reference, "dim": made.dim, "fingerprint": made.fingerprint}
    if as_json:
        sys.stdout.write(json.dumps(facts) + "\n")
    else:
        sys.stdout.write(
            f"{reference}: {made.dim} wide, columns {image} and {text} -> {output}\n"
            f"try it: plait evaluate {output} TABLE\n"
        )
