"""The rows without a target of a plan, and the pseudo-labels that a teacher gave them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plait.settings import UnlabelledSettings


@dataclass(frozen=True)
class PseudoLabels:
    """What a teacher says of unlabelled rows.

    Attributes:
        target: Encoded as ``Plan.target``, [U] or [U, C].
        weight_U: Weight of each in (0, 1], 0 where it was not sure enough; where no threshold cuts any off, by how sure
            each is, of mean one, so that unlabelled rows together weigh as much as labelled ones.
        facts: What is told: threshold, temperature, precision on labelled rows that the teacher had not seen.
    """

    target: np.ndarray
    weight_U: np.ndarray  # noqa: N815  shape letters
    facts: dict[str, Any]


Label = Callable[[np.ndarray], PseudoLabels]  # from positions of training rows, the only labels a teacher may see


@dataclass
class UnlabelledRows:
    """Rows that teach without a target.

    Attributes:
        positions: In the table [U].
        settings: Resolved: the method and how it works.
        truth: Encoded targets [U] or [U, C] that some have all the same, which train nothing.
        known_U: Whether a row has one.
        label: A teacher's pseudo-labels by the training rows that it may learn from; None: the network teaches itself.
    """

    positions: np.ndarray
    settings: UnlabelledSettings
    truth: np.ndarray
    known_U: np.ndarray  # noqa: N815  shape letters
    label: Label | None = None
    _given: dict[bytes, PseudoLabels] = field(default_factory=dict)

    def pseudo_labels(self, train: np.ndarray) -> PseudoLabels:
        """Pseudo-labels by a teacher that learned from these training rows alone; each set is taught once."""
        assert self.label is not None
        key = np.ascontiguousarray(train).tobytes()
        if key not in self._given:
            self._given[key] = self.label(train)
        return self._given[key]
