"""What members answer on rows that they have not seen, under every pattern of what is shown of them.

Rows are encoded once for all patterns, and a member answers patterns that look alike to it once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import nn

from plait.ensemble.base import Member
from plait.ensemble.selection import Pattern, seen
from plait.inference.forward import evaluation_batches, evaluation_mode
from plait.inputs.dataset import RowBatches
from plait.training.plan import Plan

ROWS_AT_ONCE = 1024


@dataclass
class HeldOut:
    """Outputs on choosing rows.

    Attributes:
        rows: Positions of the rows [N].
        present_NM: What they have.
        uses: Numbers of the modalities that each member reads.
        outputs: Outputs [N, C] float32 by number of the member and what it sees of a pattern.
    """

    rows: np.ndarray
    present_NM: np.ndarray  # noqa: N815  shape letters
    uses: list[tuple[int, ...]]
    outputs: dict[tuple[int, Pattern], np.ndarray]

    def candidates(self, pattern: Pattern) -> list[int]:
        """Numbers of the members that read something of what a pattern shows."""
        return [k for k, uses in enumerate(self.uses) if any(pattern[m] for m in uses)]

    def of(self, k: int, pattern: Pattern) -> np.ndarray:
        """Outputs of a member under a pattern [N, C]."""
        return self.outputs[k, seen(self.uses[k], pattern)]


def held_out(
    plans: list[Plan], members: list[list[Member]], rows: list[np.ndarray], patterns: list[Pattern]
) -> HeldOut:
    """Outputs of members under patterns, on each fold's rows by the model of that fold.

    Args:
        plans: One a fold.
        members: Of each member one model a fold.
        rows: Of each fold the rows to answer.
        patterns: What to show.
    """
    uses = [one[0].uses for one in members]
    asked = list(dict.fromkeys((k, seen(u, p)) for p in patterns for k, u in enumerate(uses) if any(seen(u, p))))
    parts = [_of_fold(p, [m[f] for m in members], r, asked) for f, (p, r) in enumerate(zip(plans, rows, strict=True))]
    together = np.concatenate(rows)
    joined = {key: np.concatenate([part[i] for part in parts]) for i, key in enumerate(asked)}
    return HeldOut(together, plans[0].prepared.rows.present_NM[together], uses, joined)


def _of_fold(plan: Plan, members: list[Member], rows: np.ndarray, asked: list[tuple[int, Pattern]]) -> list[np.ndarray]:
    batches = RowBatches(plan.prepared.sources, plan.prepared.rows.index_NM[rows])
    found = [np.zeros((len(rows), plan.labels.num_outputs), dtype=np.float32) for _ in asked]
    together = nn.ModuleList(members)
    with evaluation_mode(together):
        for places, batch in evaluation_batches(together, batches, batch_size=ROWS_AT_ONCE):
            inputs, present = batch["inputs"], batch["present"]
            ready = [member.prepare(inputs, present) for member in members]
            for answers, (k, shown) in zip(found, asked, strict=True):
                answers[places] = members[k].outputs(inputs, ready[k], present & present.new_tensor(shown))
    return found
