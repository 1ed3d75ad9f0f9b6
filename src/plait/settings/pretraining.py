"""Settings of pretraining: what the network learns from rows without their targets before it learns the task."""

from __future__ import annotations

from dataclasses import dataclass

from plait.settings.ranges import at_least, choice, up_to_one

NO_PRETRAINING = "none"
PRETRAINING_OBJECTIVES = (NO_PRETRAINING, "align", "comm", "masked")


@dataclass(frozen=True)
class PretrainSettings:
    """What projections and fusion learn from rows without their targets before the labelled step."""

    objective: str = choice(NO_PRETRAINING, PRETRAINING_OBJECTIVES)
    """none, align (modalities of a row lie together), comm (CoMM: views of a row, whole and each modality alone) or
    masked (the frozen vector of a hidden modality out of the others).
    """
    epochs: int = at_least(20, 1)
    """Passes over the rows."""
    mask: float = up_to_one(0.5)
    """Under masked: probability that a modality is hidden, in (0, 1]; one of each row always stays."""
