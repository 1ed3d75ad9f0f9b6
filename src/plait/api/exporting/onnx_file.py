"""The module of answers written as one ONNX file, with named inputs and dynamic shapes, and opened again.

Inputs are called ``<modality>.<tensor>`` and ``present``; the batch and every length may have any size. The example
that is traced has three rows, for a size of one is taken for a constant.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from plait.data.modality import Modality

OPSET = 20
ROWS, LENGTH = 3, 5  # of the example
PRESENT = "present"
LARGE = 1_900_000_000  # bytes of weights: beyond it they lie in a file beside the graph (protobuf ends at 2 GiB)
# Which sides beside the first have any length, by the last part of a tensor's name.
LENGTHS: dict[str, tuple[int, ...]] = {
    "input_ids": (1,), "attention_mask": (1,), "values_BTD": (1,), "mask_BT": (1,), "mask_BK": (1,), "values": (1,),
    "word_BG": (1,), "word_weight_BG": (1,), "ngram_BG": (1,), "ngram_weight_BG": (1,),
}  # fmt: skip
NO_ONNX = "exporting needs the packages onnx, onnxscript and onnxruntime; type: pip install plait[onnx]"


def lengths_of(modality: Modality, key: str, processor: Any) -> tuple[int, ...]:
    """Sides of an input beside the first that have any length: of sets the members, of texts and sequences theirs.

    Spectrograms that are all filled up to one length (Whisper's) have none.
    """
    if getattr(processor, "pad_frames", None) is not None:
        return ()
    return (1,) if modality.kind == "image_set" else LENGTHS.get(key, ())


class FlatInputs(nn.Module):
    """A module of nested inputs as one of a list of tensors, in a given order.

    Args:
        module: Takes tensors by modality, and what is present.
        keys: Modality and tensor of each input; what is present comes last.
    """

    def __init__(self, module: nn.Module, keys: list[tuple[str, str]]) -> None:
        super().__init__()
        self.module, self.keys = module, keys

    def forward(self, tensors: list[Tensor]) -> Any:
        """What the module makes of them."""
        nested: dict[str, dict[str, Tensor]] = {}
        for (modality, key), tensor in zip(self.keys, tensors, strict=False):
            nested.setdefault(modality, {})[key] = tensor
        return self.module(nested, tensors[-1])


def keys_of(inputs: dict[str, dict[str, Tensor]]) -> list[tuple[str, str]]:
    """Modality and tensor of each input of the graph, in order."""
    return [(modality, key) for modality, tensors in inputs.items() for key in tensors]


def input_name(modality: str, key: str) -> str:
    """The name of an input of the graph."""
    return f"{modality}.{key}"


def write_onnx(
    module: nn.Module, inputs: dict[str, dict[str, Tensor]], present_BM: Tensor, file: Path, output: str,
    lengths: dict[tuple[str, str], tuple[int, ...]],
) -> None:  # fmt: skip
    """Trace the module on an example and write the graph.

    Args:
        module: As ``FlatInputs`` takes it.
        inputs: An example of three rows.
        present_BM: What is present in it.
        file: Where the graph goes.
        output: Name of the output.
        lengths: Sides beside the first that have any length, by modality and tensor.

    Raises:
        ImportError: Without the extra ``onnx``.
        ValueError: PyTorch's exporter cannot write an operation, which the message names.
    """
    require_onnx()
    keys = keys_of(inputs)
    flat = FlatInputs(module, keys).eval()
    tensors = [*(inputs[m][k] for m, k in keys), present_BM]
    shapes = [{0: "rows", **{side: f"{m}_{k}_{side}" for side in lengths[m, k]}} for m, k in keys]
    names = [*(input_name(m, k) for m, k in keys), PRESENT]
    with _quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                flat, (tensors,), dynamo=True, dynamic_shapes=([*shapes, {0: "rows"}],), input_names=names,
                output_names=[output], opset_version=OPSET, optimize=True, verbose=False,
            )  # fmt: skip
        except Exception as error:  # the exporter raises many types; the reason is handed on
            reason = " ".join(str(error).split())[:400]
            raise ValueError(f"PyTorch's exporter cannot write this model: {type(error).__name__}: {reason}") from error
        assert program is not None
        without_boolean_choices(program.model)
        size = sum(t.numel() * t.element_size() for t in module.state_dict().values())
        program.save(str(file), external_data=size > LARGE)


def without_boolean_choices(model: Any) -> None:
    """Write choices between truth values as (c and a) or (not c and b): onnxruntime has no Where of them."""
    import onnx_ir

    for node in list(model.graph):
        if node.op_type != "Where" or node.outputs[0].dtype != onnx_ir.DataType.BOOL:
            continue
        condition, yes, no = node.inputs
        left = onnx_ir.node("And", [condition, yes])
        turned = onnx_ir.node("Not", [condition])
        right = onnx_ir.node("And", [turned.outputs[0], no])
        joined = onnx_ir.node("Or", [left.outputs[0], right.outputs[0]])
        for one in (left, turned, right, joined):
            one.outputs[0].dtype, one.outputs[0].shape = onnx_ir.DataType.BOOL, node.outputs[0].shape
            one.metadata_props.update(node.metadata_props)
        onnx_ir.convenience.replace_nodes_and_values(
            model.graph, node, [node], [left, turned, right, joined], [node.outputs[0]], [joined.outputs[0]]
        )


def open_session(file: Path, threads: int | None = None) -> Any:
    """An onnxruntime session on the CPU."""
    require_onnx()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def run_session(session: Any, inputs: dict[str, dict[str, Tensor]], present_BM: Tensor) -> np.ndarray:
    """Outputs of a batch; inputs that the graph does not read are left out."""
    wanted = {one.name for one in session.get_inputs()}
    feeds = {input_name(m, k): inputs[m][k].numpy() for m, k in keys_of(inputs)}
    feeds[PRESENT] = present_BM.numpy()
    return np.asarray(session.run(None, {name: value for name, value in feeds.items() if name in wanted})[0])


def require_onnx() -> None:
    """Say what to install where the packages are missing.

    Raises:
        ImportError: Without the extra ``onnx``.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(NO_ONNX) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's lines and warnings, which speak of its inside, stay away; errors pass."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [one.level for one in loggers]
    try:
        for one in loggers:
            one.setLevel(logging.ERROR)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
