"""The optimizer of a run: which weight learns at which rate.

Fusion, head and what is from scratch learn at ``train.learning_rate``. Pretrained weights learn at
``train.encoder_learning_rate``, those of an encoder more slowly the more blocks stand behind them
(``train.layer_decay``): what is near the input holds what is
general. Weights of LoRA begin at nothing and know no layers.

Reference: Howard and Ruder 2018, "Universal Language Model Fine-tuning", section 3.2 (discriminative fine-tuning,
    eta[l-1] = eta[l] / 2.6).
"""

from __future__ import annotations

import torch

from plait.encoders.tuning import blocks_behind
from plait.model import PlaitModel
from plait.settings import TrainSettings
from plait.training.sharding import Sharding


def make_optimizer(
    model: PlaitModel, settings: TrainSettings, sharding: Sharding | None = None
) -> torch.optim.Optimizer:
    """SGD or AdamW over all weights that learn, of sharded encoders over this process's part of them.

    Vectors have no decay.
    """
    assert settings.learning_rate is not None and settings.weight_decay is not None
    factor = _layer_factors(model, settings.layer_decay)
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        rate = settings.learning_rate
        if model.learns_gently(name):
            assert settings.encoder_learning_rate is not None
            rate = settings.encoder_learning_rate * factor.get(id(parameter), 1.0)
        decay = settings.weight_decay if parameter.ndim > 1 else 0.0
        own = parameter if sharding is None else sharding.stand_in(name, parameter)
        groups.setdefault((rate, decay), []).append(own)
    listed = [{"params": p, "lr": rate, "weight_decay": decay} for (rate, decay), p in groups.items()]
    made: torch.optim.Optimizer
    if settings.optimizer == "sgd":
        made = torch.optim.SGD(listed, lr=settings.learning_rate, momentum=settings.momentum, fused=True)
    else:
        made = torch.optim.AdamW(listed, lr=settings.learning_rate, fused=True)
    if sharding is not None:
        sharding.attach(made)
    return made


def _layer_factors(model: PlaitModel, decay: float | None) -> dict[int, float]:
    """The factor on the rate of an encoder's weights, by their identity; weights that are not there have 1."""
    if decay is None or decay == 1:
        return {}
    factors: dict[int, float] = {}
    for encoder in model.encoders.values():
        if encoder.is_pretrained and encoder.tuning["mode"] != "lora":  # type: ignore[union-attr,index]
            factors |= {id(p): decay**behind for p, behind in blocks_behind(encoder)}  # type: ignore[arg-type]
    return factors
