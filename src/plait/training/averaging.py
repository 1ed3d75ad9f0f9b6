"""A moving average of the weights, evaluated and kept in their place.

    a_t = d_t a_{t-1} + (1 - d_t) w_t        d_t = min(d, (1 + t) / (10 + t))

t counts steps from 1; the smaller decay of the first steps keeps the random start out of the average. Only trained
parameters are averaged; buffers are the model's.

Reference: Polyak and Juditsky 1992 (averaging); Tarvainen and Valpola 2017, section 3 (exponential, of a model that is
trained). The warm-up of the decay is that of TensorFlow's ``ExponentialMovingAverage``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

AVERAGE_FILE = "average.safetensors"
STEPS = "steps"


class WeightAverage:
    """See the module.

    Args:
        model: Its parameters that are trained are averaged.
        decay: d in (0, 1).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.mean = {name: p.detach().clone() for name, p in self.trained.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights after a step into the average."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, parameter in self.trained.items():
            self.mean[name].lerp_(parameter.detach(), 1.0 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model with the averaged weights; afterwards it has its own again."""
        own = {name: p.detach().clone() for name, p in self.trained.items()}
        self._put(self.mean)
        try:
            yield
        finally:
            self._put(own)

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint must hold."""
        held = {name: mean.cpu().contiguous() for name, mean in self.mean.items()}
        return {**held, STEPS: torch.tensor(self.steps)}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up what ``tensors`` gave."""
        self.steps = int(tensors.pop(STEPS))
        for name, mean in tensors.items():
            self.mean[name].copy_(mean)

    @torch.no_grad()
    def _put(self, values: dict[str, Tensor]) -> None:
        for name, parameter in self.trained.items():
            parameter.copy_(values[name])
