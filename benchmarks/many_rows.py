"""How long a picture and a text of thousands of rows are trained, and by which fusion; test rows are not touched.

``easy-vqa``: questions about drawn shapes, official training part. ``cloze``: one word of a caption of flickr8k-2k is
taken out, and is to be named from the rest and the photo (the words that occur 25 times or more). Rows are dealt by
picture: some train, some choose the epoch, and the numbers are of others, which choose nothing. ``--rows`` says how
many train. Differences to the first option are paired by seed.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from measure import arguments, quiet, table
from plait.api.opening import open_run
from plait.api.preparing import prepare_run
from plait.data.catalog.datasets import fetch_dataset
from plait.data.table import Table, read_table
from plait.inference.forward import predict_logits
from plait.inputs.dataset import RowBatches
from plait.settings import DataOptions, RunSettings, set_values
from plait.training import Plan
from plait.training.fit import fit_model
from plait.training.recipes import Facts, resolve
from training_choices import difference

CO = ["fusion.name=co_attention", "fusion.dropout=0.1", "train.modality_dropout=0"]
VECTORS = ["fusion.dropout=0.3", "train.modality_dropout=0.1", "train.epochs=30", "train.patience=8"]
OPTIONS: dict[str, list[str]] = {
    "co 256 x 6": [*CO, "train.epochs=6", "train.patience=2", "train.batch_size=256"],
    "co 256 x 12": [*CO, "train.epochs=12", "train.patience=4", "train.batch_size=256"],
    "co 64 x 6": [*CO, "train.epochs=6", "train.patience=2", "train.batch_size=64"],
    "co 32 x 6": [*CO, "train.epochs=6", "train.patience=2", "train.batch_size=32"],
    "co 64 x 12": [*CO, "train.epochs=12", "train.patience=4", "train.batch_size=64"],
    "co 64 x 6, dropout .3": [*CO, "fusion.dropout=0.3", "train.epochs=6", "train.patience=2", "train.batch_size=64"],
    "product": ["fusion.name=product", *VECTORS],
    "gated": ["fusion.name=gated", *VECTORS],
    "text alone": ["fusion.name=concat", *VECTORS],
}
STOP = set(
    "a an the in on at of to and with is are his her their its it by for from as while through over up down into out "
    "near other another some two three one four that who he she they there be being has have off around along behind "
    "front next top very each them him across against under between all after under about this onto not no".split()
)
PICTURES = 200  # of easy-VQA, that choose, and as many that are judged


def easy_vqa(folder: Path, rows: int) -> tuple[Table, dict[str, Any]]:
    """So many training questions, and those of other pictures that choose and are judged."""
    source = fetch_dataset("easy-vqa", folder / "plait-easy-vqa")
    whole = read_table(source)
    group, split = np.array(whole.column("image_id")), np.array(whole.column("split"))
    train = np.flatnonzero(split == "train")
    pictures = np.random.default_rng(14).permutation(np.unique(group[train]))
    a_picture = len(train) / len(pictures)
    wanted = round(rows / a_picture)
    beside = min(PICTURES, (len(pictures) - wanted) // 2)
    named = {"train": pictures[beside * 2 :][:wanted], "val": pictures[:beside], "test": pictures[beside : beside * 2]}
    part = np.full(len(whole), "", dtype=object)
    for name, ones in named.items():
        part[np.isin(group, ones)] = name
    kept = np.flatnonzero(part != "")
    made = whole.take(kept).with_column("split", part[kept].tolist())
    return made, {"target": "answer", "split": "split", "group": "image_id", "text": ["question"], "image": ["image"]}


def cloze(folder: Path, rows: int) -> tuple[Table, dict[str, Any]]:
    """Captions with a gap; validation photos are judged, a tenth of the training photos choose."""
    captions: dict[str, list[tuple[str, str]]] = {}
    for part in ("train", "val"):
        found = json.loads((folder / f"flickr8k-2k/annotations/captions_{part}.json").read_text())
        names = {image["id"]: image["file_name"] for image in found["images"]}
        captions[part] = [(names[a["image_id"]], a["caption"]) for a in found["annotations"]]
    counts = Counter(w for _, c in captions["train"] for w in set(c.lower().split()) if w.isalpha() and w not in STOP)
    answers = {word for word, count in counts.items() if count >= 25}
    draw = np.random.default_rng(14)
    photos = draw.permutation(sorted({name for name, _ in captions["train"]}))
    choosing = set(photos[: len(photos) // 10])
    columns: dict[str, list[str]] = {"image": [], "question": [], "answer": [], "photo": [], "split": []}
    for part, ones in captions.items():
        for name, caption in ones:
            words = caption.lower().split()
            places = [i for i, word in enumerate(words) if word in answers]
            if not places:
                continue
            place = int(draw.choice(places))
            split = "test" if part == "val" else "val" if name in choosing else "train"
            row = (
                f"{part}/{name}",
                " ".join([*words[:place], "[MASK]", *words[place + 1 :]]),
                words[place],
                name,
                split,
            )
            for values, value in zip(columns.values(), row, strict=True):
                values.append(value)
    columns["image"] = [str(folder.resolve() / "flickr8k-2k" / place) for place in columns["image"]]
    keep = [i for i, split in enumerate(columns["split"]) if split != "train"]
    keep += [i for i, split in enumerate(columns["split"]) if split == "train"][: rows or None]
    made = {name: [values[i] for i in sorted(keep)] for name, values in columns.items()}
    how = {"target": "answer", "split": "split", "group": "photo", "text": ["question"], "image": ["image"]}
    return read_table(made, allow_outside=True), how


TABLES = {"easy-vqa": easy_vqa, "cloze": cloze}
SIDES = {"easy-vqa": 96, "cloze": 128}  # pixels; photos smaller than by default, which costs less


def prepared(source: Table, how: dict[str, Any], side: int) -> tuple[Plan, np.ndarray]:
    """The rows, encoded once with tokens, and those that are judged."""
    given = {**DataOptions(**how).given(), "task.name": "classification", "encoders.image_size": side}
    opened = open_run(source, given, RunSettings(), ["fusion.name=co_attention"], annotations=None)
    run = prepare_run(opened, with_tokens=True, progress=quiet)
    return run.plan, run.usable[(opened.split[run.usable] == "test") & run.known_N[run.usable]]


def one(plan: Plan, judged_rows: np.ndarray, option: str, seed: int) -> dict[str, Any]:
    """Train, and measure the rows that chose nothing."""
    names = [m.name for m in plan.inputs.modalities]
    used = ["question"] if option == "text alone" else names
    facts = Facts("classification", tuple(m.kind for m in plan.inputs.modalities), len(plan.train))
    settings = resolve(set_values(RunSettings(), [*OPTIONS[option], f"train.seed={seed}"]), facts)
    settings = replace(settings, data=plan.settings.data, encoders=plan.settings.encoders)
    made = replace(plan, settings=settings)
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        model, history = fit_model(made, used, Path(folder) / "run", checkpoints=False)
    seconds = time.process_time() - started
    found = {}
    for part, rows in (("choosing", plan.val), ("judged", judged_rows)):
        index = plan.prepared.rows.index_NM[rows][:, [names.index(n) for n in used]]
        sources = {n: plan.prepared.sources[n] for n in used}
        outputs = plan.task.activate(predict_logits(model, RowBatches(sources, index)), plan.labels)
        truth = plan.task.natural(plan.target[rows], plan.labels)
        numbers = plan.task.metrics(truth, outputs)
        found[part] = {k: float(numbers[k]) for k in ("accuracy", "log_loss")}
    steps = -(-len(plan.train) // (settings.train.batch_size or 1))
    return {
        **found, "epoch": history.best_epoch, "epochs": len(history.epochs), "steps": history.best_epoch * steps,
        "seconds": seconds,
    }  # fmt: skip


def told(found: dict[str, list[dict[str, Any]]]) -> None:
    """A row an option: means over the seeds."""
    body, base = [], next(iter(found.values()))
    for option, runs in found.items():
        numbers = [
            np.mean([r[part][k] for r in runs]) for part in ("choosing", "judged") for k in ("accuracy", "log_loss")
        ]
        gap = ""
        if runs is not base and len(runs) > 1:
            gap = difference(*([r["judged"]["accuracy"] for r in ones] for ones in (runs, base)))
        body.append([
            option, *(f"{n:.3f}" for n in numbers), gap, f"{np.mean([r['steps'] for r in runs]):.0f}",
            f"{np.mean([r['seconds'] for r in runs]):.0f}",
        ])  # fmt: skip
    head = ["accuracy, rows that choose", "log loss", "accuracy, other rows", "log loss", "difference", "steps"]
    table(["option", *head, "processor seconds"], body)


def main() -> None:
    """Run and print."""
    given = arguments(
        __doc__ or "", data=".", seeds=3,
        options={"--only": "cloze,easy-vqa", "--rows": "6000", "--options": ";".join(OPTIONS), "--kept": ""},
    )  # fmt: skip
    kept = Path(given.kept) if given.kept else None
    known = [json.loads(line) for line in kept.read_text().splitlines()] if kept and kept.exists() else []
    for name in given.only.split(","):
        for rows in map(int, given.rows.split(",")):
            source, how = TABLES[name](given.data if name == "cloze" else Path(tempfile.gettempdir()), rows)
            plan, judged = prepared(source, how, SIDES[name])
            print(f"{name}: {len(plan.train)} train, {len(plan.val)} choose, {len(judged)} are judged", flush=True)
            found: dict[str, list[dict[str, Any]]] = {o: [] for o in given.options.split(";")}
            for seed in range(given.seeds):
                for option in found:
                    run = {"table": name, "rows": rows, "option": option, "seed": seed}
                    done = next((k for k in known if run.items() <= k.items()), None)
                    if done is None:
                        done = run | one(plan, judged, option, seed)
                        if kept:
                            with kept.open("a") as file:
                                file.write(json.dumps(done) + "\n")
                    found[option].append(done)
                    print(json.dumps(done), flush=True)
            told(found)


if __name__ == "__main__":
    main()
