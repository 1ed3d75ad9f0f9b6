"""Ready vectors to tensors.

In: float32 arrays, [D] or [T, D] an item; None is a missing one. Out: ``values_BTD``, padded to the longest sequence,
and ``mask_BT``. Nothing is scaled here: mean and standard deviation are weights of the encoder, saved with the model.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plait.processors.description import settings_sha256, write_settings

if TYPE_CHECKING:
    from torch import Tensor


class VectorProcessor:
    """Vectors of one width.

    Args:
        width: Numbers in each vector, D.

    Example:
        >>> VectorProcessor(2).process([np.ones((3, 2)), None])["mask_BT"].tolist()
        [[True, True, True], [False, False, False]]
    """

    kind = "vector"

    def __init__(self, width: int) -> None:
        if width < 1:
            raise ValueError(f"width is {width}; expected 1 or more")
        self.width = int(width)

    def process(self, vectors: list[np.ndarray[Any, Any] | None]) -> dict[str, Tensor]:
        """Pad and stack.

        Returns:
            ``values_BTD`` float32 and ``mask_BT`` bool.

        Raises:
            ValueError: A vector of another width.
        """
        from plait.processors.tensors import as_tensors

        return as_tensors(self.arrays(vectors))

    def arrays(self, vectors: list[np.ndarray[Any, Any] | None]) -> dict[str, np.ndarray]:
        """The same as arrays."""
        rows = [np.zeros((0, self.width)) if v is None else v.reshape(-1, v.shape[-1]) for v in vectors]
        for position, row in enumerate(rows):
            if row.shape[1] != self.width:
                raise ValueError(f"vector {position} has {row.shape[1]} numbers; expected {self.width}")
        longest = max(1, max((len(row) for row in rows), default=1))
        values_BTD = np.zeros((len(rows), longest, self.width), dtype=np.float32)
        mask_BT = np.zeros((len(rows), longest), dtype=bool)
        for position, row in enumerate(rows):
            values_BTD[position, : len(row)] = row
            mask_BT[position, : len(row)] = True
        return {"values_BTD": values_BTD, "mask_BT": mask_BT}

    def to_json(self) -> dict[str, Any]:
        """The settings."""
        return {"type": "vector", "width": self.width}

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> VectorProcessor:
        """Rebuild from ``to_json``."""
        return cls(int(description["width"]))

    @property
    def fingerprint(self) -> str:
        """Hash of the settings."""
        return settings_sha256(self.to_json())

    def save(self, folder: str | Path) -> None:
        """Write ``processor.json`` into a folder."""
        write_settings(self.to_json(), folder)
