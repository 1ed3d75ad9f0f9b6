"""A graph's answers compared with the model's own: on random rows of several shapes, and on rows of a table.

The model answers by its own path (frozen encoders, networks or ensemble, calibrator, activation), not by the module
that was traced, so that a fault of that module shows as well.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from plait.api.exporting.onnx_file import run_session
from plait.api.exporting.outputs import steepest
from plait.api.exporting.rows import random_rows
from plait.encoders.sets import MEMBERS, encode_sets
from plait.inference.forward import evaluation_mode
from plait.inputs.inputs import Inputs as ModelInputs
from plait.inputs.modality_kinds import MODALITY_KINDS
from plait.model import NOT_ENCODED
from plait.tasks.regression import scale_of
from plait.training.fitted import FittedParts

BOUND = 1e-5
BOUNDS = {"mcb": 1e-4}  # its Fourier transforms over thousands of buckets lose a digit
FACTOR, MOST = 3.0, 100.0  # times PyTorch's own error by which a row may differ, in at most so many bounds
HALF_BOUND = 1e-4  # frozen tokens are kept in half precision: a difference in the 7th digit turns over a rounding
SHAPES = ((1, 1), (1, 4), (2, 3), (5, 6))  # rows, and the longest length
Inputs = dict[str, dict[str, Tensor]]


@dataclass(frozen=True)
class AnswerGap:
    """How far a graph's answers lie from the model's.

    Attributes:
        largest: Largest difference of a probability, or of a number in the unit of ``unit_of``.
        bound: Largest that is accepted.
        rows: Rows compared.
        worst: What to call the row that is farthest beyond what is accepted of it.
    """

    largest: float
    bound: float
    rows: int
    worst: str = ""

    def require(self, what: str) -> None:
        """Refuse a graph that answers otherwise.

        Raises:
            ValueError: The difference is above the bound.
        """
        if not self.largest <= self.bound:
            raise ValueError(
                f"the graph's answers differ from the model's by {self.largest:.1e} on {self.rows:,} "
                f"{what}{self.worst and f' ({self.worst})'}; at most "
                f"{self.bound:.0e} is accepted, so nothing was written. Please report this model's settings (run.yaml)"
            )


def bound_of(fitted: FittedParts) -> float:
    """The largest difference that is accepted: 1e-5, and more behind a steep calibrator.

    Ten times that for mcb, and where a fusion reads tokens of frozen encoders.
    """
    names = [network.config.fusion["name"] for network in networks_of(fitted)]
    kinds = [MODALITY_KINDS.get(m.kind) for m in fitted.inputs.modalities if m.name in fitted.inputs.frozen]
    has_halves = fitted.inputs.with_tokens and any(not kind.is_set for kind in kinds)
    calibration = fitted.calibration
    slope = steepest(None if calibration is None else calibration.calibrator)
    return max([HALF_BOUND if has_halves else BOUND, *(BOUNDS.get(name, BOUND) for name in names)]) * slope


def networks_of(fitted: FittedParts) -> list[Any]:
    """The networks that answer."""
    ensemble = cast(Any, fitted.ensemble)
    return [fitted.model] if ensemble is None else [member.network for member in ensemble.networks]


def unit_of(fitted: FittedParts) -> float:
    """What a difference is measured in: 1 for probabilities, for numbers a standard deviation of what is learned."""
    if fitted.task.output_kind != "number":
        return 1.0
    low, high = scale_of(fitted.labels).without_correction().decode(np.array([-1.0, 1.0]))
    return max(abs(float(high - low)) / 2, float(np.finfo(np.float32).tiny))


def compare_random(fitted: FittedParts, session: Any) -> AnswerGap:
    """The graph against the model on random rows of several shapes, NaN in everything that is missing.

    Raises:
        ValueError: What is missing changed an answer.
    """
    largest, count = 0.0, 0
    for seed, (rows, length) in enumerate(SHAPES, start=1):
        inputs, present_BM = random_rows(fitted.inputs, rows, length, seed)
        found = run_session(session, inputs, present_BM)
        spoiled = run_session(session, spoil(inputs, present_BM), present_BM)
        if not np.array_equal(found, spoiled):
            raise ValueError("the contents of missing cells change the graph's answers, so nothing was written")
        expected = plait_outputs(fitted, inputs, present_BM)
        largest, count = max(largest, float(np.abs(found - expected).max()) / unit_of(fitted)), count + rows
    return AnswerGap(largest, bound_of(fitted), count)


def accepted_of(fitted: FittedParts, inputs: Inputs, present_BM: Tensor) -> np.ndarray:
    """The largest difference accepted of each row [B]: more than ``bound_of`` where the model itself is less exact.

    That is told by the model in PyTorch with its normalisations computed in float64. A picture of one colour is such a
    row: its channels hardly vary, and a normalisation divides the roundings of their means by that, up to 300 times.
    Where that shows in a row (a tenth of the bound), the largest error of these rows counts, for its size is chance.
    """
    parts = [cast(nn.Module, fitted.answers), *fitted.inputs.frozen.values()]
    return accepted_by(lambda: plait_outputs(fitted, inputs, present_BM) / unit_of(fitted), parts, bound_of(fitted))


def accepted_by(outputs: Callable[[], np.ndarray], parts: list[nn.Module], usual: float) -> np.ndarray:
    """The same of any outputs [B, C].

    Args:
        outputs: Computes them.
        parts: Where the normalisations stand.
        usual: The usual bound.
    """
    rough = outputs()
    with _exact_normalisations(parts):
        exact = outputs()
    own_B = np.abs(rough - exact).max(1)
    most = float(np.clip(FACTOR * own_B.max(initial=0.0), usual, MOST * usual))
    return np.where(own_B > usual / 10, most, usual)


@contextlib.contextmanager
def _exact_normalisations(parts: list[nn.Module]) -> Iterator[None]:
    """Group and layer normalisations in float64; their outputs are float32 as ever."""
    found = [m for part in parts for m in part.modules() if isinstance(m, nn.GroupNorm | nn.LayerNorm)]
    try:
        for module in found:
            module.forward = functools.partial(_exactly, module)
        yield
    finally:
        for module in found:
            module.__dict__.pop("forward", None)


def _exactly(module: nn.GroupNorm | nn.LayerNorm, x: Tensor) -> Tensor:
    weight, bias = (None if one is None else one.double() for one in (module.weight, module.bias))
    if isinstance(module, nn.GroupNorm):
        return nn.functional.group_norm(x.double(), module.num_groups, weight, bias, module.eps).to(x.dtype)
    return nn.functional.layer_norm(x.double(), module.normalized_shape, weight, bias, module.eps).to(x.dtype)


def spoil(inputs: Inputs, present_BM: Tensor) -> Inputs:
    """The same rows with NaN, -7 and turned masks in what is missing."""
    made: Inputs = {}
    for m, (name, tensors) in enumerate(inputs.items()):
        made[name] = {}
        for key, tensor in tensors.items():
            there = present_BM[:, m].reshape(-1, *[1] * (tensor.ndim - 1))
            if tensor.dtype == torch.bool:
                made[name][key] = torch.where(there, tensor, ~tensor)
            else:
                filling = float("nan") if tensor.is_floating_point() else -7
                made[name][key] = torch.where(there, tensor, torch.tensor(filling, dtype=tensor.dtype))
    return made


def plait_outputs(fitted: FittedParts, inputs: Inputs, present_BM: Tensor) -> np.ndarray:
    """What the model says of processor tensors: probabilities or numbers [B, C] float64."""
    answers = cast(Any, fitted.answers)
    with evaluation_mode(answers):
        encoded = encoded_by_model(fitted.inputs, inputs)
        logits = answers(inputs=encoded, present=present_BM)["logits"].float().cpu().numpy()
    return np.asarray(fitted.task.activate(logits, fitted.labels), dtype=np.float64)


def encoded_by_model(known: ModelInputs, inputs: Inputs) -> Inputs:
    """Frozen modalities encoded as for the feature store, tokens in half precision; the others as they are."""
    found: Inputs = {}
    for modality in known.modalities:
        name, tensors = modality.name, inputs[modality.name]
        encoder = known.frozen.get(name)
        if encoder is None:
            found[name] = tensors
            continue
        own = {key: tensor for key, tensor in tensors.items() if not key.startswith(NOT_ENCODED)}
        made = encode_sets(encoder, **own) if MEMBERS in own else encoder(**own)
        found[name] = {key: tensor for key, tensor in tensors.items() if key not in own}
        found[name]["vector_BD"] = made.vector_BD.float()
        if known.with_tokens and made.tokens_BTD is not None:
            is_set = MODALITY_KINDS.get(modality.kind).is_set
            found[name]["tokens_BTD"] = made.tokens_BTD if is_set else made.tokens_BTD.half().float()
            found[name]["mask_BT"] = made.mask_BT
    return found
