"""An item cut into parts that can be hidden: what every cutter gives.

In: a cell. Out: parts with a place that a page can draw, and the item again with any of them hidden, as the processor
of its kind takes it. Every encoder and every ensemble can therefore be asked, whatever they are inside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Cut:
    """One item in parts.

    Attributes:
        parts: Name and place of each: ``text`` with ``start`` and ``end`` of a word, ``box`` (left, top, right, bottom,
            in 0 to 1) of a region, ``from`` and ``to`` in seconds of a span, ``column`` and ``cell``.
        hidden: Which parts stay ``[P]`` and the number of the draw to the item as the processor takes it.
        stands_for: What stands for a hidden part, in words.
        draws: How many draws are averaged; 1 where hiding is not random.
        shown: What the page shows the parts on: ``text``, ``image_jpeg_base64``, ``pictures`` or
            ``waveform`` [0 to 1].
        note: Worth telling of how the parts were made; None: nothing.
    """

    parts: list[dict[str, Any]]
    hidden: Callable[[np.ndarray, int], Any]
    stands_for: str
    draws: int = 1
    shown: dict[str, Any] = field(default_factory=dict)
    note: str | None = None

    def __len__(self) -> int:
        return len(self.parts)
