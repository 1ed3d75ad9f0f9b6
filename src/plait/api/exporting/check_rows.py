"""An exported folder on rows of a table: read by its own reader, answered by its graph, beside the model in PyTorch.

Told are the largest difference, the share of equal predictions, the task's metric of both where the rows have their
targets, and rows a second of graph and PyTorch on the same prepared tensors, encoders included, one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from plait.api.exporting.parity import AnswerGap, accepted_of, bound_of, plait_outputs, unit_of
from plait.api.exporting.reader import Model
from plait.api.reading import logits_of, open_table, prepare_rows
from plait.data.progress import Progress
from plait.data.table import Table
from plait.training.fitted import FittedParts

MOST_ROWS = 256
BATCH = 32


@dataclass
class CheckRows:
    """Rows of a table that an exported folder is compared on.

    Attributes:
        table: The rows, at most ``MOST_ROWS`` at even distances.
        cells: Column to cell, each, as the folder's reader takes them.
        outputs: What the model says of them [N, C].
        targets: Plain values of the target, None where there is none.
    """

    table: Table
    cells: list[dict[str, Any]]
    outputs: np.ndarray
    targets: list[Any]

    def take(self, places: np.ndarray) -> CheckRows:
        """The rows at these places."""
        return CheckRows(
            self.table.take(places), [self.cells[i] for i in places], self.outputs[places],
            [self.targets[i] for i in places],
        )  # fmt: skip


def open_check_rows(
    fitted: FittedParts, table: Any, *, format: str | None = None, encoding: str | None = None,
    allow_outside: bool = False, allow_remote: bool = False, progress: Progress | None = None,
) -> CheckRows:  # fmt: skip
    """Read the rows and answer them with the model.

    Raises:
        ValueError: The table cannot be read, or has no row.
    """
    opened = open_table(fitted, table, format, encoding, allow_outside, allow_remote)
    if len(opened) == 0:
        raise ValueError(f"{opened.source} has no rows to compare answers on")
    chosen = np.unique(np.linspace(0, len(opened) - 1, min(MOST_ROWS, len(opened))).round().astype(np.int64))
    part = opened.take(chosen)
    prepared, keep = prepare_rows(fitted, part, "missing", progress)
    outputs = fitted.task.activate(logits_of(fitted, prepared, keep, progress), fitted.labels)
    wanted = [c for m in fitted.inputs.modalities for c in m.columns if c in part.column_names]
    columns = {name: part.column(name) for name in dict.fromkeys(wanted)}
    cells = [{name: values[i] for name, values in columns.items()} for i in range(len(part))]
    target = fitted.schema.target
    has_target = target is not None and target in part.column_names
    targets = [fitted.task.parse(cell) for cell in part.column(str(target))] if has_target else [None] * len(part)
    return CheckRows(part, cells, outputs, targets)


def reader_of(folder: Any, rows: CheckRows, graph: str, threads: int) -> Model:
    """The folder's reader, with the files that the table may name."""
    model = Model(folder, threads=threads, graph=graph)
    model.root, model.judges = rows.table.media_folder, False
    return model


def compare_rows(fitted: FittedParts, model: Model, rows: CheckRows) -> tuple[AnswerGap, dict[str, Any]]:
    """The folder against the model: the difference, and what is told of it."""
    outputs = model.outputs(rows.cells, batch_size=BATCH)
    largest = float(np.abs(outputs - rows.outputs).max()) / unit_of(fitted)
    decoded = [fitted.task.decode(one, fitted.labels) for one in (rows.outputs, outputs)]
    told: dict[str, Any] = {"rows": len(rows.cells), "largest_difference": largest}
    if fitted.task.output_kind != "number":
        same = [a == b for a, b in zip(*decoded, strict=True)]
        told["same_predictions"] = sum(same) / len(same)
    metric = [metric_of(fitted, one, rows.targets) for one in (rows.outputs, outputs)]
    if metric[0] is not None:
        told |= {"metric": fitted.task.primary, "plait": metric[0], "onnx": metric[1]}
    return AnswerGap(largest, bound_of(fitted), len(rows.cells)), told


def compare_float(fitted: FittedParts, model: Model, rows: CheckRows) -> dict[str, Any]:
    """What is told of the float graph, whose every row must answer as the model does.

    Raises:
        ValueError: A row differs by more than ``accepted_of`` it; the message names it.
    """
    gap, told = compare_rows(fitted, model, rows)
    if gap.largest <= gap.bound:
        return told
    gap_B = np.abs(model.outputs(rows.cells, batch_size=BATCH) - rows.outputs).max(1) / unit_of(fitted)
    far = np.flatnonzero(~(gap_B <= gap.bound))
    accepted_B = accepted_of(fitted, *nested_inputs(fitted, model, [rows.cells[i] for i in far]))
    worst = int(np.argmax(np.nan_to_num(gap_B[far], nan=np.inf) / accepted_B))
    named = rows.table.row_name(int(far[worst]))
    AnswerGap(float(gap_B[far[worst]]), float(accepted_B[worst]), gap.rows, named).require("rows of the table")
    return told | {"rows_above_bound": len(far), "accepted": float(accepted_B.max())}


def metric_of(fitted: FittedParts, outputs: np.ndarray, targets: list[Any]) -> float | None:
    """The task's metric on the rows that have a target; None where none has or it is undefined."""
    task, known = fitted.task, [i for i, value in enumerate(targets) if value is not None]
    if not known:
        return None
    values = [targets[i] for i in known]
    encoded = task.natural(task.encode(values, fitted.labels), fitted.labels)
    found = task.metrics(encoded, outputs[known]).get(task.primary)
    return None if found is None else float(found)


def rows_a_second(fitted: FittedParts, model: Model, rows: CheckRows) -> dict[str, Any]:
    """Rows a second of graph and PyTorch on the same tensors in batches of 32, the better of two passes each.

    Also rows a second of processor time (``cpu``), which other work on the machine does not change.
    """
    began = time.perf_counter()
    feeds = [model.feeds(cells)[0] for cells in batches_of(model, rows.cells)]
    reading = time.perf_counter() - began
    batches = [nested_inputs(fitted, model, cells) for cells in batches_of(model, rows.cells)]

    def graph() -> None:
        for feed in feeds:
            model.session.run(None, feed)

    def torch_model() -> None:
        for inputs, present_BM in batches:
            plait_outputs(fitted, inputs, present_BM)

    count, ours, theirs = len(rows.cells), best_of_two(graph), best_of_two(torch_model)
    return {
        "batch": model.largest_batch or BATCH, "threads": torch.get_num_threads(),
        "onnx": count / ours[0], "pytorch": count / theirs[0],
        "reading": count / reading, "cpu": {"onnx": count / ours[1], "pytorch": count / theirs[1]},
    }  # fmt: skip


def batches_of(model: Model, cells: list[dict[str, Any]], most: int = BATCH) -> list[list[dict[str, Any]]]:
    """Cells in batches of so many rows, or of as many as the graph takes at once."""
    size = min(most, model.largest_batch or most)
    return [cells[start : start + size] for start in range(0, len(cells), size)]


def nested_inputs(fitted: FittedParts, model: Model, cells: list[dict[str, Any]]) -> tuple[Any, torch.Tensor]:
    """Cells as the reader prepares them, as tensors by modality, and what is present."""
    inputs: dict[str, dict[str, torch.Tensor]] = {}
    arrays, present = model.arrays(cells)
    for name, one in arrays.items():
        inputs[name] = {key: torch.from_numpy(np.ascontiguousarray(array)) for key, array in one.items()}
    return inputs, torch.from_numpy(present)


def best_of_two(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds, and seconds of processor time, of the better of two passes."""
    seconds, busy = [], []
    for _ in range(2):
        began, at = time.perf_counter(), time.process_time()
        work()
        seconds.append(time.perf_counter() - began)
        busy.append(time.process_time() - at)
    return min(seconds), max(min(busy), 1e-9)
