"""The verb ``plait vlm``: a ready vision-language model as a model folder, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plait.cli.options import Json, one_of
from plait.cli.terminal import print_json, say


def vlm(
    reference: Annotated[str, typer.Argument(metavar="MODEL", help="hf:ID or hf:FOLDER of a vision-language model.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model; the weights stay in place.")],
    image: Annotated[str, typer.Option(metavar="COL", help="Column that holds pictures.")] = "image",
    question: Annotated[
        str | None,
        typer.Option(metavar="COL", help="Column that holds questions.", show_default="question, where there is one"),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(metavar="COL", help="Column of true answers.", show_default="answer, caption or label"),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What to ask of every picture; {question} is the row's question.")
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="NAME", help="Choose from classes by their scores; repeat it."),
    ] = None,
    score: Annotated[
        str,
        typer.Option(help="Score of a class: mean or sum over its tokens.", callback=one_of("score", ("mean", "sum"))),
    ] = "mean",
    max_tokens: Annotated[int, typer.Option(help="Longest text in tokens.")] = 64,
    dtype: Annotated[str, typer.Option(help="Weights in memory: auto, float32, bfloat16 or float16.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model in the folder.")] = False,
    as_json: Json = False,
) -> None:
    """Use a ready vision-language model (SmolVLM, Qwen-VL, LLaVA, PaliGemma, Gemma), without training."""
    from plait import api

    made = api.vlm(
        reference, image=image, question=question, target=target, prompt=prompt, classes=classes or (), score=score,
        max_tokens=max_tokens, dtype=dtype, output=output, overwrite=overwrite,
    )  # fmt: skip
    facts = {"model": str(output), "reference": reference, "task": made.task.name, "fingerprint": made.fingerprint}
    if as_json:
        print_json(facts)
        return
    say(f"{made} -> {output}")
    if made.asking.classes:
        say(f"try it: plait predict {output} TABLE -o answers.csv")
    else:
        say(f"try it: plait ask {output} photo.jpg 'what is this?', or plait caption {output} PHOTOS")
