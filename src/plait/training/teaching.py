"""Unimodal teachers: what networks of one modality each made of the training rows, for the fused one to keep near."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from plait.inference.forward import evaluation_batches, evaluation_mode
from plait.inputs.dataset import RowBatches
from plait.model import PlaitModel

ROWS_AT_ONCE = 1024


def taught_vectors(teachers: Mapping[str, PlaitModel], rows: RowBatches) -> list[Tensor]:
    """The adapted vectors of each teacher for all rows, [N, D_m] a modality in the order of ``rows``; zeros if missing.

    Args:
        teachers: The network of each modality alone, by its name.
        rows: Training rows of all modalities.
    """
    taught = []
    for m, name in enumerate(rows.sources):
        network = teachers[name]
        own = RowBatches({name: rows.sources[name]}, rows.index_NM[:, [m]])
        made_ND = torch.zeros(len(rows), network.config.modalities[0]["vector_dim"])
        with evaluation_mode(network, inference=False):
            for places, batch in evaluation_batches(network, own, batch_size=ROWS_AT_ONCE):
                vector_BD = network.encode(batch["inputs"], batch["present"])[0].vector_BD
                made_ND[torch.from_numpy(places)] = torch.where(batch["present"], vector_BD, 0.0).float().cpu()
        taught.append(made_ND)
    return taught
