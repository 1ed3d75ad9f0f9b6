"""Captions of flickr8k-2k (test photos): a scratch decoder and SmolLM2 as writers, against the nearest photo's caption.

Each system runs in a process of its own, so that its peak memory is its own, and is printed when it is done. Settings
were chosen on validation photos. ``--train`` and ``--epochs`` make it small; the table says what was used.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import plait
from measure import ROOT, quiet, table
from plait.data.coco.folder import read_coco_folder
from plait.inputs.prepare import prepare
from plait.metrics.captioning import caption_metrics

NEAREST = "nearest photo's caption"
FEW = "fusion.options={projector: query, num_queries: 8}"
SMOLLM2 = ["language.model=smollm2-135m", "language.prompt=Caption:", FEW, "train.batch_size=16"]
SYSTEMS: dict[str, tuple[int, list[str]]] = {  # epochs (a row a caption), settings
    "decoder from scratch": (10, ["fusion.options={projector: query, num_queries: 16}", "train.patience=0"]),
    "SmolLM2 prefix, frozen": (2, SMOLLM2),
    "SmolLM2 prefix, LoRA": (2, [*SMOLLM2, "language.tuning=lora", "train.learning_rate=0.0005"]),
}
EVERY = ["train.precision=bfloat16", "language.max_tokens=28"]
NUM_SHOWN = 10


def rows_of(folder: Path, annotations: str | None, num_train: int, num_test: int) -> dict[str, list[str]]:
    """Columns of the captions, with the first photos of the training and test parts only."""
    read = read_coco_folder(folder, annotations=annotations, task="captions")
    columns = {name: read.column(name) for name in ("image", "caption", "image_id", "split")}
    kept: dict[str, dict[str, None]] = {"train": {}, "val": {}, "test": {}}
    for image, split in zip(columns["image"], columns["split"], strict=True):
        kept[split].setdefault(image)
    most = {"train": num_train, "val": max(10, num_train // 6), "test": num_test}
    chosen = {image for split, images in kept.items() for image in list(images)[: most[split]]}
    places = [i for i, image in enumerate(columns["image"]) if image in chosen]
    made = {name: [column[i] for i in places] for name, column in columns.items()}
    made["image"] = [str(folder / image) for image in made["image"]]
    return made


def nearest(fitted: plait.Plait, rows: dict[str, list[str]]) -> tuple[list[str], list[list[str]]]:
    """The first caption of the nearest training photo by the encoder's vector, and the references."""
    from plait.data.table import read_table

    captions: dict[str, list[str]] = {}
    for image, caption in zip(rows["image"], rows["caption"], strict=True):
        captions.setdefault(image, []).append(caption)
    split = dict(zip(rows["image"], rows["split"], strict=True))
    parts = {s: [image for image in captions if split[image] == s] for s in ("train", "test")}
    vectors = {}
    for name, images in parts.items():
        prepared = prepare(read_table({"image": images}), fitted.inputs)
        index_N = prepared.rows.items["image"].index_N
        taken = prepared.sources["image"].take(index_N)["vector_BD"].float()
        vectors[name] = taken / taken.norm(dim=1, keepdim=True)
    near = (vectors["test"] @ vectors["train"].T).argmax(1).tolist()
    return [captions[parts["train"][i]][0] for i in near], [captions[image] for image in parts["test"]]


def run_one(given: argparse.Namespace) -> None:
    """One system: fit, judge, and print the numbers as JSON."""
    rows = rows_of(given.data, given.annotations, given.train, given.test)
    epochs, settings = SYSTEMS[given.one]
    epochs = given.epochs or epochs
    started = time.monotonic()
    fitted = plait.fit(
        rows, "caption", task="captioning", image="image", split="split", group="image_id", seed=0, progress=quiet,
        epochs=epochs, set=[*EVERY, *settings, *given.set],
    )  # fmt: skip
    report = fitted.report
    result: dict[str, Any] = {
        "training": f"{len(report['history'])} of {epochs} epochs",
        "seconds": time.monotonic() - started,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "metrics": report["evaluation"]["metrics"],
        "rows": report["evaluation"]["rows"],
        "parameters": report["model"]["parameters"],
        "examples": [
            {k: e[k] for k in ("group", "prediction", "truth", "score")} for e in report["evaluation"]["examples"]
        ],
    }
    shown = {image: None for image, split in zip(rows["image"], rows["split"], strict=True) if split == "test"}
    written = fitted.predict({"image": list(shown)[:NUM_SHOWN]}).column("prediction").to_pylist()
    result["captions"] = dict(zip([Path(i).name for i in shown][:NUM_SHOWN], written, strict=True))
    if given.nearest:
        guesses, references = nearest(fitted, rows)
        found = caption_metrics(predictions=guesses, references=references, resamples=500)
        result["nearest"] = found["intervals"]
    print("RESULT " + json.dumps(result))


def main() -> None:
    """Run every system and print the table and sample captions."""
    parser = argparse.ArgumentParser(description=__doc__)
    base = Path(os.environ.get("PLAIT_TEST_DATA", ROOT / ".." / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=base / "flickr8k-2k")
    parser.add_argument("--annotations", help="annotations-zh for the Chinese captions")
    parser.add_argument("--train", type=int, default=1500, help="training photos")
    parser.add_argument("--test", type=int, default=250, help="test photos")
    parser.add_argument("--epochs", type=int, help="for every system, in place of its own")
    parser.add_argument("--systems", nargs="*", default=list(SYSTEMS))
    parser.add_argument("--set", nargs="*", default=[], metavar="A.B=C")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--nearest", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if not given.data.exists():
        sys.exit(f"no data at {given.data}; name its folder with --data")
    if given.one:
        return run_one(given)
    head = ["writer", "training", "CIDEr-D", "BLEU-4", "ROUGE-L", "trained parameters", "seconds", "peak GiB"]
    print(f"{given.train} training photos, {given.test} test photos, {' '.join([*EVERY, *given.set])}\n")
    for name in given.systems:
        own = ["--one", name, *(["--nearest"] if name == given.systems[0] else [])]
        done = subprocess.run([sys.executable, *sys.argv, *own], stdout=subprocess.PIPE, text=True, check=True)
        lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
        result = json.loads(lines[-1].removeprefix("RESULT "))
        facts = [f"{result['parameters']['trained']:,}", f"{result['seconds']:.0f}", f"{result['peak_gib']:.1f}"]
        body = [[name, result["training"], *_numbers(result["metrics"]), *facts]]
        if "nearest" in result:
            body.insert(0, [NEAREST, "", *_numbers(result["nearest"]), "", "", ""])
        table(head, body)
        print(f"\n{name}:")
        for photo, text in result["captions"].items():
            print(f"- {photo}: {text}")
        print(flush=True)


def _numbers(metrics: dict[str, dict[str, float]]) -> list[str]:
    shown = (metrics[name] for name in ("cider_d", "bleu_4", "rouge_l"))
    return [f"{m['value']:.3f} [{m['low']:.3f}, {m['high']:.3f}]" for m in shown]


if __name__ == "__main__":
    main()
