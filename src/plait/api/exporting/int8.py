"""The encoders of an exported graph in eight bits: smaller, and faster where the processor multiplies bytes.

Matrix products get their scales batch by batch as they run (dynamic); convolutions, for which that is often slower than
float32, get them from rows of a table (static), and stay float32 where even so they save no tenth of the time on this
machine, for they cost the most. Fusion, heads, members and calibration stay as they are. What it costs is measured
on rows that gave no scale, beside the speed of both in the same run.

Reference: Jacob et al. 2018 (integer-arithmetic-only inference), section 2.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plait.api.exporting.check_rows import CheckRows, batches_of, compare_rows, reader_of, rows_a_second
from plait.api.exporting.description import seal
from plait.api.exporting.reader import Model
from plait.api.exporting.reader.sealed import GRAPH
from plait.training.fitted import FittedParts

GRAPH8 = "model.int8.onnx"
SCOPES = "pkg.torch.onnx.name_scopes"
SCALE_ROWS, LEAST_OTHERS = 64, 32
SCALE_BATCH = 8
LEAST_SAVED = 0.1  # of the time, by convolutions in eight bits


def add_int8(fitted: FittedParts, part: Path, rows: CheckRows) -> dict[str, Any]:
    """Write ``model.int8.onnx`` beside ``model.onnx`` and measure it.

    Args:
        fitted: The model.
        part: The folder, with ``plait.json``.
        rows: A quarter of them, at most 64, gives scales; the others are measured, all where fewer than 32 are left.

    Returns:
        ``graph``, ``megabytes``, ``how``, ``scale_rows``, and ``check`` and ``speed`` as of the float graph.

    Raises:
        ValueError: No encoder in the graph has anything to quantise.
    """
    threads = torch.get_num_threads()
    reader = reader_of(part, rows, GRAPH, threads)
    places = np.arange(len(rows.cells))
    scaling = places[::4][:SCALE_ROWS]
    others = np.setdiff1d(places, scaling)
    measured = rows.take(others if len(others) >= LEAST_OTHERS else places)
    products, convolutions = operations(part / GRAPH)
    if not products and not convolutions:
        raise ValueError(
            "no encoder in this model has matrix products or convolutions to quantise; leave int8 out (int8=False)"
        )
    how = f"{len(products)} matrix products dynamic"
    if convolutions:
        whole = part / f"whole.{GRAPH8}"
        given = [rows.cells[i] for i in scaling]
        quantise(part / GRAPH, whole, reader, given, products, convolutions)
        if products:
            quantise(part / GRAPH, part / GRAPH8, reader, given, products, [])
            seal(part)
            seconds = [_seconds(reader_of(part, measured, one, threads), measured) for one in (GRAPH8, whole.name)]
            saved = 1 - seconds[1] / seconds[0]
            if saved < LEAST_SAVED:
                whole.unlink()
                how += (
                    f"; {len(convolutions)} convolutions float32, for in eight bits they change the time by "
                    f"{-saved:+.0%} here"
                )
        if whole.exists():
            whole.replace(part / GRAPH8)
            how += f", {len(convolutions)} convolutions static"
    else:
        quantise(part / GRAPH, part / GRAPH8, reader, [], products, [])
    seal(part)
    small = reader_of(part, measured, GRAPH8, threads)
    speed, plain = rows_a_second(fitted, small, measured), rows_a_second(fitted, reader, measured)
    speed |= {"float": plain["onnx"], "cpu": {**speed["cpu"], "float": plain["cpu"]["onnx"]}}
    return {
        "graph": GRAPH8, "megabytes": (part / GRAPH8).stat().st_size / 1e6, "scale_rows": len(scaling), "how": how,
        "check": compare_rows(fitted, small, measured)[1], "float": compare_rows(fitted, reader, measured)[1],
        "speed": speed,
    }  # fmt: skip


def _seconds(model: Model, rows: CheckRows) -> float:
    """Processor seconds of the graph for the rows, the better of two passes; other work on the machine costs none."""
    feeds = [model.feeds(cells)[0] for cells in batches_of(model, rows.cells)]
    found = []
    for _ in range(2):
        began = time.process_time()
        for feed in feeds:
            model.session.run(None, feed)
        found.append(time.process_time() - began)
    return min(found)


def quantise(
    source: Path, target: Path, reader: Model, cells: list[dict[str, Any]], products: list[str], convolutions: list[str]
) -> None:
    """Write a graph with some of its operations in eight bits.

    Args:
        source: The float graph.
        target: Where the other goes.
        reader: Reads the rows that give scales to convolutions.
        cells: These rows.
        products: Names of matrix products.
        convolutions: Names of convolutions.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static

    noise = logging.getLogger()
    level, between = noise.level, target.with_suffix(".part.onnx")
    noise.setLevel(logging.ERROR)  # it advises to a preparation that the exporter has done
    try:
        if convolutions:
            quantize_static(
                source, between, _Feeds(reader, cells), quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, nodes_to_quantize=convolutions,
            )  # fmt: skip
        if products:
            quantize_dynamic(
                between if convolutions else source, target, op_types_to_quantize=["MatMul"], per_channel=True,
                weight_type=QuantType.QInt8, nodes_to_quantize=products,
            )  # fmt: skip
        else:
            between.replace(target)
    finally:
        noise.setLevel(level)
        between.unlink(missing_ok=True)


def operations(graph: Path) -> tuple[list[str], list[str]]:
    """Names of the matrix products by weights, and of the convolutions, inside encoders."""
    import onnx

    model = onnx.load(graph)
    weights = {one.name for one in model.graph.initializer}
    products, convolutions = [], []
    for node in model.graph.node:
        scopes = next((p.value for p in node.metadata_props if p.key == SCOPES), "")
        if ".encoders." not in scopes:
            continue
        if node.op_type == "MatMul" and node.input[1] in weights:
            products.append(node.name)
        elif node.op_type == "Conv" and node.input[1] in weights:
            convolutions.append(node.name)
    return products, convolutions


class _Feeds:
    """Rows as onnxruntime's quantiser asks for them."""

    def __init__(self, reader: Model, cells: list[dict[str, Any]]) -> None:
        self._batches: Iterator[dict[str, np.ndarray]] = (
            reader.feeds(batch)[0] for batch in batches_of(reader, cells, SCALE_BATCH)
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch; None behind the last."""
        return next(self._batches, None)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Every batch is taken; there is nothing to choose."""
