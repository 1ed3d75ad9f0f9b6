"""Encoded items that are not on disk yet, written out as segments along the way.

How much a kill may cost is limited by items, bytes and time: half a second of work at first, later a twentieth of the
time spent so far, a minute at most. So short work is shared and kept early, and long work does not fall into
thousands of segments.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from plait.inputs.feature_store.segment import FeatureStoreError
from plait.inputs.feature_store.space import Space

FLUSH_ITEMS = 1024
FLUSH_BYTES = 64 * 1024**2
LEAST_SECONDS, MOST_SECONDS, SHARE_OF_TIME = 0.5, 60.0, 0.05


@dataclass
class Buffer:
    """Encoded items not yet on disk."""

    space: Space
    with_tokens: bool
    keys: list[str] = field(default_factory=list)
    vectors: list[np.ndarray] = field(default_factory=list)
    tokens: list[np.ndarray] = field(default_factory=list)
    num_bytes: int = 0
    began_at: float = field(default_factory=time.monotonic)
    flushed_at: float = field(default_factory=time.monotonic)
    is_broken: bool = False

    def add(self, key: str, vector: np.ndarray, tokens: np.ndarray | None) -> None:
        """Take one item."""
        self.vectors.append(vector)
        self.num_bytes += vector.nbytes
        if tokens is not None:
            self.tokens.append(tokens)
            self.num_bytes += tokens.nbytes
        self.keys.append(key)  # last: an interrupt in between leaves a row without a key, cut off below

    def flush_if_due(self) -> None:
        """Write a segment if there is enough for one, or it is time."""
        now = time.monotonic()
        wait = min(MOST_SECONDS, max(LEAST_SECONDS, SHARE_OF_TIME * (now - self.began_at)))
        if len(self.keys) >= FLUSH_ITEMS or self.num_bytes >= FLUSH_BYTES or now - self.flushed_at > wait:
            self.flush()

    def flush(self) -> None:
        """Write what there is as one segment.

        Raises:
            FeatureStoreError: The folder cannot be written.
        """
        if not self.keys or self.is_broken:
            return
        num = len(self.keys)
        try:
            self.space.put(self.keys, np.stack(self.vectors[:num]), self.tokens[:num] if self.with_tokens else None)
        except FeatureStoreError:
            self.is_broken = True  # the error is on its way to the user; do not try again while leaving
            raise
        self.keys, self.vectors, self.tokens, self.num_bytes = [], [], [], 0
        self.flushed_at = time.monotonic()
