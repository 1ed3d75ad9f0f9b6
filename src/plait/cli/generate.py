"""``plait caption`` and ``plait ask``: a picture in, words out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plait.cli.options import AllowOutside, AllowRemote, Json, Quiet, SpokenLang, WritingModel
from plait.cli.progress import terminal_progress
from plait.cli.speaking import Speaker
from plait.cli.terminal import print_json, reasons, say
from plait.cli.wording import as_typed

if TYPE_CHECKING:
    from plait.api import Plait, VisionLanguageModel

ANSWERS_QUESTIONS = ("vqa", "vqa_open")
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
Beams = Annotated[int | None, typer.Option(help="Beams of the search; default: as the model was judged.")]
Tokens = Annotated[int | None, typer.Option(help="Longest text in tokens; default: as in training.")]
Temperature = Annotated[float | None, typer.Option(help="Sample at this temperature.")]
TopP = Annotated[float | None, typer.Option("--top-p", help="Sample from the likeliest tokens of this share.")]
Seed = Annotated[int | None, typer.Option(help="Seed of sampling.")]


def caption(
    model: WritingModel,
    source: Annotated[Path, typer.Argument(metavar="IMG|FOLDER|TABLE", help="A picture, a folder, or a table.")],
    beams: Beams = None,
    length_penalty: Annotated[float, typer.Option(help="With beams; above 0 favours long texts.")] = 1.0,
    max_tokens: Tokens = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    seed: Seed = None,
    allow_outside: AllowOutside = False,
    allow_remote: AllowRemote = False,
    lang: SpokenLang = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Describe a picture, every picture of a folder, or every row of a table."""
    from plait.api import load

    files, table = _pictures(source)
    fitted = load(model)
    if table is None:
        table = {_column(fitted, "image"): [str(f) for f in files]}
    with terminal_progress(quiet=quiet or len(files) == 1) as progress:
        made = fitted.generate(
            table, beams=_beams(fitted, beams, temperature, top_p), length_penalty=length_penalty,
            max_new_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=seed,
            allow_outside=allow_outside or bool(files), allow_remote=allow_remote, progress=progress,
        )  # fmt: skip
    rows = [
        {**({"image": str(files[i])} if files else {"row": row["row"]}), "caption": row["prediction"],
         "log_probability": row["log_probability"], "probability": row["probability"],
         "problem": row["problem"]}
        for i, row in enumerate(made.to_pylist())
    ]  # fmt: skip
    if as_json:
        print_json({"captions": [{**row, "problem": row["problem"] and as_typed(row["problem"])} for row in rows]})
    else:
        tr = Speaker(lang)
        for row in rows:
            name = row.get("image", row.get("row"))
            text = row["caption"] if row["caption"] is not None else f"({reasons(tr.problem(row['problem']))})"
            say(text if len(rows) == 1 else f"{name}\t{text}")
    if rows and all(row["caption"] is None for row in rows):
        raise typer.Exit(2)


def ask(
    model: WritingModel,
    image: Annotated[Path, typer.Argument(metavar="IMG", help="A picture.")],
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What to ask about it.")],
    beams: Beams = None,
    max_tokens: Tokens = None,
    answers: Annotated[
        list[str] | None, typer.Option("--answer", metavar="TEXT", help="An allowed answer; repeat it.")
    ] = None,
    lang: SpokenLang = None,
    as_json: Json = False,
) -> None:
    """Ask a question about a picture."""
    from plait.api import VisionLanguageModel, load

    if not question.strip():
        raise ValueError("the question is empty; type one, such as 'what colour is the circle?'")
    if not image.is_file():
        raise ValueError(f"no picture at {image}")
    fitted = load(model)
    if isinstance(fitted, VisionLanguageModel):
        fitted.check_asks()
    elif fitted.task.name not in ANSWERS_QUESTIONS:
        reads = ", ".join(column for m in fitted.inputs.modalities for column in m.columns)
        raise ValueError(
            f"this model's task is {fitted.task.name}, which answers no questions; put what it reads ({reads}) into a "
            f"table and type plait predict {model} TABLE -o OUT, or train one that answers with task='vqa'"
        )
    table = {_column(fitted, "image"): [str(image)], _column(fitted, "text"): [question]}
    if fitted.task.family.writes:
        made = fitted.generate(
            table,
            beams=_beams(fitted, beams, None, None),
            max_new_tokens=max_tokens,
            answers=answers or None,
            allow_outside=True,
        )
    elif answers or beams or max_tokens:
        raise ValueError("this model chooses from its own answers; leave --answer, --beams and --max-tokens out")
    else:
        made = fitted.predict(table, allow_outside=True)
    row = made.to_pylist()[0]
    if row["prediction"] is None or row["problem"]:
        raise ValueError(str(row["problem"]))
    if as_json:
        print_json({"question": question, "answer": row["prediction"], "probability": row["probability"]})
    else:
        say(f"{row['prediction']}")


def _pictures(source: Path) -> tuple[list[Path], Any]:
    """The pictures that the source names, or the source itself as a table."""
    if source.is_dir():
        files = sorted(p for p in source.rglob("*") if p.suffix.lower() in PICTURES and p.is_file())
        if not files:
            raise ValueError(f"no picture in {source}; looked for {', '.join(PICTURES)}")
        return files, None
    if not source.exists():
        raise ValueError(f"no picture, folder or table at {source}")
    return ([source], None) if source.suffix.lower() in PICTURES else ([], str(source))


def _column(fitted: Plait | VisionLanguageModel, kind: str) -> str:
    """The model's only input column of a kind."""
    names = [m.name for m in fitted.modalities if m.kind == kind]
    if len(names) != 1:
        has = ", ".join(f"{m.name} ({m.kind})" for m in fitted.modalities)
        raise ValueError(
            f"this takes a model with one {kind} column, but this one reads {has}; put its columns into a table and "
            "type plait predict"
        )
    return names[0]


def _beams(
    fitted: Plait | VisionLanguageModel, beams: int | None, temperature: float | None, top_p: float | None
) -> int:
    if beams is not None:
        return beams
    return 1 if temperature is not None or top_p is not None else fitted.beams
