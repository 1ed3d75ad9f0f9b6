"""What a linear model, a distance or a test of drift reads of rows: one vector an item, from the feature store.

Frozen encoders give their vectors, columns of numbers and categories their standardised values; an encoder that was
trained gives what it makes of the item, and has then seen the labels of its training rows.
"""

from __future__ import annotations

import numpy as np
import torch

from plait.ensemble.features import plain_of_items
from plait.evaluation.base import EvaluationInputs
from plait.inference.forward import evaluation_mode, to_device
from plait.inputs.dataset import Source
from plait.inputs.inputs import Inputs
from plait.inputs.modality_kinds import MODALITY_KINDS
from plait.inputs.prepare import Prepared
from plait.model import PlaitModel

ITEMS_AT_ONCE = 64


def item_features(inputs: Inputs, prepared: Prepared, model: PlaitModel | None = None) -> dict[str, np.ndarray]:
    """One vector an item, by modality [I, D] float32.

    Args:
        inputs: What reads the modalities.
        prepared: A table they made ready.
        model: Holds the encoders that were trained; without it their modalities have no features.
    """
    found = {}
    for m, modality in enumerate(inputs.modalities):
        source, count = prepared.sources[modality.name], len(prepared.rows.items[modality.name].keys)
        kind = MODALITY_KINDS.get(modality.kind)
        plain = kind.plain(inputs.processors[modality.name], modality.name in inputs.frozen)
        if plain is not None:
            found[modality.name] = plain_of_items(source, count, plain)
        elif model is not None and count:
            found[modality.name] = _trained(model, m, source, count)
    return found


def row_features(
    inputs: Inputs, given: EvaluationInputs, features: dict[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """One vector a judged row, by modality, zeros where the modality is missing [N, D] float32."""
    known = item_features(inputs, given.prepared, given.model) if features is None else features
    found = {}
    for name, items_ID in known.items():
        index_N = given.prepared.rows.items[name].index_N[given.positions]
        found[name] = np.where((index_N >= 0)[:, None], items_ID[np.maximum(index_N, 0)], 0.0).astype(np.float32)
    return found


def learned_from_labels(inputs: Inputs) -> list[str]:
    """Modalities whose features were learned from the labels of training rows."""
    return [
        m.name for m in inputs.modalities
        if MODALITY_KINDS.get(m.kind).plain(inputs.processors[m.name], m.name in inputs.frozen) is None
    ]  # fmt: skip


def _trained(model: PlaitModel, m: int, source: Source, count: int) -> np.ndarray:
    device = next(model.parameters()).device
    parts = []
    with evaluation_mode(model):
        for start in range(0, count, ITEMS_AT_ONCE):
            tensors = source.take(np.arange(start, min(start + ITEMS_AT_ONCE, count)))
            if "vector_BD" in tensors:
                parts.append(tensors["vector_BD"].float().cpu())
            else:
                parts.append(model.encode_modality(m, to_device(tensors, device)).vector_BD.float().cpu())
    return torch.cat(parts).numpy()
