"""What a stamp of Tux Paint shows (16 categories), from its picture, its description in two languages, and speech.

``tuxpaint_data.py`` makes the table from the Debian package (``apt-get`` must be there); French comes first because
909 of 934 stamps are described aloud in French and 65 in English: so all speech is of one language, and which language
is heard says nothing of the category. English text goes through MiniLM, Chinese through multilingual E5, pictures
through EfficientNet-Lite0, speech through the encoder of Whisper tiny.en, which has learned to hear English only; all
are frozen. 175 stamps lack Chinese, 25 speech. Test rows are few (144), and drawings of one thing stay on one side.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

import plait
from measure import arguments, interval, metric, quiet, spread, table
from plait.data.table import Table, read_table
from plait.metrics.label import classification_metrics
from tuxpaint_data import tuxpaint_table

LANGUAGES = ("fr", "en", "zh_CN")
COLUMNS = {"image": "picture", "text_en": "English", "text_zh_CN": "Chinese", "audio": "speech"}
E5 = "encoders.columns.text_zh_CN=e5-small-multilingual"
WHISPER = ["encoders.audio=whisper-tiny-en", "encoders.audio_seconds=6"]  # 99% of the clips are shorter
WAYS: dict[str, list[str]] = {
    "MiniLM for English, E5 for Chinese, Whisper": [E5, *WHISPER],
    "E5 for both languages, Whisper": ["encoders.text=e5-small-multilingual", *WHISPER],
    "MiniLM, E5, speech from scratch": [E5, "encoders.audio_seconds=6"],
}


def fit(rows: Table, settings: list[str], seed: int) -> dict[str, Any]:
    """The report of a model on all four, with one of each alone beside it."""
    return plait.fit(
        rows, "category", text=["text_en", "text_zh_CN"], image="image", audio="audio", id="id", split="split",
        ignore=["text_fr", "sound"], seed=seed, progress=quiet, set=settings,
    ).report  # fmt: skip


def majority(rows: Table) -> tuple[float, float]:
    """Accuracy and macro-F1 on the test rows of always naming the most frequent category of the training rows."""
    label, split = rows.column("category"), rows.column("split")
    truth = [name for name, part in zip(label, split, strict=True) if part == "test"]
    most = Counter(name for name, part in zip(label, split, strict=True) if part == "train").most_common(1)[0][0]
    classes = sorted(set(label))
    target = np.array([classes.index(name) for name in truth])
    found = classification_metrics(target, np.tile(np.eye(len(classes))[classes.index(most)], (len(truth), 1)))
    return float(found["accuracy"]), float(found["f1_macro"])


def show(name: str, reports: list[dict[str, Any]], guess: tuple[float, float]) -> None:
    """Two tables: all and each alone; the model of all with each pattern of what is there."""
    body = [["most frequent category", f"{guess[0]:.3f}", "", f"{guess[1]:.3f}", ""]]
    for alone in (*reports[0]["evaluation"]["alone"], None):
        row = [f"{COLUMNS[alone]} alone" if alone else "all four"]
        for wanted in ("accuracy", "f1_macro"):
            values = [r["evaluation"]["alone"][alone][wanted]["value"] if alone else metric(r, wanted) for r in reports]
            row += [spread(values), interval(reports[0], wanted, 3, alone)]
        body.append(row)
    head = [f"mean of {len(reports)} seeds (range)", "seed 0 with 95% interval"]
    print(f"\n{name}; {reports[0]['evaluation']['rows']} test rows\n")
    table(["inputs", f"accuracy, {head[0]}", head[1], f"macro-F1, {head[0]}", head[1]], body)
    print(f"\n- {reports[0]['verdict']}\n")
    body = []
    for place, first in enumerate(reports[0]["evaluation"]["missing"]["hidden"]):
        cells = [r["evaluation"]["missing"]["hidden"][place]["metrics"]["accuracy"] for r in reports]
        there = " + ".join(COLUMNS[n] for n in first["present"])
        own = f"{cells[0]['value']:.3f} [{cells[0]['low']:.3f}, {cells[0]['high']:.3f}]"
        body.append([there, spread([c["value"] for c in cells]), own, str(first["rows_with_nothing"])])
    table(["what the one model is shown", f"accuracy, {head[0]}", head[1], "rows with none of it"], body)
    seconds = [r["facts"]["seconds"] for r in reports]
    print(f"\n- {reports[0]['evaluation']['missing']['sentence']}")
    print(
        f"- seconds a run: {seconds[0]:.0f} with encoding, {statistics.median(seconds):.0f} in the middle", flush=True
    )


def main() -> None:
    """Run and print; each report is kept beside the data as it is made."""
    given = arguments(__doc__ or "", data=None, seeds=5, options={"--folder": "tuxpaint", "--ways": "2"})
    folder = Path(given.folder)
    rows = read_table(tuxpaint_table(Path(folder), LANGUAGES))
    for name in list(WAYS)[: int(given.ways)]:
        reports = []
        for seed in range(given.seeds):
            reports.append(fit(rows, WAYS[name], seed))
            value = metric(reports[-1], "accuracy")
            print(
                json.dumps({"way": name, "seed": seed, "accuracy": value, "s": reports[-1]["facts"]["seconds"]}),
                flush=True,
            )
        show(name, reports, majority(rows))


if __name__ == "__main__":
    main()
