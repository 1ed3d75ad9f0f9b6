"""Encode every item once, so that recombining rows costs no encoder.

Frozen encoders run before the model and their features are kept; encoders that were trained live inside the model.
Here those run once over the unique items of the rows, and the model is then fed vectors and tokens. The words of a bag
that stands beside an encoder are handed on as they are.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from plait.inference.forward import evaluation_mode, to_device
from plait.inputs.dataset import Source, TensorSource
from plait.inputs.words import WORD_KEYS
from plait.model import PlaitModel

MAX_CELLS = 500_000_000


def encode_once(
    model: PlaitModel, sources: dict[str, Source], index_NM: np.ndarray, *, batch_size: int = 128
) -> tuple[dict[str, Source], np.ndarray]:
    """Replace the sources of encoders inside the model by what those encoders make of the items.

    Args:
        model: The model, in any mode; it is put back into it.
        sources: Where tensors come from, in model order.
        index_NM: Item of each modality in each row, -1 where missing.
        batch_size: Items at once.

    Returns:
        Sources and the item numbers that go with them. A modality whose tokens would not fit into memory keeps its
        source, and is encoded each time it is used.
    """
    made, numbers = dict(sources), index_NM.copy()
    for m, (name, source) in enumerate(sources.items()):
        unique = np.unique(index_NM[index_NM[:, m] >= 0, m])
        if model.encoder_of(m) is None or len(unique) == 0:
            continue
        tensors = _encode(model, m, source, unique, batch_size)
        if tensors is not None:
            made[name] = TensorSource(tensors)
            numbers[:, m] = np.where(index_NM[:, m] >= 0, np.searchsorted(unique, index_NM[:, m]), -1)
    return made, numbers


def _encode(model: PlaitModel, m: int, source: Source, items: np.ndarray, batch_size: int) -> dict[str, Tensor] | None:
    device = next(model.parameters()).device
    with_tokens = model.fusion.info.needs_tokens
    parts: list[dict[str, Tensor]] = []
    with evaluation_mode(model):
        for start in range(0, len(items), batch_size):
            batch = source.take(items[start : start + batch_size])
            encoded = model.encode_modality(m, to_device(batch, device))
            part = {"vector_BD": encoded.vector_BD.cpu(), **{k: batch[k] for k in WORD_KEYS if k in batch}}
            if with_tokens and encoded.tokens_BTD is not None:
                tokens = encoded.tokens_BTD.cpu()
                mask = torch.ones(tokens.shape[:2], dtype=torch.bool)
                part["tokens_BTD"] = tokens
                part["mask_BT"] = mask if encoded.mask_BT is None else encoded.mask_BT.cpu().bool()
                if tokens[0].numel() * len(items) > MAX_CELLS:
                    return None
            parts.append(part)
    return {key: _joined([part[key] for part in parts]) for key in parts[0]}


def _joined(parts: list[Tensor]) -> Tensor:
    """Batches under one another; shorter rows of tokens or words are padded with zeros (False in a mask)."""
    if parts[0].ndim < 2 or len({part.shape[1] for part in parts}) == 1:
        return torch.cat(parts)
    longest = max(part.shape[1] for part in parts)
    padded = []
    for part in parts:
        filler = part.new_zeros((part.shape[0], longest - part.shape[1], *part.shape[2:]))
        padded.append(torch.cat([part, filler], dim=1))
    return torch.cat(padded)
