"""Encode every item once, so that recombining rows costs no encoder.

Frozen encoders run before the model and their features are kept; encoders that were trained live inside the model, or
inside each network of an ensemble. Here those run once over the unique items of the rows, and the model is then fed
vectors and tokens, each network of an ensemble its own. Words and n-grams, which no encoder reads, and numbers are
handed on as they are.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from plait.ensemble.ensemble import Ensemble
from plait.ensemble.network import NetworkMember
from plait.inference.forward import evaluation_mode, to_device
from plait.inputs.dataset import Source, TensorSource
from plait.model import NOT_ENCODED, PlaitModel

MAX_CELLS = 500_000_000
Live = tuple[str, PlaitModel, int]


def encode_once(
    answers: nn.Module, sources: dict[str, Source], index_NM: np.ndarray, *, batch_size: int = 128
) -> tuple[dict[str, Source], np.ndarray]:
    """Replace the sources of encoders inside the model by what those encoders make of the items.

    Args:
        answers: A model or an ensemble, in any mode; it is put back into it.
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
        live = _live(answers, m)
        if not live:
            continue
        items = unique if len(unique) else np.array([-1])  # of a modality that no row has, the width is known then
        tensors = _encode(live, source, items, batch_size, keep=_others_read(answers, m))
        if tensors is not None:
            made[name] = TensorSource(tensors)
            numbers[:, m] = np.where(index_NM[:, m] >= 0, np.searchsorted(unique, index_NM[:, m]), -1)
    return made, numbers


def _live(answers: nn.Module, m: int) -> list[Live]:
    """Networks with an encoder of their own for a modality: the mark of what is theirs, and which of theirs it is."""
    if isinstance(answers, PlaitModel):
        return [("", answers, m)] if answers.encoder_of(m) is not None else []
    networks = answers.networks if isinstance(answers, Ensemble) else []
    found = [(member.mark, member.network, member.uses.index(m)) for member in networks if m in member.uses]
    return [(mark, network, own) for mark, network, own in found if network.encoder_of(own) is not None]


def _others_read(answers: nn.Module, m: int) -> bool:
    """Whether members of an ensemble that are no networks read a modality as it is."""
    members = answers.listed if isinstance(answers, Ensemble) else []
    return any(m in one.uses for one in members if not any(isinstance(p, NetworkMember) for p in one.modules()))


def _encode(
    live: list[Live], source: Source, items: np.ndarray, batch_size: int, *, keep: bool
) -> dict[str, Tensor] | None:
    """What each network makes of the items, under its mark, beside what others read; None: too much to keep.

    Args:
        live: The networks.
        source: Gives the items.
        items: Their numbers.
        batch_size: Items at once.
        keep: Keep what the encoders read too.
    """
    parts: list[dict[str, Tensor]] = []
    for start in range(0, len(items), batch_size):
        batch = source.take(items[start : start + batch_size])
        part = {k: v for k, v in batch.items() if keep or k.startswith(NOT_ENCODED)}
        for mark, network, m in live:
            with evaluation_mode(network):
                encoded = network.encode_modality(m, to_device(batch, next(network.parameters()).device))
            part[mark + "vector_BD"] = encoded.vector_BD.cpu()
            if network.fusion.info.needs_tokens and encoded.tokens_BTD is not None:
                tokens = encoded.tokens_BTD.cpu()
                mask = torch.ones(tokens.shape[:2], dtype=torch.bool)
                part[mark + "tokens_BTD"] = tokens
                part[mark + "mask_BT"] = mask if encoded.mask_BT is None else encoded.mask_BT.cpu().bool()
                if tokens[0].numel() * len(items) * len(live) > MAX_CELLS:
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
