"""A model that searches as one graph for each modality, from what its processor gives to unit vectors.

One graph for each, not one of all: who embeds a query by text needs neither the pictures' encoder nor made-up
pictures, and an index is filled by one side alone. Everything that changes a vector is inside: encoder, words,
projection, and the correction for hubs with its cohort of training items. Vectors are compared with those of
``Plait.embed``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from plait.api.embedding_output import embed_modality, embedding_head
from plait.api.exporting.check_rows import BATCH, MOST_ROWS, best_of_two
from plait.api.exporting.graph import EncodedInputs, Inputs
from plait.api.exporting.onnx_file import (
    LENGTH,
    ROWS,
    keys_of,
    lengths_of,
    open_session,
    run_session,
    write_onnx,
)
from plait.api.exporting.parity import SHAPES, AnswerGap, accepted_by, encoded_by_model, spoil
from plait.api.exporting.reader import SearchModel
from plait.api.exporting.reader.opened import feeds_of
from plait.api.exporting.rows import random_rows
from plait.data.modality import Modality
from plait.data.progress import Progress
from plait.data.table import Table
from plait.heads.hubs import hub_score, with_hubs
from plait.inference.embedding import AbsentModality
from plait.inference.forward import evaluation_mode
from plait.inputs.inputs import Inputs as ModelInputs
from plait.training.fitted import FittedParts

VECTORS = "vectors"
BOUND = 1e-5  # of a coordinate of a unit vector


class Tower(nn.Module):
    """One modality of a model that searches: processor tensors and what is present [B, 1] to unit vectors [B, D].

    Args:
        fitted: The model.
        name: The modality.
    """

    def __init__(self, fitted: FittedParts, name: str) -> None:
        super().__init__()
        self.encoded = EncodedInputs(inputs_of(fitted, name))
        self.network, self.head = fitted.model, embedding_head(fitted)
        self.name, self.side = name, fitted.model.config.modality_names.index(name)
        self.absent = absent_inputs(fitted, name)

    def forward(self, inputs: Inputs, present_B1: Tensor) -> Tensor:
        """Vectors, zeros where the modality is missing."""
        found = self.encoded(inputs, present_B1)
        found |= {name: expanded(tensors, present_B1) for name, tensors in self.absent.items()}
        names = self.network.config.modality_names
        nothing_B1 = torch.zeros_like(present_B1)
        present_BM = torch.cat([present_B1 if name == self.name else nothing_B1 for name in names], dim=1)
        tokens_BMD = self.network.fuse(self.network.encode(found, present_BM), present_BM).tokens
        assert tokens_BMD is not None
        unit_BD = tokens_BMD[:, self.side]
        if self.head.hubs:
            others = [self.head.cohort(m) for m in range(len(names)) if m != self.side]
            scores = [hub_score(unit_BD, cohort_ND) for cohort_ND in others if len(cohort_ND) > 0]
            own_B = torch.stack(scores).mean(0) if scores else torch.zeros_like(unit_BD[:, 0])
            hub_BM = torch.stack([own_B if m == self.side else torch.zeros_like(own_B) for m in range(len(names))], 1)
            unit_BD = with_hubs(tokens_BMD, hub_BM)[:, self.side]
        return torch.where(present_B1, unit_BD, torch.zeros_like(unit_BD))


def inputs_of(fitted: FittedParts, name: str) -> ModelInputs:
    """What the model reads of one modality."""
    known = fitted.inputs
    return replace(
        known, modalities=tuple(m for m in known.modalities if m.name == name),
        processors={name: known.processors[name]}, frozen={n: e for n, e in known.frozen.items() if n == name},
    )  # fmt: skip


def absent_inputs(fitted: FittedParts, name: str) -> Inputs:
    """One row of what stands for each other modality."""
    names = fitted.model.config.modality_names
    one = np.zeros(1, dtype=np.int64)
    return {n: AbsentModality(fitted.model, m).take(one) for m, n in enumerate(names) if n != name}


def expanded(tensors: dict[str, Tensor], like_B1: Tensor) -> dict[str, Tensor]:
    """One row as often as a batch has rows."""
    return {key: tensor.expand(like_B1.shape[0], *tensor.shape[1:]) for key, tensor in tensors.items()}


def plait_vectors(fitted: FittedParts, name: str, inputs: Inputs, present_B1: Tensor) -> np.ndarray:
    """Vectors [B, D] by the model's own path, as ``plait.inference.embedding`` walks it."""
    network, names = fitted.model, fitted.model.config.modality_names
    side = names.index(name)
    present_BM = torch.zeros(len(present_B1), len(names), dtype=torch.bool)
    present_BM[:, side] = present_B1[:, 0]
    with evaluation_mode(network):
        found = encoded_by_model(inputs_of(fitted, name), inputs)
        found |= {n: expanded(tensors, present_B1) for n, tensors in absent_inputs(fitted, name).items()}
        fused = network.fuse(network.encode(found, present_BM), present_BM)
        return cast(Any, network.head).embed(fused, present_BM)[:, side].float().numpy()  # type: ignore[no-any-return]


def graph_names(modalities: tuple[Modality, ...]) -> dict[str, str]:
    """The file of each modality's graph."""
    return {modality.name: f"model.{number}.{modality.kind}.onnx" for number, modality in enumerate(modalities)}


def write_towers(fitted: FittedParts, part: Path) -> dict[str, dict[str, Tensor]]:
    """Write a graph for each modality; returns the examples that were traced."""
    examples = {}
    for modality in fitted.inputs.modalities:
        name = modality.name
        inputs, present_B1 = random_rows(inputs_of(fitted, name), ROWS, LENGTH)
        present_B1[:] = True
        processor = fitted.inputs.processors[name]
        lengths = {(name, key): lengths_of(modality, key, processor) for _, key in keys_of(inputs)}
        with evaluation_mode(fitted.model, inference=False):
            tower = Tower(fitted, name).eval()
            write_onnx(tower, inputs, present_B1, part / graph_names(fitted.inputs.modalities)[name], VECTORS, lengths)
        examples |= inputs
    return examples


def compare_towers(fitted: FittedParts, part: Path) -> AnswerGap:
    """The graphs against the model on random rows of several shapes, NaN in everything that is missing.

    Raises:
        ValueError: What is missing changed a vector.
    """
    largest, count = 0.0, 0
    for name, file in graph_names(fitted.inputs.modalities).items():
        session = open_session(part / file)
        for seed, (rows, length) in enumerate(SHAPES, start=1):
            inputs, present_B1 = random_rows(inputs_of(fitted, name), rows, length, seed)
            found = run_session(session, inputs, present_B1)
            if not np.array_equal(found, run_session(session, spoil(inputs, present_B1), present_B1)):
                raise ValueError("the contents of missing cells change the graph's vectors, so nothing was written")
            largest = max(largest, float(np.abs(found - plait_vectors(fitted, name, inputs, present_B1)).max()))
            count += rows
    return AnswerGap(largest, BOUND, count)


def check_towers(fitted: FittedParts, part: Path, table: Table, progress: Progress | None) -> dict[str, Any]:
    """The folder's own reader and graphs beside ``plait embed``, on rows of a table, and the speed of both.

    Returns:
        ``check``: rows, largest difference, and the share of rows of the first modality whose nearest item of the
        second is the same by both; ``speed``: rows a second of graph and PyTorch by modality.

    Raises:
        ValueError: A vector differs by more than is accepted of its row; or the table has none of the columns.
    """
    if len(table) == 0:
        raise ValueError(f"{table.source} has no rows to compare vectors on")
    chosen = np.unique(np.linspace(0, len(table) - 1, min(MOST_ROWS, len(table))).round().astype(np.int64))
    some = table.take(chosen)
    reader = SearchModel(part, threads=torch.get_num_threads())
    reader.root, reader.judges = some.media_folder, False
    told: dict[str, Any] = {"rows": len(some), "largest_difference": 0.0}
    speed: dict[str, Any] = {"threads": torch.get_num_threads(), "sides": {}}
    vectors, expected = {}, {}
    for modality in fitted.inputs.modalities:
        name, columns = modality.name, [c for c in modality.columns if c in some.column_names]
        if not columns:
            continue
        values = {column: some.column(column) for column in columns}
        cells = [{column: cells[i] for column, cells in values.items()} for i in range(len(some))]
        expected[name], _ = embed_modality(fitted, some, name, "missing", progress)
        vectors[name] = reader.embed(cells, name)
        gap_B = np.abs(vectors[name].vectors - expected[name]).max(1)
        told["largest_difference"] = max(told["largest_difference"], float(gap_B.max()))
        far = np.flatnonzero(~(gap_B <= BOUND))
        if len(far):
            _require_accepted(fitted, reader, name, cells, far, gap_B, some)
            told["rows_above_bound"] = told.get("rows_above_bound", 0) + len(far)
        speed["sides"][name] = _speed(fitted, reader, name, cells)
    if not vectors:
        raise ValueError(f"{table.source} has none of the columns that this model reads")
    if len(vectors) > 1:
        first, second = list(vectors)[:2]
        own = replace(vectors[first], vectors=expected[first]), replace(vectors[second], vectors=expected[second])
        pairs = zip(reader.rank(vectors[first], vectors[second], k=1), reader.rank(*own, k=1), strict=True)
        same = [a[0]["row"] == b[0]["row"] for a, b in pairs if a and b]
        told["same_nearest"] = sum(same) / len(same) if same else 1.0
    return {"check": told, "speed": speed}


def _require_accepted(
    fitted: FittedParts, reader: SearchModel, name: str, cells: list[dict[str, Any]], far: np.ndarray,
    gap_B: np.ndarray, some: Table,
) -> None:  # fmt: skip
    """Let rows differ by what PyTorch itself is inexact in them.

    Raises:
        ValueError: One differs by more.
    """
    inputs, present_B1 = _tensors(reader, name, [cells[i] for i in far])
    parts = [fitted.model, *fitted.inputs.frozen.values()]
    accepted_B = accepted_by(lambda: plait_vectors(fitted, name, inputs, present_B1), parts, BOUND)
    worst = int(np.argmax(np.nan_to_num(gap_B[far], nan=np.inf) / accepted_B))
    named = f"{name}, {some.row_name(int(far[worst]))}"
    AnswerGap(float(gap_B[far[worst]]), float(accepted_B[worst]), len(cells), named).require("rows of the table")


def _tensors(reader: SearchModel, name: str, cells: list[dict[str, Any]]) -> tuple[Inputs, Tensor]:
    arrays, there_B = reader.arrays(cells, name)
    tensors = {key: torch.from_numpy(np.ascontiguousarray(array)) for key, array in arrays.items()}
    return {name: tensors}, torch.from_numpy(there_B)[:, None]


def _speed(fitted: FittedParts, reader: SearchModel, name: str, cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows a second of the graph and of PyTorch on the same tensors, the better of two passes each."""
    size = min(BATCH, reader.largest_batch(name) or BATCH)
    parts = [cells[start : start + size] for start in range(0, len(cells), size)]
    batches = [_tensors(reader, name, part) for part in parts]
    session = reader.session_of(name)
    feeds = [
        feeds_of(session, {name: {key: tensor.numpy() for key, tensor in inputs[name].items()}}, present_B1.numpy())
        for inputs, present_B1 in batches
    ]

    def graph() -> None:
        for feed in feeds:
            session.run(None, feed)

    def torch_model() -> None:
        for inputs, present_B1 in batches:
            plait_vectors(fitted, name, inputs, present_B1)

    found: dict[str, Callable[[], None]] = {"onnx": graph, "pytorch": torch_model}
    return {"batch": size, **{by: len(cells) / best_of_two(work)[0] for by, work in found.items()}}
