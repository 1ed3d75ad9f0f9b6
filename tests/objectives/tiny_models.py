"""Tiny models with aids, and batches with every pattern of presence."""

from __future__ import annotations

from itertools import product
from typing import Any

import torch

from plait.fusion import FUSIONS
from plait.model import PlaitConfig, PlaitModel

WIDTH = 8
VECTOR_DIMS = (5, 6, 7)
EACH = {
    "auxiliary": {"auxiliary": 0.3},
    "gradient_blending": {"gradient_blending": 1.0},
    "ogm": {"ogm": 0.7},
    "ogm_noise": {"ogm": 0.7, "ogm_noise": 1.0},
    "alignment": {"alignment": 0.5},
    "orthogonality": {"orthogonality": 0.5},
    "several": {"auxiliary": 0.3, "ogm": 0.7, "alignment": 0.5, "orthogonality": 0.5},
}
NUM_OUTPUTS = {"classification": 3, "multilabel": 3, "regression": 1, "matching": 2}


def count_for(fusion: str) -> int:
    """Three modalities, or as many as the fusion takes."""
    return min(3, FUSIONS.get(fusion).max_modalities or 3)


def make_model(
    aids: dict[str, float], fusion: str = "concat", task: str = "classification", seed: int = 0, **changes: Any
) -> PlaitModel:
    torch.manual_seed(seed)
    count = 2 if task == "matching" else count_for(fusion)
    modalities = [
        {"name": f"m{m}", "kind": "text", "vector_dim": VECTOR_DIMS[m], "token_dim": 4, "encoder": None}
        for m in range(count)
    ]
    values: dict[str, Any] = {
        "modalities": modalities,
        "fusion": {"name": fusion, "width": WIDTH, "dropout": 0.0, "options": {}},
        "num_outputs": NUM_OUTPUTS[task],
        "task": task,
        "aids": aids,
        **changes,
    }
    return PlaitModel(PlaitConfig(**values))


def make_batch(count: int, task: str = "classification", repeat: int = 2, seed: int = 3) -> dict[str, Any]:
    """Rows with every pattern of presence, all-missing included, ``repeat`` times."""
    generator = torch.Generator().manual_seed(seed)
    present = torch.tensor(list(product([True, False], repeat=count)) * repeat)
    rows = len(present)
    inputs = {
        f"m{m}": {
            "vector_BD": torch.randn(rows, VECTOR_DIMS[m], generator=generator),
            "tokens_BTD": torch.randn(rows, 3, 4, generator=generator),
            "mask_BT": torch.ones(rows, 3, dtype=torch.bool),
        }
        for m in range(count)
    }
    targets = {
        "classification": torch.arange(rows) % 3,
        "matching": torch.arange(rows) // 2 % 2,
        "regression": torch.randn(rows, generator=generator),
        "multilabel": (torch.rand(rows, 3, generator=generator) > 0.5).float(),
    }
    keys = torch.arange(rows)[:, None].repeat(1, count)
    return {
        "inputs": inputs, "present": present, "target": targets[task], "group": torch.arange(rows),
        "keys": torch.where(present, keys, -1),
    }  # fmt: skip


def shake(model: PlaitModel) -> PlaitModel:
    """Move every parameter off its start, which for adapters is zero."""
    torch.manual_seed(9)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model
