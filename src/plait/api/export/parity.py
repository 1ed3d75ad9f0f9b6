"""A graph's answers compared with the model's own: on random rows of several shapes, and on rows of a table.

The model answers by its own path (frozen encoders, networks or ensemble, calibrator, activation), not by the module
that was traced, so that a fault of that module shows as well.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from plait.encoders.sets import MEMBERS, encode_sets
from plait.inference.forward import evaluation_mode
from plait.inputs.modality_kinds import MODALITY_KINDS
from plait.model import NOT_ENCODED
from plait.training.fitted import FittedParts

Inputs = dict[str, dict[str, Tensor]]


def plait_outputs(fitted: FittedParts, inputs: Inputs, present_BM: Tensor) -> np.ndarray:
    """What the model says of processor tensors: probabilities or numbers [B, C] float64."""
    answers = cast(Any, fitted.answers)
    with evaluation_mode(answers):
        encoded = encoded_by_model(fitted, inputs)
        logits = answers(inputs=encoded, present=present_BM)["logits"].float().cpu().numpy()
    return np.asarray(fitted.task.activate(logits, fitted.labels), dtype=np.float64)


def encoded_by_model(fitted: FittedParts, inputs: Inputs) -> Inputs:
    """Frozen modalities encoded as for the feature store, tokens in half precision; the others as they are."""
    found: Inputs = {}
    for modality in fitted.inputs.modalities:
        name, tensors = modality.name, inputs[modality.name]
        encoder = fitted.inputs.frozen.get(name)
        if encoder is None:
            found[name] = tensors
            continue
        own = {key: tensor for key, tensor in tensors.items() if not key.startswith(NOT_ENCODED)}
        made = encode_sets(encoder, **own) if MEMBERS in own else encoder(**own)
        found[name] = {key: tensor for key, tensor in tensors.items() if key not in own}
        found[name]["vector_BD"] = made.vector_BD.float()
        if fitted.inputs.with_tokens and made.tokens_BTD is not None:
            is_set = MODALITY_KINDS.get(modality.kind).is_set
            found[name]["tokens_BTD"] = made.tokens_BTD if is_set else made.tokens_BTD.half().float()
            found[name]["mask_BT"] = made.mask_BT
    return found
