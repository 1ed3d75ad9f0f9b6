"""What became of one method of a comparison: its search, the chosen configuration, its seeds and their outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plait.comparison.plan import Method


@dataclass
class Outcome:
    """What became of a method.

    Attributes:
        method: The method.
        status: "ok", "failed" or "not applicable".
        reason: Why, where it is not "ok".
        search: A record per configuration, in the order of the list.
        chosen: Number of the chosen configuration, or None.
        seeds: Record of each seed of the chosen configuration that ended well.
        outputs: Per seed, activated outputs on "val" and "test" rows.
        failures: Runs that failed: seed, configuration, reason.
        interaction: What the fusion can express.
        fits_on_val: Part of the model is fitted on validation rows, so its score there is cross-fitted.
    """

    method: Method
    status: str = "ok"
    reason: str | None = None
    search: list[dict[str, Any]] = field(default_factory=list)
    chosen: int | None = None
    seeds: dict[int, dict[str, Any]] = field(default_factory=dict)
    outputs: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)
    failures: list[dict[str, Any]] = field(default_factory=list)
    interaction: str | None = None
    fits_on_val: bool = False

    def note_failure(self, seed: int, configuration: int, reason: str) -> None:
        """Keep that a run failed."""
        self.failures.append({"seed": seed, "configuration": configuration, "reason": reason})


def reason_of(error: BaseException) -> str:
    """An error as the reason that a report gives: its own words, with its type where those words are not ours."""
    text = " ".join(str(error).split()) or type(error).__name__
    known = isinstance(error, ValueError | RuntimeError | MemoryError | NotImplementedError)
    return text if known else f"{type(error).__name__}: {text}"
