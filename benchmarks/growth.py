"""How processor time grows with rows, modalities and tokens: encoding, training, predicting.

Each line is one way to make the work larger by doubling it; its exponent is the slope of log(seconds) over log(size),
1 where time is in proportion. Fixed costs (evaluation's bootstrap, opening a model) make it smaller, what looks at
pairs makes it larger: so the last doubling stands beside it. Ranges are over repeats, which go through all sizes in
turn; each line works once before it is measured. Needs the weights ``minilm`` and ``efficientnet-lite0`` (for pictures,
which grow by rows alone and are not drawn); training and predicting use encoders from scratch. ``--kept`` names a file
of what was measured, which a later run goes on with. ``--lines`` names lines by what grows.

Run: python benchmarks/growth.py [--repeats 2] [--only encode,fit,predict] [--kept FILE]
    [--lines rows,pictures,modalities,tokens] [--picture docs/pictures/growth.png]     (minutes)
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
import random
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from measure import arguments, table

os.environ.setdefault("HF_HUB_OFFLINE", "1")
WORDS = "red green blue sky road house river stone light cloud bird tree old new warm cold".split()
ROWS = {"encode": [128, 256, 512, 1024], "fit": [500, 1000, 2000, 4000], "predict": [2000, 4000, 8000, 16000]}
PICTURES = [64, 128, 256, 512]
MODALITIES = [1, 2, 4, 8]
TOKENS = {"encode": [16, 32, 64, 128], "fit": [8, 16, 32, 64], "predict": [8, 16, 32, 64]}
SET = ["encoders.text=scratch:text", "train.threads=1", "train.baselines=false"]


def rows_of(count: int, modalities: int = 2, tokens: int = 12) -> list[dict[str, Any]]:
    """A number where there are two modalities, else texts alone; a label that depends on the first text."""
    draw = random.Random(count)
    made = []
    for _ in range(count):
        names = ["text"] if modalities <= 2 else [f"text{i}" for i in range(modalities)]
        row: dict[str, Any] = {name: " ".join(draw.choices(WORDS, k=tokens)) for name in names}
        if modalities == 2:
            row["a"] = round(draw.gauss(0, 1), 4)
        made.append({**row, "label": "yes" if "red" in row[names[0]] else "no"})
    return made


def encode(count: int = 256, tokens: int = 16) -> float:
    """Seconds to encode texts that differ with a frozen MiniLM into an empty feature store."""
    draw = random.Random(tokens)
    return stored("minilm", "text", [" ".join(draw.choices(WORDS, k=tokens - 2)) for _ in range(count)])


def encode_pictures(count: int) -> float:
    """The same of small drawn JPEGs with a frozen EfficientNet-Lite0, of 224 px, decoding and resizing included."""
    from PIL import Image, ImageDraw

    draw, made = random.Random(count), []
    for _ in range(count):
        picture = Image.new("RGB", (64, 48), tuple(draw.choices(range(256), k=3)))
        left, top = draw.randrange(40), draw.randrange(24)
        ImageDraw.Draw(picture).ellipse((left, top, left + 24, top + 24), tuple(draw.choices(range(256), k=3)))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG")
        made.append(buffer.getvalue())
    return stored("efficientnet-lite0", "image", made)


def stored(reference: str, kind: str, items: list[Any]) -> float:
    """Seconds to encode items by PyTorch into an empty feature store."""
    from plait.encoders.load import load_encoder
    from plait.inputs.feature_store import FeatureStore, encode_items

    encoder, processor = load_encoder(reference, kind)
    keys = [hashlib.sha256(f"{i} {item}".encode()).hexdigest() for i, item in enumerate(items)]
    with tempfile.TemporaryDirectory() as place:
        began = time.process_time()
        encode_items(FeatureStore(place), encoder, processor, keys, items.__getitem__, engine="torch")
        return time.process_time() - began


def trained(rows: list[dict[str, Any]]) -> tuple[Any, float]:
    """A model and the seconds of its fit, evaluation included; every text column is a modality."""
    import plait

    names = [name for name in rows[0] if name.startswith("text")]
    began = time.process_time()
    model = plait.fit(rows, "label", text=names, preset="single", epochs=2, set=SET, progress=False)
    return model, time.process_time() - began


def fit(count: int = 500, modalities: int = 2, tokens: int = 12) -> float:
    """Seconds of a fit."""
    return trained(rows_of(count, modalities, tokens))[1]


MODELS: dict[int, Any] = {}
WARM: set[tuple[str, str]] = set()
COLOURS = {"encode": "#1f77b4", "fit": "#d95f02", "predict": "#1b9e77"}


def predict(count: int = 2000, modalities: int = 2, tokens: int = 12) -> float:
    """Seconds to predict rows with a model that is there."""
    if modalities not in MODELS:
        MODELS[modalities] = trained(rows_of(300, modalities))[0]
    rows = [{k: v for k, v in row.items() if k != "label"} for row in rows_of(count, modalities, tokens)]
    began = time.process_time()
    MODELS[modalities].predict(rows, progress=False)
    return time.process_time() - began


def slope(sizes: list[int], seconds: list[float]) -> float:
    """The exponent of a power law through the points."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def lines(only: list[str]) -> dict[tuple[str, str], tuple[list[int], Callable[[int], float]]]:
    """What is measured: by verb and by what grows, the sizes and what takes the time of one."""
    verbs = {"encode": encode, "fit": fit, "predict": predict}
    made: dict[tuple[str, str], tuple[list[int], Callable[[int], float]]] = {}
    for name in only:
        verb: Any = verbs[name]
        made[name, "rows"] = ROWS[name], lambda size, verb=verb: verb(count=size)
        if name == "encode":
            made[name, "pictures"] = PICTURES, encode_pictures
        else:
            made[name, "modalities"] = MODALITIES, lambda size, verb=verb: verb(modalities=size)
        made[name, "tokens"] = TOKENS[name], lambda size, verb=verb: verb(tokens=size)
    return made


def drawn(found: dict[tuple[str, str], list[list[float]]], sizes: dict[tuple[str, str], list[int]], path: Path) -> None:
    """One panel for each thing that grows; both axes logarithmic, dashed: in proportion."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    kinds = ["rows", "modalities", "tokens"]
    figure, panels = pyplot.subplots(1, 3, figsize=(10, 3.4), sharey=True)
    for panel, kind in zip(panels, kinds, strict=True):
        for (verb, what), runs in found.items():
            if what != kind:
                continue
            middle = np.median(np.array(runs), axis=0)
            panel.loglog(
                sizes[verb, what],
                middle,
                marker="o",
                color=COLOURS[verb],
                label=f"{verb}: {slope(sizes[verb, what], list(middle)):.2f}",
            )
            ideal = [middle[-1] * size / sizes[verb, what][-1] for size in sizes[verb, what]]
            panel.loglog(sizes[verb, what], ideal, linestyle="--", color="grey", linewidth=0.8)
        ticks = sorted({size for line, ones in sizes.items() if line[1] == kind and line in found for size in ones})
        shown = ticks[:: max(1, len(ticks) // 5)]
        panel.set_xticks(shown, [f"{size:,}" for size in shown], fontsize=8)
        panel.minorticks_off()
        panel.set_xlabel(kind)
        panel.legend(fontsize=8, title="exponent")
    panels[0].set_ylabel("processor seconds")
    figure.tight_layout()
    figure.savefig(path, dpi=90, metadata={"Software": None})


def main() -> None:
    """Measure, print a table, draw; Ctrl-C ends measuring and shows what is there."""
    given = arguments(
        __doc__ or "", data=None,
        options={"--repeats": "2", "--only": "encode,fit,predict", "--picture": "", "--kept": "",
                 "--lines": "rows,pictures,modalities,tokens"},
    )  # fmt: skip
    warnings.simplefilter("ignore")
    measured = {name: line for name, line in lines(given.only.split(",")).items() if name[1] in given.lines.split(",")}
    kept = Path(given.kept) if given.kept else None
    known = [json.loads(one) for one in kept.read_text().splitlines()] if kept and kept.exists() else []
    found = {name: [one["seconds"] for one in known if one["line"] == list(name)] for name in measured}
    with contextlib.suppress(KeyboardInterrupt):
        for turn in range(int(given.repeats)):
            for name, (sizes, work) in measured.items():
                if len(found[name]) > turn:
                    continue
                if name not in WARM:
                    work(sizes[0])
                    WARM.add(name)
                seconds = [work(size) for size in sizes]
                found[name].append(seconds)
                one = json.dumps({"line": name, "sizes": sizes, "seconds": seconds})
                print(one, flush=True)
                if kept:
                    with kept.open("a") as file:
                        file.write(one + "\n")
    found = {name: runs for name, runs in found.items() if runs}
    body = []
    for (verb, what), runs in found.items():
        sizes = measured[verb, what][0]
        exponents = [slope(sizes, run) for run in runs]
        last = [math.log2(run[-1] / run[-2]) for run in runs]
        middle = np.median(np.array(runs), axis=0)
        body.append([
            verb, f"{what}, {sizes[0]:,} to {sizes[-1]:,}", " ".join(f"{s:.2f}" for s in middle), f"{len(runs)}",
            *(f"{np.median(of):.2f} ({min(of):.2f} to {max(of):.2f})" for of in (exponents, last)),
        ])  # fmt: skip
    table(["verb", "what doubles", "processor seconds", "repeats", "exponent", "of the last doubling"], body)
    if given.picture:
        drawn(found, {name: sizes for name, (sizes, _) in measured.items()}, Path(given.picture))


if __name__ == "__main__":
    main()
