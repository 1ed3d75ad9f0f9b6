"""Embeddings: each modality of a row as a unit vector of one space, and the hash of everything that decides it.

In: a model whose fusion hands out unit vectors, and rows. Out: arrays. Used to choose the epoch, to evaluate, to mine
hard negatives and to build an index.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, cast

import numpy as np
import torch

from plait.data.progress import Progress
from plait.inference.forward import evaluation_batches, evaluation_mode
from plait.inputs.dataset import RowBatches
from plait.inputs.inputs import Inputs
from plait.inputs.words import NO_WORDS
from plait.model import PlaitModel
from plait.processors.words import pad_words
from plait.weights.tensor_file import hash_tensors

ROWS_AT_ONCE = 512


def embed_rows(
    model: PlaitModel, rows: RowBatches, *, progress: Progress | None = None, what: str = "embedding"
) -> np.ndarray:
    """Unit vectors of every modality of every row [N, M, D], float32; zeros where a modality is missing.

    Args:
        model: A model that embeds; its training mode is restored.
        rows: The rows.
        progress: Called with rows done, rows in all and ``what``.
        what: What to call the work.

    Raises:
        ValueError: A vector is not finite.
    """
    head = cast(Any, model.head)
    unit_NMD = np.zeros((len(rows), len(model.config.modality_names), int(head.dim)), dtype=np.float32)
    walk = evaluation_batches(model, rows, batch_size=ROWS_AT_ONCE, progress=progress, what=what)
    with evaluation_mode(model):
        for places, batch in walk:
            present = batch["present"]
            fused = model.fuse(model.encode(batch["inputs"], present), present)
            unit_NMD[places] = head.embed(fused, present).float().cpu().numpy()
    strange = int((~np.isfinite(unit_NMD)).any(axis=(1, 2)).sum())
    if strange:
        raise ValueError(f"the model gives vectors that are not finite for {strange} of {len(unit_NMD)} rows")
    return unit_NMD


def embedding_fingerprint(model: PlaitModel, inputs: Inputs) -> str:
    """sha256 over all that decides a vector: the network's weights, frozen encoders and processors."""
    digest = hashlib.sha256()
    facts: dict[str, Any] = {
        m.name: [
            m.kind,
            inputs.frozen[m.name].fingerprint if m.name in inputs.frozen else None,
            inputs.processors[m.name].fingerprint,
            *([known.fingerprint] if (known := inputs.words.get(m.name)) is not None else []),
        ]
        for m in inputs.modalities
    }
    facts["fusion"] = model.config.fusion
    digest.update(json.dumps(facts, sort_keys=True).encode())
    hash_tensors(digest, model.state_dict())
    return digest.hexdigest()


def embed_side(model: PlaitModel, rows: RowBatches, place: int, *, progress: Progress | None = None) -> np.ndarray:
    """Unit vectors [N, D] of rows that hold one modality of the model only, the one at ``place``.

    Args:
        model: A model that embeds.
        rows: Rows of that modality alone.
        place: Its number in the model.
        progress: Called with (done, total, what).
    """
    names = model.config.modality_names
    index_NM = np.full((len(rows), len(names)), -1, dtype=np.int64)
    index_NM[:, place] = rows.index_NM[:, 0]
    filled = {n: rows.sources[n] if n == names[place] else AbsentModality(model, i) for i, n in enumerate(names)}
    return embed_rows(model, RowBatches(filled, index_NM), progress=progress)[:, place]


class AbsentModality:
    """Stands for a modality that no row has: encoded zeros, which the model masks."""

    def __init__(self, model: PlaitModel, number: int) -> None:
        modality = model.config.modalities[number]
        bag = modality.get("words")
        self.has_words = bag is not None
        self.width = int(modality["vector_dim"]) - (int(bag["width"]) if bag is not None else 0)

    def take(self, index_B: np.ndarray) -> dict[str, torch.Tensor]:
        """Zeros."""
        words = pad_words([NO_WORDS] * len(index_B)) if self.has_words else {}
        return {"vector_BD": torch.zeros(len(index_B), self.width), **words}
