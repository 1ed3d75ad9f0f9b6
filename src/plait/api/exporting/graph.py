"""One module from what processors make of rows, and what is present, to answers: what is written as the graph.

Frozen encoders stand in it once each, whatever reads them; networks, members of an ensemble, the weights of each
pattern of what is there and the calibrator behind them. Contents of missing cells are replaced at the door, before any
arithmetic: NaN in them changes no bit of an answer, of no row.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from plait.api.exporting.members import member_graph, network_member
from plait.api.exporting.outputs import FAMILIES, calibrator_graph
from plait.encoders.sets import MEMBERS, pool_set
from plait.ensemble import Ensemble
from plait.inputs.inputs import Inputs as ModelInputs
from plait.inputs.modality_kinds import MODALITY_KINDS
from plait.model import NOT_ENCODED
from plait.training.fitted import FittedParts

Inputs = dict[str, dict[str, Tensor]]
TEXT_MASK = "attention_mask"


class EncodedInputs(nn.Module):
    """Missing contents replaced, and frozen encoders run: the inputs as networks and members take them.

    Args:
        inputs: Modalities of the model, in the order of what is present.
    """

    def __init__(self, inputs: ModelInputs) -> None:
        super().__init__()
        self.names = [m.name for m in inputs.modalities]
        self.sets = {m.name: MODALITY_KINDS.get(m.kind).is_set for m in inputs.modalities}
        self.with_tokens = inputs.with_tokens
        encoders = {id(e): e for e in inputs.frozen.values()}
        self.place = {name: list(encoders).index(id(e)) for name, e in inputs.frozen.items()}
        self.encoders = nn.ModuleList(encoders.values())

    def forward(self, inputs: Inputs, present_BM: Tensor) -> Inputs:
        """The same modalities, frozen ones encoded."""
        return {name: self._one(name, inputs[name], present_BM[:, m]) for m, name in enumerate(self.names)}

    def _one(self, name: str, tensors: dict[str, Tensor], there_B: Tensor) -> dict[str, Tensor]:
        seen = {key: without_missing(key, tensor, there_B) for key, tensor in tensors.items()}
        if name not in self.place:
            return seen
        encoder = self.encoders[self.place[name]]
        beside = {key: tensor for key, tensor in seen.items() if key.startswith(NOT_ENCODED)}
        own = {key: tensor for key, tensor in seen.items() if key not in beside}
        if self.sets[name]:
            return {**beside, **encode_set(encoder, own)}
        made = encoder(**own)
        found = {"vector_BD": made.vector_BD.float()}
        if self.with_tokens and made.tokens_BTD is not None:
            mask_BT = made.mask_BT
            if mask_BT is None:
                mask_BT = torch.ones(made.tokens_BTD.shape[:2], dtype=torch.bool)
            # the feature store keeps tokens in half precision, and networks have learned from those
            found |= {"tokens_BTD": made.tokens_BTD.half().float(), "mask_BT": mask_BT.bool()}
        return {**beside, **found}


class AnswerGraph(nn.Module):
    """See the module.

    Args:
        fitted: The model.

    Raises:
        ValueError: A member or calibrator that ONNX cannot hold, or a task whose outputs are no answers.
    """

    def __init__(self, fitted: FittedParts) -> None:
        super().__init__()
        self.encoded = EncodedInputs(fitted.inputs)
        self.answers: nn.Module
        if fitted.ensemble is None:
            self.answers = network_member(fitted.model, fitted.labels)
        else:
            self.answers = EnsembleLogits(cast(Ensemble, fitted.ensemble))
        calibration = fitted.calibration
        self.calibrator = calibrator_graph(None if calibration is None else calibration.calibrator)
        self.family = FAMILIES.get(fitted.task.output_kind)(fitted.labels)

    def forward(self, inputs: Inputs, present_BM: Tensor) -> Tensor:
        """Probabilities or numbers [B, C]."""
        logits_BC = self.answers(self.encoded(inputs, present_BM), present_BM)
        found: Tensor = self.family.activate(self.calibrator(logits_BC))
        return found


class EnsembleLogits(nn.Module):
    """The twin of ``Ensemble``: members weighed by what is there, as logits [B, C]."""

    known_PM: Tensor  # noqa: N815  shape letters
    weight_PK: Tensor  # noqa: N815
    temperature_P: Tensor  # noqa: N815

    def __init__(self, ensemble: Ensemble) -> None:
        super().__init__()
        self.used = np.flatnonzero(ensemble.weights_PK.max(axis=0) > 0).tolist()
        self.members = nn.ModuleList(member_graph(ensemble.listed[k]) for k in self.used)
        self.family = FAMILIES.get(ensemble.task.output_kind)(ensemble.labels)
        self.dtype = torch.float64 if ensemble.task.output_kind == "number" else torch.float32
        self.register_buffer("known_PM", torch.tensor(ensemble.patterns, dtype=torch.bool))
        weights_PK = torch.from_numpy(ensemble.weights_PK[:, self.used])
        self.register_buffer("weight_PK", weights_PK.to(self.dtype))
        self.register_buffer("temperature_P", torch.from_numpy(ensemble.temperature_P).to(self.dtype))
        self.nothing_1C: Tensor | None
        nothing = None if ensemble.nothing is None else torch.from_numpy(ensemble.nothing)[None].to(self.dtype)
        self.register_buffer("nothing_1C", nothing)

    def forward(self, inputs: Inputs, present_BM: Tensor) -> Tensor:
        """Logits, float32."""
        row_B, any_B1 = self.row_of(present_BM), present_BM.any(1, keepdim=True)
        weight_BK = self.weight_PK[row_B]
        total: Tensor | None = None
        for k, member in enumerate(self.members):
            outputs_BC = member(inputs, present_BM).to(self.dtype)
            weight_B1 = weight_BK[:, k : k + 1]
            term_BC = torch.where(weight_B1 > 0, weight_B1 * outputs_BC, torch.zeros_like(outputs_BC))
            total = term_BC if total is None else total + term_BC
        assert total is not None
        found_BC = self.family.temper(total, self.temperature_P[row_B][:, None])
        if self.nothing_1C is not None:
            found_BC = torch.where(any_B1, found_BC, self.nothing_1C)
        logits_BC: Tensor = self.family.inverse(found_BC)
        return logits_BC.float()

    def row_of(self, present_BM: Tensor) -> Tensor:
        """The row of weights for what is there [B]: its own, or of the nearest known one (``Ensemble.rows_of``)."""
        known_PM, there_B1M = self.known_PM[None].to(torch.int32), present_BM[:, None].to(torch.int32)
        lacking_BP = (known_PM * (1 - there_B1M)).sum(2)
        unused_BP = ((1 - known_PM) * there_B1M).sum(2)
        nearest_B = torch.argmin((lacking_BP * 100 + unused_BP).float(), dim=1)
        return torch.where(present_BM.any(1), nearest_B, torch.zeros_like(nearest_B))


def without_missing(key: str, tensor: Tensor, there_B: Tensor) -> Tensor:
    """A tensor [B, ...] with zeros (of a mask: nothing) where the modality is missing.

    Of the mask of a missing text the first place stays, for attention over nothing gives NaN, which an eight-bit graph
    would spread over the batch.
    """
    there = there_B.reshape(-1, *[1] * (tensor.ndim - 1))
    if tensor.dtype == torch.bool:
        return tensor & there
    filler = torch.zeros((), dtype=tensor.dtype)
    if key == TEXT_MASK:
        filler = (torch.arange(tensor.shape[1]) == 0).to(tensor.dtype)
    return torch.where(there, tensor, filler)


def encode_set(encoder: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Encoded sets: all places of all sets at once, those behind the last member dropped afterwards."""
    mask_BK = tensors[MEMBERS]
    members = {key: tensor.flatten(0, 1) for key, tensor in tensors.items() if key != MEMBERS}
    vectors_ND = encoder(**members).vector_BD.float()
    made = pool_set(vectors_ND.reshape(*mask_BK.shape, vectors_ND.shape[1]), mask_BK)
    assert made.tokens_BTD is not None and made.mask_BT is not None
    return {"vector_BD": made.vector_BD, "tokens_BTD": made.tokens_BTD, "mask_BT": made.mask_BT}
