"""The contract of parts that are fitted on validation rows, not by gradient on training rows.

A head or a fusion that has ``calibrate_from`` is handed the rows after every epoch. What it fits lies in persistent
buffers, so it is saved, restored and chosen with the weights of its epoch. ``notes`` reads those buffers and says what
could not be fitted; the sentences stand in the reports of fit and compare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from plait.encoders.base import Encoded
from plait.fusion.base import FusionOutput


@dataclass
class SeenBatch:
    """A batch as the model in evaluation mode sees it; ``fuse`` runs the fusion when asked.

    ``key_BM`` holds the item number of each modality of each row: equal numbers are one item.
    """

    encoded: list[Encoded]
    present_BM: Tensor  # noqa: N815  shape letters
    fuse: Callable[[], FusionOutput]
    key_BM: Tensor | None = None  # noqa: N815


class SeenRows(Protocol):
    """Rows with their encoded targets, batch by batch."""

    target: np.ndarray

    def batches(self, chosen: np.ndarray | None = None) -> Iterator[SeenBatch]:
        """All rows in order, or those at the positions ``chosen``."""


@runtime_checkable
class Observing(Protocol):
    """A part that looks at the training rows once, before training; what it saw lies in persistent buffers."""

    def observe(self, train: SeenRows) -> None:
        """Take what must be known before training from encoded training rows."""


@runtime_checkable
class Calibrated(Protocol):
    """A part that is fitted on validation rows."""

    def calibrate_from(self, train: SeenRows, val: SeenRows) -> None:
        """Fit what must not be fitted by gradient; do nothing when the rows do not suffice."""

    def notes(self, outputs: Sequence[str]) -> list[str]:
        """Sentences about what could not be fitted, given the names of the outputs; none where all was."""
