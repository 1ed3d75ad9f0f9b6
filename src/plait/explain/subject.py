"""The subject of an explanation: any model that answers rows whose modalities are recombined or taken away.

A fitted Plait model and a stranger's ``predict`` are both turned into one function: row numbers per modality in,
scores out, -1 for a modality that is absent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plait.explain.measure import Measure

MAX_MODALITIES = 6  # each subset is measured on every row, with intervals


@dataclass
class Subject:
    """A model with the rows it is explained on.

    Attributes:
        names: Modalities, in order.
        scores_of: Row numbers ``[B, M]``, -1 where absent, to scores ``[B, C]``.
        present_NM: Which modalities each row has.
        target: Class numbers ``[N]``, 0/1 labels ``[N, C]`` or numbers ``[N]``.
        measure: How answers are evaluated.
        classes: Names of the outputs; empty for a number.
        groups: A group name per row, or None.
        scale: What the scores are, in words.
        prior: Outputs [C] that answer where nothing is given; None: the model's own do.
        additive_scale: Name in ``plait.explain.scale.SCALES``: where the model is a sum, if it is one.
        without_projection: Why there is no additive projection of the scores; None: there is one.
        asked: Rows asked of the model so far.
        calls: Calls of the model so far.
    """

    names: tuple[str, ...]
    scores_of: Callable[[np.ndarray], np.ndarray]
    present_NM: np.ndarray  # noqa: N815
    target: np.ndarray
    measure: Measure
    classes: tuple[str, ...] = ()
    groups: np.ndarray | None = None
    scale: str = "logits"
    additive_scale: str = "logits"
    prior: np.ndarray | None = None
    without_projection: str | None = None
    asked: int = field(default=0, init=False)
    calls: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        check_modalities(self.names)

    def __len__(self) -> int:
        return len(self.target)

    def ask(self, rows_BM: np.ndarray) -> np.ndarray:
        """Scores of recombined rows ``[B, C]``, float64.

        Raises:
            ValueError: The model answered NaN, infinities or another number of rows.
        """
        scores = np.asarray(self.scores_of(rows_BM), dtype=np.float64)
        self.asked += len(rows_BM)
        self.calls += 1
        if scores.ndim != 2 or len(scores) != len(rows_BM):
            raise ValueError(
                f"the model answered {len(rows_BM)} rows with shape {scores.shape}; expected [rows, outputs]"
            )
        bad = ~np.isfinite(scores).all(axis=1)
        if bad.any():
            hidden = [n for n, m in zip(self.names, rows_BM[np.flatnonzero(bad)[0]], strict=True) if m < 0]
            where = f" (first with {', '.join(hidden)} absent)" if hidden else ""
            raise ValueError(f"the model answered {int(bad.sum())} of {len(bad)} rows with NaN or infinities{where}")
        return scores

    def subset_name(self, subset: int) -> str:
        """The modalities of a subset in words."""
        return " + ".join(self.members(subset)) or "nothing"

    def members(self, subset: int) -> list[str]:
        """Names of the modalities in a subset."""
        return [name for m, name in enumerate(self.names) if subset >> m & 1]


def check_modalities(names: Any) -> None:
    """Refuse more modalities than can be measured exactly.

    Raises:
        ValueError: None, or more than six.
    """
    count = len(names)
    if count == 0:
        raise ValueError("there is no modality to explain; give at least one")
    if count > MAX_MODALITIES:
        raise ValueError(
            f"{count} modalities ({', '.join(names)}) have {2**count} subsets, and each would be measured; at most "
            f"{MAX_MODALITIES} ({2**MAX_MODALITIES} subsets) are explained. Train with fewer columns (ignore=COLUMN), "
            "or group columns into one modality"
        )
