"""``plait.export``: a fitted model written as an ONNX folder that answers rows without PyTorch, and compared with it.

The folder is made beside its place and put there only after its graph has answered random rows of several shapes, and
the rows of a table where one is given, as the model does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from plait.api.embedding_output import embedding_head
from plait.api.exporting.check_rows import CheckRows, compare_float, open_check_rows, reader_of, rows_a_second
from plait.api.exporting.description import check_readable, describe, encoders_of
from plait.api.exporting.example import write_reader, write_readme
from plait.api.exporting.folder import check_place, write_whole
from plait.api.exporting.graph import AnswerGraph
from plait.api.exporting.onnx_file import (
    LENGTH,
    ROWS,
    keys_of,
    lengths_of,
    open_session,
    require_onnx,
    write_onnx,
)
from plait.api.exporting.parity import compare_random
from plait.api.exporting.reader.sealed import GRAPH
from plait.api.exporting.rows import random_rows
from plait.api.reading import open_table
from plait.api.watching import WatchedBy, watched
from plait.data.progress import Progress
from plait.data.table_like import TableLike
from plait.ensemble import Ensemble
from plait.files import given_path
from plait.inference.forward import evaluation_mode
from plait.training.fitted import FittedParts

if TYPE_CHECKING:
    from plait.api.predictor import Plait

OUTPUTS = {"number": "numbers"}
STEPS = ("tracing the model", "comparing answers", "writing the folder")


@watched
def export(
    model: Plait | str | Path, folder: str | Path, *, check: TableLike | None = None, int8: bool = False,
    overwrite: bool = False,
    format: str | None = None, encoding: str | None = None, allow_outside: bool = False, allow_remote: bool = False,
    progress: WatchedBy = None,
) -> dict[str, Any]:  # fmt: skip
    """Export a model to a folder that needs onnxruntime and numpy, and neither PyTorch nor Plait.

    Encoders, fusion and head, the members of an ensemble with their weights for every pattern of what is there, and the
    calibrator become one graph, ``model.onnx``, from tokens, pixels, spectrograms and numbers to probabilities (or a
    number); a model that searches becomes one graph for each modality, to unit vectors. Beside them lie what reads rows
    (``plait_onnx``), the processors with all that they learned, and an example.

    Args:
        model: A fitted model, or a model folder.
        folder: Where the export goes.
        check: Rows to compare answers on too, as for :meth:`plait.Plait.predict`; up to 256 are taken. With targets
            the task's metric is told of both.
        int8: Also write ``model.int8.onnx``, whose encoders compute in eight bits; needs ``check``, on whose rows its
            answers and speed are measured, and by whose pictures convolutions are scaled.
        overwrite: Replace an export that is there.
        format: Of the table, like ``encoding`` to ``allow_remote``, as for ``predict``.
        progress: Called with (done, total, what).

    Returns:
        ``output``; ``megabytes``; ``members``, the models that answer; ``random``: rows, largest difference, bound;
        ``check`` and ``speed`` where a table was given: rows, largest difference, equal predictions, metrics, rows a
        second; ``int8`` likewise; ``packages`` that the folder needs, and ``optional_packages`` that some sounds need.
        A difference is one of probabilities, of numbers in standard deviations of what was learned, of coordinates of
        vectors. Of a model that searches, ``check`` tells equal nearest items, and ``speed`` has ``sides`` by modality.

    Raises:
        ValueError: A part of the model cannot be exported, answers differ by more than the bound (1e-5, or 1e-4:
            ``parity.bound_of``), or the folder is taken. Then nothing is written.
        ImportError: Without the extra ``onnx``.
    """
    place = given_path(folder, "folder", example="exported")
    check_place(place, overwrite)
    require_onnx()
    if int8 and check is None:
        raise ValueError("int8=True needs check=TABLE: rows on which its answers and its speed are measured")
    if check is not None and torch.cuda.is_available():
        raise ValueError(
            "check= compares answers in float32, and this process would encode the rows in bfloat16 on its "
            "accelerator; hide that first (CUDA_VISIBLE_DEVICES= in front of the command), or leave check out"
        )
    fitted = _fitted(model)
    check_exportable(fitted, int8)
    told: dict[str, Any] = {"output": str(place), "members": members_of(fitted)}

    def write_search(part: Path) -> None:
        from plait.api.exporting.towers import check_towers, compare_towers, graph_names, write_towers

        _say(progress, 0)
        tensors = write_towers(fitted, part)
        _say(progress, 1)
        random = compare_towers(fitted, part)
        random.require("random rows")
        told["random"] = {"rows": random.rows, "largest_difference": random.largest, "bound": random.bound}
        told["packages"], told["optional_packages"] = write_reader(fitted, part)
        told["megabytes"] = sum(p.stat().st_size for p in part.glob("*.onnx*")) / 1e6
        head = embedding_head(fitted)
        notes = {
            "graph": graph_names(fitted.inputs.modalities), "dim": head.dim, "plain_dim": head.plain_dim,
            "scale": float(head.scale.detach()), "bias": float(head.bias.detach()) if head.loss == "siglip" else 0.0,
            "members": told["members"], "parity": {"random": told["random"]},
        }  # fmt: skip
        describe(fitted, part, tensors, notes)
        if check is not None:
            opened = open_table(fitted, check, format, encoding, allow_outside, allow_remote)
            told.update(check_towers(fitted, part, opened, progress))
        _say(progress, 2)
        notes["parity"] |= {key: told[key] for key in ("check", "speed") if key in told}
        describe(fitted, part, tensors, notes)
        write_readme(fitted, part, _readme_facts(fitted, told))

    def write(part: Path) -> None:
        _say(progress, 0)
        tensors = write_graph(fitted, part / GRAPH)
        _say(progress, 1)
        random = compare_random(fitted, open_session(part / GRAPH))
        random.require("random rows")
        told["random"] = {"rows": random.rows, "largest_difference": random.largest, "bound": random.bound}
        told["packages"], told["optional_packages"] = write_reader(fitted, part)
        told["megabytes"] = sum(p.stat().st_size for p in part.glob(f"{GRAPH}*")) / 1e6
        notes = {"members": told["members"], "parity": {"random": told["random"]}}
        describe(fitted, part, tensors, notes)
        if check is not None:
            rows = open_check_rows(
                fitted,
                check,
                format=format,
                encoding=encoding,
                allow_outside=allow_outside,
                allow_remote=allow_remote,
                progress=progress,
            )
            _check(fitted, part, rows, told)
            if int8:
                from plait.api.exporting.int8 import add_int8

                told["int8"] = add_int8(fitted, part, rows)
        _say(progress, 2)
        notes["parity"] |= {key: told[key] for key in ("check", "speed", "int8") if key in told}
        describe(fitted, part, tensors, notes)
        write_readme(fitted, part, _readme_facts(fitted, told))

    with _on_cpu(fitted):
        write_whole(place, write_search if fitted.task.family.embeds else write)
    return told


def write_graph(fitted: FittedParts, file: Path) -> dict[str, dict[str, torch.Tensor]]:
    """Write the graph of a model; returns the example that was traced."""
    inputs, present_BM = random_rows(fitted.inputs, ROWS, LENGTH)
    present_BM[:] = True
    by_name = {modality.name: modality for modality in fitted.inputs.modalities}
    processors = fitted.inputs.processors
    lengths = {(name, key): lengths_of(by_name[name], key, processors[name]) for name, key in keys_of(inputs)}
    output = OUTPUTS.get(fitted.task.output_kind, "probabilities")
    with evaluation_mode(fitted.answers, inference=False):
        write_onnx(AnswerGraph(fitted).eval(), inputs, present_BM, file, output, lengths)
    return inputs


def check_exportable(fitted: FittedParts, int8: bool = False) -> None:
    """Refuse a model that has no answers a graph could give, or cells that no folder could read.

    Raises:
        ValueError: The message says which and what to do.
    """
    family = fitted.task.family
    if family.writes:
        raise ValueError(f"this model {family.does}, token by token, which one graph cannot hold; it is not exported")
    if family.embeds and int8:
        raise ValueError(f"this model {family.does}, and those of eight bits are not measured; leave int8 out")
    check_readable(fitted.inputs)


def members_of(fitted: FittedParts) -> list[dict[str, Any]]:
    """The models that answer: name, kind and weight where everything is there."""
    if not isinstance(fitted.ensemble, Ensemble):
        return [{"name": fitted.settings.fusion.name, "kind": "network", "weight": 1.0}]
    return [
        {key: one[key] for key in ("name", "kind", "weight")}
        for one in fitted.ensemble.leaderboard() if one["status"] == "used"
    ]  # fmt: skip


def _fitted(model: Any) -> FittedParts:
    if isinstance(model, FittedParts):
        return model
    if isinstance(model, str | Path):
        from plait.api.model_folder import load_model_folder

        return load_model_folder(given_path(model, "model"))
    raise TypeError(f"expected a fitted model or a model folder, got {type(model).__name__}")


def _check(fitted: FittedParts, part: Path, rows: CheckRows, told: dict[str, Any]) -> None:
    reader = reader_of(part, rows, GRAPH, torch.get_num_threads())
    told["check"] = compare_float(fitted, reader, rows)
    told["speed"] = rows_a_second(fitted, reader, rows)


def _readme_facts(fitted: FittedParts, told: dict[str, Any]) -> dict[str, Any]:
    from plait import __version__
    from plait.api.exporting.description import MISSING

    checked = told.get("check", {"rows": 0, "largest_difference": 0.0})
    also = f" and {checked['rows']:,} rows of a table" if checked["rows"] else ""
    return {
        "version": __version__, "missing": MISSING, "encoders": encoders_of(fitted.inputs),
        "packages": told["packages"], "optional_packages": told["optional_packages"],
        "compared": f"{told['random']['rows']} random rows{also}",
        "difference": max(told["random"]["largest_difference"], checked["largest_difference"]),
    }  # fmt: skip


@contextlib.contextmanager
def _on_cpu(fitted: FittedParts) -> Iterator[None]:
    """The model on the CPU, where it is traced and compared; afterwards where it was."""
    parts = [fitted.answers, *fitted.inputs.frozen.values()]
    devices = [next((p.device for p in part.parameters()), torch.device("cpu")) for part in parts]
    try:
        for part in parts:
            part.cpu()
        yield
    finally:
        for part, device in zip(parts, devices, strict=True):
            part.to(device)


def _say(progress: Progress | None, step: int) -> None:
    if progress is not None:
        progress(step, len(STEPS), STEPS[step])
