"""Ready features of published tables, through ``plait.fit`` with vector columns: MOSI, ROSMAP and LIAR.

The test rows are those of the publications. Validation rows are carved from the training rows (by video for MOSI) and
choose the epoch; nothing is chosen on test rows. For MOSI a last column shows what choosing the epoch on test rows
(and learning from the validation rows too) would have given: it is no result. LIAR is run twice: with the credit
counts, which count the statement at hand (``plait check`` says so, P017), and without them.

References: Poria et al. 2017 (MOSI, text + audio + video, accuracy 0.803), Wang et al. 2021 (MOGONET, ROSMAP: accuracy
0.815, F1 0.821, AUROC 0.874), Wang 2017 (LIAR: accuracy 0.270 from text, 0.274 with all metadata, counts among it).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import plait
from measure import arguments, interval, metric, quiet, spread, table
from plait.data.checks.check import check_table
from plait.data.schema import guess_schema
from plait.data.split import carve_validation
from plait.data.table import read_table

LIAR = (
    "id,label,statement,subject,speaker,job,state,party,barely_true,false,half_true,mostly_true,pants_fire,context"
).split(",")
COUNTS = tuple(LIAR[8:13])
WITHOUT_COUNTS = {"numeric": [], "ignore": list(COUNTS)}
Columns = dict[str, list[Any]]


def mosi(folder: Path) -> tuple[Columns, dict[str, Any]]:
    """Text, audio and video features of an utterance; is it positive?"""
    with np.load(folder / "mosi_poria2017.npz", allow_pickle=False) as parts:
        kinds = ("text", "audio", "video")
        columns: Columns = {k: list(np.concatenate([parts[f"{k}_train"], parts[f"{k}_test"]])) for k in kinds}
        columns["video_id"] = [str(v) for part in ("train", "test") for v in parts[f"video_id_{part}"]]
        columns["label"] = [int(v) for part in ("train", "test") for v in parts[f"y_{part}"]]
        split = ["train"] * len(parts["y_train"]) + ["test"] * len(parts["y_test"])
    columns["split"] = list(carve_validation(split, group=columns["video_id"], fraction=0.15, seed=0))
    return columns, {"vector": list(kinds), "group": "video_id"}


def rosmap(folder: Path) -> tuple[Columns, dict[str, Any]]:
    """Three kinds of measurements of a brain; has the patient Alzheimer's disease?"""
    with np.load(folder / "rosmap_mogonet.npz", allow_pickle=False) as parts:
        kinds = ("mrna", "methylation", "mirna")
        columns: Columns = {k: list(np.concatenate([parts[f"{k}_train"], parts[f"{k}_test"]])) for k in kinds}
        columns["label"] = [int(v) for part in ("train", "test") for v in parts[f"y_{part}"]]
        split = ["train"] * len(parts["y_train"]) + ["test"] * len(parts["y_test"])
    columns["split"] = list(carve_validation(split, target=columns["label"], fraction=0.2, seed=0))
    return columns, {"vector": list(kinds)}


def liar(folder: Path) -> tuple[Columns, dict[str, Any]]:
    """A statement and its speaker; how true is it (six classes)?"""
    columns: Columns = {name: [] for name in (*LIAR, "split")}
    for part, name in (("train", "train"), ("valid", "val"), ("test", "test")):
        rows = read_table(folder / "liar" / f"{part}.tsv", columns=LIAR)
        for column in LIAR:
            columns[column] += rows.column(column)
        columns["split"] += [name] * len(rows)
    return columns, {
        "text": ["statement", "context"], "numeric": list(COUNTS), "id": "id",
        "categorical": ["subject", "speaker", "job", "state", "party"],
    }  # fmt: skip


def chosen_on_test(columns: Columns) -> Columns:
    """All training rows learned from and the test rows as validation rows too: what must not be done."""
    split = ["test" if s == "test" else "train" for s in columns["split"]]
    again = [i for i, s in enumerate(split) if s == "test"]
    found = {name: [*values, *(values[i] for i in again)] for name, values in columns.items()}
    found["split"] = [*split, *["val"] * len(again)]
    return found


def fit(columns: Columns, roles: dict[str, Any], seed: int, settings: list[str]) -> dict[str, Any]:
    """The report of a model and of one on each input alone; its accuracy is printed as it is made."""
    report = plait.fit(
        columns, "label", split="split", task="classification", seed=seed, progress=quiet, set=settings, **roles
    ).report  # fmt: skip
    shown = {name: round(entry["accuracy"]["value"], 4) for name, entry in report["evaluation"]["alone"].items()}
    shown |= {"all": round(metric(report, "accuracy"), 4), "s": report["facts"]["seconds"]}
    print(json.dumps({"seed": seed, **shown}), flush=True)
    return report


def f1_of_one(report: dict[str, Any]) -> float:
    """F1 of class 1, as binary data sets report it; NaN with more classes or where it is undefined."""
    rows = [row for row in report["evaluation"]["per_class"] if row["label"] == "1"]
    value = rows[0]["f1"]["value"] if rows and len(report["evaluation"]["per_class"]) == 2 else None
    return float("nan") if value is None else value


def leak(columns: Columns, roles: dict[str, Any]) -> str:
    """What ``plait check`` says of totals that count the row itself."""
    rows = read_table(columns)
    schema = guess_schema(rows, target="label", split="split", **roles)
    return check_table(rows, schema).finding("P017").detail


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data="published", seeds=5, options={"--only": ""})
    runs: list[tuple[str, Any, dict[str, Any]]] = [
        ("MOSI", mosi, {}),
        ("ROSMAP", rosmap, {}),
        ("LIAR, without the credit counts", liar, WITHOUT_COUNTS),
        ("LIAR, with them (a leak)", liar, {}),
    ]
    wanted = ("accuracy", "f1_macro", "auroc")
    seeds = range(given.seeds)
    body = []
    for name, load, changes in [r for r in runs if r[0].startswith(given.only)]:
        columns, roles = load(given.data)
        roles |= changes
        if name == "LIAR, with them (a leak)":
            print(f"\nplait check, P017: {leak(columns, roles)}\n", flush=True)
        reports = [fit(columns, roles, seed, ["judge.missing_rows=0"]) for seed in seeds]
        on_test: list[dict[str, Any]] = []
        if name == "MOSI":
            copied, free = chosen_on_test(columns), {k: v for k, v in roles.items() if k != "group"}
            on_test = [fit(copied, free, seed, ["judge.missing_rows=0"]) for seed in seeds]
        for alone in (*reports[0]["evaluation"]["alone"], None):
            found = {
                m: [r["evaluation"]["alone"][alone][m]["value"] if alone else metric(r, m) for r in reports]
                for m in wanted
            }
            wrong = [
                r["evaluation"]["alone"][alone]["accuracy"]["value"] if alone else metric(r, "accuracy")
                for r in on_test
            ]
            of_one = [f1_of_one(r) for r in reports]
            body.append(
                [
                    name, f"{alone} alone" if alone else "all", spread(found["accuracy"]),
                    interval(reports[0], "accuracy", 3, alone), spread(found["f1_macro"]),
                    "" if alone or of_one[0] != of_one[0] else spread(of_one), spread(found["auroc"]),
                    spread(wrong) if wrong else "",
                ]
            )  # fmt: skip
            print("  ".join(body[-1]), flush=True)
        seconds = [r["facts"]["seconds"] for r in reports]
        print(f"{name}: {reports[0]['evaluation']['rows']} test rows; s a run {seconds}", flush=True)
        print(f"  {reports[0]['verdict']}", flush=True)
    print()
    mean = f"mean of {given.seeds} seeds (range)"
    head = [
        "data", "inputs", f"accuracy, {mean}", "seed 0 with 95% interval", f"macro-F1, {mean}", "F1 of class 1",
        "AUROC", "accuracy had the epoch been chosen on test rows",
    ]  # fmt: skip
    table(head, body)


if __name__ == "__main__":
    main()
