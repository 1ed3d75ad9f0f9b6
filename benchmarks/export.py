"""Models exported to ONNX: difference from PyTorch for every fusion, and rows a second and eight bits on real posts.

First every fusion with a head on random encoded modalities (three of them, all patterns of what is there, NaN in what
is missing). Then models of posts with real encoders, exported whole: answers, accuracy and rows a second of graph,
eight-bit graph and PyTorch in the same run, on test rows, from prepared tensors (``docs/export.md``).
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


def posts(data: Path, folder: Path, chosen: str) -> None:
    """Whole models of posts, those whose name holds a word."""
    with (data / "posts.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    rows = [{**row, "image": str(data / row["image"])} for row in rows]
    body = []
    for name, settings in MODELS.items():
        if chosen not in name:
            continue
        model = plait.fit(data / "posts.csv", "sentiment", split="split", set=settings, progress=quiet)
        told = plait.export(model, folder / name.split()[0], check=rows, int8=True, allow_outside=True, progress=quiet)
        small, check, speed = told["int8"], told["check"], told["speed"]
        members = ", ".join(one["name"] for one in told["members"])
        cpu, cpu8 = speed["cpu"], small["speed"]["cpu"]
        body += [
            [f"{name}: {members}", "PyTorch", "", "", f"{check['plait']:.4f} ({check['rows']})",
             f"{speed['pytorch']:.0f}", f"{cpu['pytorch']:.0f}"],
            ["", "ONNX", f"{told['megabytes']:.0f} MB", f"{check['largest_difference']:.1e}",
             f"{check['onnx']:.4f} ({check['rows']})", f"{speed['onnx']:.0f}", f"{cpu['onnx']:.0f}"],
            ["", "ONNX, eight bits", f"{small['megabytes']:.0f} MB", f"{small['check']['largest_difference']:.1e}",
             f"{small['check']['onnx']:.4f} (float32 {small['check']['plait']:.4f}; {small['check']['rows']})",
             f"{small['speed']['onnx']:.0f} (float32 {small['speed']['float']:.0f}, PyTorch "
             f"{small['speed']['pytorch']:.0f})",
             f"{cpu8['onnx']:.0f} (float32 {cpu8['float']:.0f}, PyTorch {cpu8['pytorch']:.0f})"],
        ]  # fmt: skip
        print(f"- {name}: {small['how']}; same prediction in {small['check']['same_predictions']:.1%}", flush=True)
    head = ["model and members", "by", "size", "largest difference", "accuracy (rows)", "rows a second"]
    table([*head, "rows a second of processor time"], body)


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data="posts-sentiment", options={"--only": "both", "--model": ""})
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        if given.only in ("both", "posts"):
            posts(given.data, Path(place), given.model)
        if given.only in ("both", "fusions"):
            fusions(Path(place))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
