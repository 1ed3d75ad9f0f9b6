"""Models exported to ONNX: difference from PyTorch for every fusion, and rows a second and eight bits on real posts.

First every fusion with a head on random encoded modalities (three of them, all patterns of what is there, NaN in what
is missing). Then models of posts, and of sounds (``--only sounds``: a fold of ESC-10 by whisper-tiny-en, 5 s), with
real encoders, exported whole: answers, accuracy and rows a second of graph, eight-bit graph and PyTorch in the same
run, on test rows, from prepared tensors (``docs/export.md``).
"""

from __future__ import annotations

import csv
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

import plait
from measure import arguments, quiet, table
from plait.api.exporting.members import NetworkLogits
from plait.api.exporting.onnx_file import keys_of, open_session, run_session, write_onnx
from plait.api.exporting.parity import spoil
from plait.fusion import FUSIONS
from plait.model import PlaitConfig, PlaitModel

WIDTHS, TOKEN_DIM, CLASSES = (24, 40, 16), 12, 4
MODELS: dict[str, list[str]] = {
    "default (members)": [],
    "co_attention, single": ["preset=single", "fusion.name=co_attention"],
}


def rows_of(count: int, rows: int, length: int, seed: int) -> tuple[dict[str, Any], torch.Tensor]:
    """Random encoded modalities and what is present."""
    made = torch.Generator().manual_seed(seed)
    inputs = {}
    for m in range(count):
        steps = length + m
        lengths_B1 = torch.randint(1, steps + 1, (rows, 1), generator=made)
        inputs[f"m{m}"] = {
            "vector_BD": torch.randn(rows, WIDTHS[m], generator=made),
            "tokens_BTD": torch.randn(rows, steps, TOKEN_DIM, generator=made),
            "mask_BT": torch.arange(steps)[None] < lengths_B1,
        }
    patterns = torch.tensor(list(product([True, False], repeat=count)))
    return inputs, patterns[torch.arange(rows) % len(patterns)]


def difference(name: str, folder: Path) -> tuple[float, bool]:
    """Largest difference of a probability, and whether what is missing changes nothing, of a fusion with a head."""
    torch.manual_seed(0)
    count = min(3, FUSIONS.get(name).max_modalities or 3)
    modalities = [
        {"name": f"m{m}", "kind": "text", "vector_dim": WIDTHS[m], "token_dim": TOKEN_DIM, "encoder": None}
        for m in range(count)
    ]
    fusion = {"name": name, "width": 32, "dropout": 0.0, "options": {}}
    network = PlaitModel(PlaitConfig(modalities=modalities, fusion=fusion, num_outputs=CLASSES)).eval()
    inputs, present_BM = rows_of(count, 3, 5, 0)
    free = {key: ((1,) if key[1] != "vector_BD" else ()) for key in keys_of(inputs)}
    module = NetworkLogits(network, tuple(range(count)))
    write_onnx(module, inputs, torch.ones_like(present_BM), folder / "fusion.onnx", "logits", free)
    session, largest, is_exact = open_session(folder / "fusion.onnx"), 0.0, True
    for seed, (rows, length) in enumerate(((1, 1), (1, 6), (2, 3), (8, 5)), start=1):
        inputs, present_BM = rows_of(count, rows, length, seed)
        found = run_session(session, inputs, present_BM)
        is_exact = is_exact and np.array_equal(found, run_session(session, spoil(inputs, present_BM), present_BM))
        with torch.no_grad():
            expected = network(inputs, present_BM)["logits"]
        gap = torch.from_numpy(found).softmax(1) - expected.softmax(1)
        largest = max(largest, float(gap.abs().max()))
    return largest, is_exact


def fusions(folder: Path) -> None:
    """A row for every fusion."""
    body = []
    for name in FUSIONS.names():
        largest, is_exact = difference(name, folder)
        body.append([name, f"{largest:.1e}", "unchanged" if is_exact else "CHANGED"])
    table(["fusion", "largest difference of a probability", "NaN in what is missing"], body)


def compared(name: str, model: Any, rows: list[dict[str, Any]], folder: Path) -> list[list[str]]:
    """Lines of a table: PyTorch, the graph and the eight-bit graph of a model on rows."""
    told = plait.export(model, folder / name.split()[0], check=rows, int8=True, allow_outside=True, progress=quiet)
    small, check, speed = told["int8"], told["check"], told["speed"]
    members = ", ".join(one["name"] for one in told["members"])
    cpu, cpu8 = speed["cpu"], small["speed"]["cpu"]
    print(
        f"- {name}: {small['how']}; same prediction in {small['check']['same_predictions']:.1%}; reading cells "
        f"{speed['reading']:.0f} rows a second", flush=True,
    )  # fmt: skip
    return [
        [f"{name}: {members}", "PyTorch", "", "", f"{check['plait']:.4f} ({check['rows']})",
         f"{speed['pytorch']:.1f}", f"{cpu['pytorch']:.1f}"],
        ["", "ONNX", f"{told['megabytes']:.0f} MB", f"{check['largest_difference']:.1e}",
         f"{check['onnx']:.4f} ({check['rows']})", f"{speed['onnx']:.1f}", f"{cpu['onnx']:.1f}"],
        ["", "ONNX, eight bits", f"{small['megabytes']:.0f} MB", f"{small['check']['largest_difference']:.1e}",
         f"{small['check']['onnx']:.4f} (float32 {small['check']['plait']:.4f}; {small['check']['rows']})",
         f"{small['speed']['onnx']:.1f} (float32 {small['speed']['float']:.1f}, PyTorch "
         f"{small['speed']['pytorch']:.1f})",
         f"{cpu8['onnx']:.1f} (float32 {cpu8['float']:.1f}, PyTorch {cpu8['pytorch']:.1f})"],
    ]  # fmt: skip


HEAD = [
    "model and members", "by", "size", "largest difference", "accuracy (rows)", "rows a second",
    "rows a second of processor time",
]  # fmt: skip


def table_rows(file: Path, column: str) -> list[dict[str, Any]]:
    """Rows of a CSV table, the paths of a column made absolute."""
    with file.open(encoding="utf-8", newline="") as opened:
        return [{**row, column: str(file.parent / row[column])} for row in csv.DictReader(opened)]


def posts(data: Path, folder: Path, chosen: str) -> None:
    """Whole models of posts, those whose name holds a word."""
    rows = [row for row in table_rows(data / "posts.csv", "image") if row["split"] == "test"]
    body = []
    for name, settings in MODELS.items():
        if chosen in name:
            model = plait.fit(data / "posts.csv", "sentiment", split="split", set=settings, progress=quiet)
            body += compared(name, model, rows, folder)
    table(HEAD, body)


def sounds(data: Path, folder: Path) -> None:
    """A whole model of sounds; fold 1 is answered."""
    rows = [
        {"audio": row["audio"], "label": row["label"], "split": "test" if row["fold"] == "1" else "train"}
        for row in table_rows(data / "sounds.csv", "audio")
    ]
    settings = ["encoders.audio=whisper-tiny-en", "encoders.audio_seconds=5"]
    model = plait.fit(
        rows, "label", audio="audio", split="split", set=settings, allow_outside=True, progress=quiet
    )  # fmt: skip
    table(HEAD, compared("whisper-tiny-en, default", model, [r for r in rows if r["split"] == "test"], folder))


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data="posts-sentiment", options={"--only": "both", "--model": ""})
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        if given.only in ("both", "posts"):
            posts(given.data, Path(place), given.model)
        if given.only == "sounds":
            sounds(given.data.parent / "esc10-sounds", Path(place))
        if given.only in ("both", "fusions"):
            fusions(Path(place))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
