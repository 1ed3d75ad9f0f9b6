"""What linear models, n-grams and trees share: from scores to outputs, and how their answers are written to a file.

In: scores [B, C] of a link ("softmax", "sigmoid" or "identity"). Out: probabilities, or numbers in their unit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.ensemble.glm import activate
from plait.tasks.target_scale import TargetScale


def outputs_of(scores_BC: np.ndarray, link: str, scale: TargetScale | None) -> np.ndarray:
    """Scores to outputs [B, C]; numbers as they were learned come back to their unit."""
    found = activate(scores_BC, link)
    return found if scale is None else scale.decode(found)


def answer_config(link: str, num_outputs: int, scale: TargetScale | None) -> dict[str, Any]:
    """As plain values."""
    return {"link": link, "num_outputs": num_outputs, "scale": None if scale is None else scale.to_json()}


def scale_of(facts: dict[str, Any]) -> TargetScale | None:
    """How a member of that ``answer_config`` learns numbers."""
    return None if facts["scale"] is None else TargetScale.from_json(facts["scale"])
