"""The verb ``plait two-tower``: a ready model of texts and pictures or sounds as a model folder, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plait.cli.options import Json, SpokenLang
from plait.cli.speaking import Speaker
from plait.cli.terminal import print_json, say


def two_tower(
    reference: Annotated[str, typer.Argument(metavar="MODEL", help="hf:ID or hf:FOLDER of a joint model.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model.")],
    image: Annotated[str, typer.Option(metavar="COL", help="Column that holds pictures.")] = "image",
    text: Annotated[str, typer.Option(metavar="COL", help="Column that holds texts.")] = "caption",
    audio: Annotated[str, typer.Option(metavar="COL", help="Column that holds sounds.")] = "audio",
    dims: Annotated[
        int | None,
        typer.Option(
            "--dims", metavar="N", help="Leading coordinates to keep; left out: what the folder says, or all."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model in the folder.")] = False,
    lang: SpokenLang = None,
    as_json: Json = False,
) -> None:
    """Make a search model of a ready network that puts texts and pictures or sounds into one space, without training.

    It may be a folder of transformers (CLIP, SigLIP, CLAP and their like), of sentence-transformers or of open_clip.
    """
    from plait import api

    made = api.two_tower(reference, image=image, text=text, audio=audio, dims=dims, output=output, overwrite=overwrite)
    names = [modality.name for modality in made.modalities]
    facts = {
        "model": str(output), "reference": reference, "dim": made.dim, "columns": names,
        "fingerprint": made.fingerprint,
    }  # fmt: skip
    if as_json:
        print_json(facts)
    else:
        tr = Speaker(lang, {"modalities": names})
        wide = tr(f"{made.dim} wide, columns {', '.join(names[:-1])} and {names[-1]}")
        say(f"{reference}{tr.colon}{wide} -> {output}")
        source = "PHOTOS" if made.modalities[0].kind == "image" else "SOUNDS"
        say(f"{tr('try it')}{tr.colon}plait index build {output} {source} -o index")
