"""Ready features of published tables, through ``plait.fit`` with vector columns: MOSI, ROSMAP and LIAR.

The test rows are those of the publications. Validation rows are carved from the training rows (by video for MOSI) and
choose the epoch; nothing is chosen on test rows. LIAR is run twice: with the credit counts, which count the statement
at hand (``plait check`` says so, P017), and without them.

References: Poria et al. 2017 (MOSI, text + audio + video, accuracy 0.803), Wang et al. 2021 (MOGONET, ROSMAP: accuracy
0.815, F1 0.821, AUROC 0.874), Wang 2017 (LIAR: accuracy 0.270 from text, 0.274 with all metadata, counts among it).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import plait
from measure import arguments, interval, metric, quiet, spread, table
from plait.data.split import carve_validation
from plait.data.table import read_table

LIAR = (
    "id,label,statement,subject,speaker,job,state,party,barely_true,false,half_true,mostly_true,pants_fire,context"
).split(",")
COUNTS = tuple(LIAR[8:13])
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


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data="published")
    runs: list[tuple[str, Any, dict[str, Any]]] = [("MOSI", mosi, {}), ("ROSMAP", rosmap, {})]
    without = {"numeric": [], "ignore": list(COUNTS)}
    runs += [("LIAR, with the credit counts (a leak)", liar, {}), ("LIAR, without them", liar, without)]
    body = []
    for name, load, changes in runs:
        columns, roles = load(given.data)
        roles |= changes
        reports = [
            plait.fit(columns, "label", split="split", task="classification", seed=seed, progress=quiet, **roles).report
            for seed in range(given.seeds)
        ]
        rows = reports[0]["evaluation"]["rows"]
        for alone in (None, *reports[0]["evaluation"]["alone"]):
            shown = []
            for wanted in ("accuracy", "f1_macro", "auroc"):
                values = [
                    r["evaluation"]["alone"][alone][wanted]["value"] if alone else metric(r, wanted) for r in reports
                ]
                shown.append(spread(values))
            body.append(
                [
                    name,
                    f"{alone} alone" if alone else "all",
                    str(rows),
                    *shown,
                    interval(reports[0], "accuracy", 3, alone),
                ]
            )
    head = [f"{m}, mean of {given.seeds} seeds (range)" for m in ("accuracy", "macro-F1", "AUROC")]
    table(["data", "inputs", "test rows", *head, "accuracy, seed 0 with 95% interval"], body)


if __name__ == "__main__":
    main()
