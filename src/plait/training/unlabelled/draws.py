"""Which unlabelled rows a step sees, and their strong view: drawn by counters, so that nothing has to be kept.

Steps walk through one random order of the rows after another. Strong views show the view of the epoch where views
were made (``augment.views``); on top, stored vectors get noise, numbers and categories swap cells, and modalities are
hidden.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.fusion.modality_dropout import hide_modalities
from plait.inputs.dataset import Source, TensorSource
from plait.processors.augment.numbers import swapped
from plait.processors.augment.views import generator_of
from plait.settings import UnlabelledSettings

SWAPPED = 0.1  # probability that a cell of numbers and categories comes from another unlabelled row
NOISED = ("vector_BD", "tokens_BTD")


def rows_of_step(seed: int, step: int, count: int, batch: int) -> np.ndarray:
    """Numbers of the rows of a step, [min(batch, count)]; each row comes once before any comes again.

    Example:
        >>> sorted(np.concatenate([rows_of_step(0, s, 6, 2) for s in range(3)]).tolist())
        [0, 1, 2, 3, 4, 5]
    """
    batch = min(batch, count)
    places = step * batch + np.arange(batch)
    rounds = {int(r): generator_of(seed, "unlabelled", int(r)).permutation(count) for r in np.unique(places // count)}
    return np.array([rounds[int(p // count)][p % count] for p in places], dtype=np.int64)


def strong_view(
    batch: dict[str, Any], sources: dict[str, Source], index_BM: np.ndarray, settings: UnlabelledSettings,
    seed: tuple[int, int, int],
) -> dict[str, Any]:  # fmt: skip
    """A batch with changed inputs and fewer modalities.

    Args:
        batch: As ``RowBatches`` gives it: ``inputs`` and ``present``.
        sources: Per modality, where its tensors came from.
        index_BM: Numbers of the items, -1 where missing.
        settings: How strongly it is changed.
        seed: The run's seed, the epoch and the step: the same give the same view.
    """
    generator = generator_of(seed[0], "strong", *seed[1:])
    made = {}
    for m, (name, tensors) in enumerate(batch["inputs"].items()):
        source = sources[name]
        if isinstance(source, TensorSource):
            there_B = index_BM[:, m] >= 0
            pool = np.unique(index_BM[there_B, m])
            tensors = swapped(tensors, source.tensors, generator, pool, SWAPPED, there_B)
        made[name] = {
            key: _noisy(tensor, settings.noise, generator) if key in NOISED and not _is_live(source) else tensor
            for key, tensor in tensors.items()
        }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator.integers(2**31)))
        present = hide_modalities(batch["present"], [settings.hidden] * batch["present"].shape[1])
    return {**batch, "inputs": made, "present": present}


def has_strong_view(sources: dict[str, Source], num_views: int, settings: UnlabelledSettings) -> bool:
    """Whether any input of a row can be changed."""
    is_changed = any(isinstance(s, TensorSource) or (settings.noise > 0 and not _is_live(s)) for s in sources.values())
    return num_views > 1 or is_changed or (len(sources) > 1 and settings.hidden > 0)


def _is_live(source: Source) -> bool:
    return bool(getattr(source, "is_live", False)) or isinstance(source, TensorSource)


def _noisy(tensor: Tensor, level: float, generator: np.random.Generator) -> Tensor:
    """Gaussian noise of ``level`` standard deviations of each feature over the batch."""
    size = tensor.float().flatten(0, -2).std(dim=0, unbiased=False)
    noise = torch.from_numpy(generator.standard_normal(tuple(tensor.shape), dtype=np.float32))
    return tensor + (level * size * noise).to(tensor.dtype)
