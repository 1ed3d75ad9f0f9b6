"""The verb ``plait vlm``: a ready vision-language model as a model folder, as it is or tuned on a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from plait.cli import STARTED, options
from plait.cli.options import Json, one_of
from plait.cli.progress import terminal_progress
from plait.cli.report import show_report
from plait.cli.speaking import Speaker
from plait.cli.terminal import AGAIN, NOTHING_KEPT, print_json, resumable, say

ONLY_WITH_FIT = (
    "task", "split", "group", "epochs", "seed", "time_limit", "set", "resume", "on_bad_row", "annotations", "format",
    "encoding", "allow_outside", "allow_remote",
)  # fmt: skip


def vlm(
    context: typer.Context,
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
    fit: Annotated[
        str | None,
        typer.Option(
            metavar="TABLE", help="Tune it on this table with LoRA; else it stays as it is.", callback=options.there
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="With --fit, classification: the classes are those of the target.",
            callback=one_of("task", ("classification",), "--task"),
        ),
    ] = None,
    split: options.Split = None,
    group: options.Group = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training rows.", show_default="3, more on small tables")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.", show_default="0")] = None,
    time_limit: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How long all of it may take: 90s, 10m, 2h.", show_default="none"),
    ] = None,
    format: options.Format = None,
    encoding: options.Encoding = None,
    annotations: options.Annotations = None,
    on_bad_row: options.BadRows = None,
    allow_outside: options.AllowOutside = False,
    allow_remote: options.AllowRemote = False,
    set: options.Settings = None,
    lang: options.Lang = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model in the folder.")] = False,
    quiet: options.Quiet = False,
    as_json: Json = False,
) -> None:
    """Use a ready vision-language model (SmolVLM, Qwen-VL, LLaVA, PaliGemma, Gemma) as it is, or tune it (--fit)."""
    from plait import api

    if fit is None:
        if given := [f"{name}=" for name in ONLY_WITH_FIT if context.params[name] not in (None, False, (), [])]:
            raise ValueError(f"{', '.join(given)} goes with a table to learn from; name it: fit=TABLE")
    else:
        model = api.vlm(
            reference, image=image, question=question, target=target, prompt=prompt, classes=classes or (), score=score,
            max_tokens=max_tokens, dtype=dtype,
        )  # fmt: skip
        _tune(context, model, output, fit, quiet=quiet, as_json=as_json, lang=lang, resume=resume)
        return
    made = api.vlm(
        reference, image=image, question=question, target=target, prompt=prompt, classes=classes or (), score=score,
        max_tokens=max_tokens, dtype=dtype, output=output, overwrite=overwrite,
    )  # fmt: skip
    facts = {"model": str(output), "reference": reference, "task": made.task.name, "fingerprint": made.fingerprint}
    if as_json:
        print_json(facts)
        return
    say(f"{made} -> {output}")
    tr = Speaker(lang)
    if made.asking.classes:
        say(f"{tr('try it')}{tr.colon}plait predict {output} TABLE -o answers.csv")
    else:
        for command in (f"plait ask {output} photo.jpg 'what is this?'", f"plait caption {output} PHOTOS"):
            say(f"{tr('try it')}{tr.colon}{command}")


def _tune(
    context: typer.Context, model: Any, output: Path, table: str, *, quiet: bool, as_json: bool, lang: str | None,
    resume: bool,
) -> None:  # fmt: skip
    """Tune the model on a table and show its report."""
    from plait import api

    given = options.passed_on(context, model.fit)
    with (
        resumable(AGAIN if resume else NOTHING_KEPT),
        terminal_progress(quiet=quiet) as progress,
        api.counted_from(STARTED),
    ):
        model.fit(table, **given, progress=progress)
    show_report(model.report, as_json, {"model": str(output), "report": str(output / "report.html")}, lang)
