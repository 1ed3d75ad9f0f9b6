"""Bare samples of sounds, as wav2vec2 and its relatives hear them: one channel, the wanted rate, mean 0 and variance 1.

In: the bytes or the path of one sound an item; None is a missing one. Out: ``values`` [B, T] and ``mask_BT``. Numpy
alone; the same numbers as the feature extractor of ``transformers``.
Reference: Baevski et al. 2020 (wav2vec 2.0), section 4.1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from plait.processors.audio import Arrays, join_arrays
from plait.processors.clip import check_seconds, read_clip

SMALLEST_VARIANCE = 1e-7


class SampleReader:
    """Reads sounds to samples.

    Args:
        rate: Samples a second.
        max_seconds: Longer clips are cut.
        min_samples: Shorter clips get zeros behind them, which count as heard.
        normalises: Whether each clip gets mean 0 and variance 1.
    """

    def __init__(self, rate: int, max_seconds: float, min_samples: int, normalises: bool) -> None:
        self.rate, self.min_samples, self.normalises = int(rate), int(min_samples), bool(normalises)
        self.max_seconds = check_seconds(max_seconds)

    def arrays(self, sources: list[bytes | Path | None]) -> Arrays:
        """Samples float32 [B, T] and ``mask_BT`` bool [B, T].

        Raises:
            CellError: A sound is broken, empty or holds NaN.
        """
        if not sources:
            return {name: array[:0] for name, array in self.one(None).items()}
        return join_arrays([self.one(source) for source in sources])

    def one(self, source: bytes | Path | None) -> Arrays:
        """The same of one sound."""
        samples_T = np.zeros(1, np.float32) if source is None else read_clip(source, self.rate, self.max_seconds)
        values_T = np.pad(samples_T, (0, max(0, self.min_samples - len(samples_T))))
        if self.normalises:
            values_T = (values_T - values_T.mean()) / np.sqrt(values_T.var() + SMALLEST_VARIANCE)
        real_T = np.full(len(values_T), source is not None)
        return {"values": values_T.astype(np.float32)[None], "mask_BT": real_T[None]}

    def to_json(self) -> dict[str, Any]:
        """The settings."""
        return {
            "type": "samples", "rate": self.rate, "max_seconds": self.max_seconds, "min_samples": self.min_samples,
            "normalises": self.normalises,
        }  # fmt: skip

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> SampleReader:
        """Rebuild from ``to_json``."""
        return cls(**{key: value for key, value in description.items() if key != "type"})
