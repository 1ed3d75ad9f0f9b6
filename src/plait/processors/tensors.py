"""Arrays of a processor as tensors: the one step of the plain processors that needs PyTorch.

The processors of pictures, sounds, words, numbers and vectors work with numpy alone (``arrays``), so that they can
stand in a folder that knows no PyTorch; ``process`` hands their arrays over without a copy.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from plait.processors.audio import join_arrays


def as_tensors(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """The same names and memory as tensors."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def join_clips(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """One batch of clips that were processed one by one, as :func:`plait.processors.audio.join_arrays` makes it."""
    return as_tensors(join_arrays([{name: tensor.numpy() for name, tensor in part.items()} for part in parts]))
